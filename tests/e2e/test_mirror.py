"""Plain mirrors: kept the same, what goes away kept aside, accidents stopped, runs cut short."""
import fcntl
import os
import shutil
import signal

import app
import disks
import program
import servers
import trees


class Mirrors(program.Case):
    def setUp(self):
        super().setUp()
        self.app = app.App(self)
        self.source = self.folder("live")
        self.target = self.path("standby")

    def configure(self, *lines, source=None, target=None):
        text = "\n".join(["", "[[mirror]]", 'name = "standby"', f'from = "{source or self.source}"',
                          f'to = "{target or self.target}"', *lines, ""])
        with open(self.app.config, "a", encoding="utf-8") as file:
            file.write(text)

    def mirror(self, *arguments, code=0):
        self.age_folders()
        return self.app("mirror", *arguments, code=code)

    def fill(self, count):
        for number in range(count):
            trees.write(f"{self.source}/{number}", b"%d" % number)

    def names(self):
        return {name for name in os.listdir(self.target) if not name.startswith(".sevenfold")}

    def removed(self):
        """Path below the dated folder -> its content."""
        found = {}
        top = os.path.join(self.target, ".sevenfold-removed")
        for folder, _, files in os.walk(top):
            for name in files:
                path = os.path.join(folder, name)
                found[os.path.relpath(path, top).split("/", 1)[1]] = self.read(path)
        return found

    def assert_mirrored(self, **options):
        found = trees.without(trees.below(self.target), paths=[b".sevenfold-removed"])
        trees.assert_same(self, trees.without(trees.below(self.source), **options),
                          trees.without(found, **options))

    def age_folders(self):
        """rsync leaves a folder's time within the second in which it was filled."""
        for folder, _, _ in os.walk(os.fsencode(self.source), topdown=False):
            os.utime(folder, ns=(1_700_000_000_123_456_789,) * 2)

    def test_everything_is_kept(self):
        os.rmdir(self.source)
        trees.make_everything(self.source)
        trees.write(os.fsencode(self.source) + b"/new\nline \xff \\#012 $(touch x) '\"", b"hostile")
        self.configure()
        self.assertSays(self.mirror(), "every file has the source's size and time")
        self.assert_mirrored()
        again = self.mirror()
        self.assertSays(again, "0 copied")
        self.assertFalse(os.path.exists(self.target + "/.sevenfold-removed"))

    def test_what_goes_away_is_kept_aside_for_a_time(self):
        self.fill(30)
        trees.write(self.source + "/folder/deep\nname", b"deep")
        self.configure()
        self.mirror()
        trees.write(self.source + "/1", b"changed")
        os.unlink(self.source + "/2")
        shutil.rmtree(self.source + "/folder")
        self.mirror()
        self.assert_mirrored()
        self.assertEqual(self.removed(), {"1": b"1", "2": b"2", "folder/deep\nname": b"deep"})
        top = self.target + "/.sevenfold-removed"
        (stamp,) = os.listdir(top)
        os.rename(f"{top}/{stamp}", top + "/2020-01-01T000000Z")
        self.write(top + "/mine/file", "not a dated folder")
        os.unlink(self.source + "/3")
        self.assertSays(self.mirror(), "1 dated folders were older than keep_removed")
        self.assertEqual(self.removed(), {"3": b"3", "file": b"not a dated folder"})

    def test_an_accident_stops_before_anything_is_touched(self):
        self.fill(100)
        self.configure()
        self.mirror()
        before = trees.describe(self.target)
        for number in range(50):
            os.unlink(f"{self.source}/{number}")
        refused = self.mirror(code=1)
        self.assertFailsWell(refused, 1, "nothing was changed", "remove 50", "--force standby")
        trees.assert_same(self, before, self.target)
        listed = self.app("--json", "mirror", "--dry-run", "standby", code=1).json()
        self.assertEqual(sum(line.get("action") == "remove" for line in listed), 50)
        self.assertFailsWell(self.mirror("--force", code=2), 2, "name")
        self.mirror("--force", "standby")
        self.assert_mirrored()
        self.assertEqual(len(self.removed()), 50)
        for number in range(50, 100):
            os.unlink(f"{self.source}/{number}")
        self.assertFailsWell(self.mirror(code=1), 1, "min_files")
        self.assertEqual(len(self.names()), 50)

    def test_a_source_that_is_not_the_same(self):
        self.fill(3)
        self.configure()
        self.mirror()
        os.rename(self.source, self.source + ".old")
        self.assertFailsWell(self.mirror(code=1), 1, "source is not there")
        os.mkdir(self.source)
        self.fill(3)
        self.assertFailsWell(self.mirror(code=1), 1, "another folder")
        self.app.edit('name = "standby"', 'name = "standby"\nmarker = ".here"')
        self.assertFailsWell(self.mirror(code=1), 1, "marker")
        self.write(self.source + "/.here", "")
        self.mirror()
        self.assert_mirrored()

    def test_a_target_that_holds_something_else(self):
        self.fill(3)
        self.write(self.target + "/precious", "x")
        self.configure()
        self.assertFailsWell(self.mirror(code=1), 1, "never run", "remove precious")
        self.assertEqual(self.names(), {"precious"})
        self.mirror("--force", "standby")
        self.assertEqual(self.removed(), {"precious": b"x"})

    def test_folders_that_overlap_are_refused(self):
        self.configure(target=self.source + "/inside")
        self.assertFailsWell(self.mirror(code=2), 2, "inside each other")
        self.app.edit(self.source + "/inside", self.app.dir)
        self.assertFailsWell(self.mirror(code=2), 2, "inside each other")
        self.app.edit(f'to = "{self.app.dir}"', 'to = "s3:https://host/bucket"')
        self.assertFailsWell(self.mirror(code=2), 2, "does not mirror buckets yet")

    def test_damage_is_found_and_mended(self):
        self.fill(5)
        self.configure()
        self.assertSays(self.mirror("--verify"), "verified")
        path = self.target + "/3"
        info = os.stat(path)
        self.write(path, "x")
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
        self.mirror()
        self.assertFailsWell(self.mirror("--verify", code=1), 1, "content differs: 3", "--checksum")
        self.mirror("--checksum")
        self.assert_mirrored()
        self.assertEqual(self.removed(), {"3": b"x"})
        self.mirror("--verify")

    def test_status_knows_its_age(self):
        self.fill(3)
        trees.make_small(self.app.source)
        self.app.backup()
        self.configure()
        self.assertSays(self.app("status", code=20), "standby.*missing", "no run yet")
        self.mirror()
        self.assertSays(self.app("status"), "standby.*good")
        shutil.rmtree(self.source)
        self.mirror(code=1)
        self.assertSays(self.app("status"), "standby.*good", "last run .*failed")

    def test_killed_runs_go_on(self):
        trees.write(self.source + "/big", trees.random_bytes(200 << 20, 1))
        self.fill(50)
        self.configure()
        for number in (signal.SIGKILL, signal.SIGTERM):
            running = self.app.start("mirror")
            program.wait_for(lambda: os.path.isdir(self.target) and os.listdir(self.target),
                             "something is written")
            running.send(number)
            running.finish()
            for name in self.names():  # whole files only
                if os.path.exists(f"{self.source}/{name}"):
                    self.assertEqual(self.read(f"{self.target}/{name}"),
                                     self.read(f"{self.source}/{name}"))
        program.wait_for(lambda: self.app("mirror", code=None).code == 0, "the rest is copied")
        self.assert_mirrored()

    def test_one_run_at_a_time(self):
        self.fill(1)
        self.configure()
        self.mirror()
        with open(os.path.join(self.app.dir, "state/mirrors/standby.lock"), "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertFailsWell(self.mirror(code=11), 11, "under way")
        self.mirror()

    def test_a_full_target(self):
        disks.SmallDisk(self, self.target, 20 << 20)
        trees.write(self.source + "/small", b"small")
        self.configure(target=self.target + "/copy")
        self.target += "/copy"
        self.mirror()
        trees.write(self.source + "/big", trees.random_bytes(30 << 20, 1))
        trees.write(self.source + "/small", b"other")
        self.assertFailsWell(self.mirror(code=1), 1, "target is full")
        os.unlink(self.source + "/big")
        trees.write(self.source + "/new", b"new")
        self.mirror()
        self.assert_mirrored()

    def test_to_a_host_and_back(self):
        sshd = servers.Sshd(self)
        options = ", ".join(f'"{option}"' for option in sshd.ssh_options())
        os.rmdir(self.source)
        trees.make_everything(self.source)
        self.target = self.path("far side ' $(x)")
        url = f"sftp:vault.test:{self.target}"
        self.configure(f"ssh_options = [{options}]", target=url)
        self.mirror("--verify")
        self.assert_mirrored()
        os.unlink(self.source + "/many/001")
        self.mirror()
        self.assertEqual(list(self.removed()), ["many/001"])
        os.rename(self.target + "/.sevenfold-removed/" + os.listdir(
            self.target + "/.sevenfold-removed")[0], self.target +
            "/.sevenfold-removed/2020-01-01T000000Z")
        self.mirror()
        self.assertEqual(self.removed(), {})
        sshd.stop()
        self.assertFailsWell(self.mirror(code=1), 1, "refused")
        sshd.start()
        self.app.edit(f'from = "{self.source}"', f'from = "{url}"')
        self.app.edit(f'to = "{url}"', f'to = "{self.path("back")}"')
        self.source, self.target = self.target, self.path("back")
        self.mirror()
        self.assert_mirrored(paths=[b".sevenfold-removed"])

    def test_without_rsync(self):
        self.fill(1)
        self.configure()
        tools = self.folder("tools")
        self.assertFailsWell(self.app("mirror", code=1, env={"PATH": tools}), 1,
                             "rsync is not installed on this machine", "apt-get install rsync")


if __name__ == "__main__":
    app.main()
