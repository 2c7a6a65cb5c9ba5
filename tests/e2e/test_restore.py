"""restore: whole, in part, at a time, in place; and what it refuses."""
import os
import re
import shutil
import stat
import time

import app
import disks
import program
import trees


class Restore(program.Case):
    def setUp(self):
        super().setUp()
        self.app = app.App(self)

    def restore(self, *arguments, code=0, target=None):
        return self.app("restore", "uploads", "--target", target or self.path("back"), *arguments,
                        code=code)

    def test_everything_comes_back_exactly(self):
        os.rmdir(self.app.source)
        trees.make_everything(self.app.source)
        os.chmod(self.app.source, 0o2771)
        os.chown(self.app.source, 1234, 5678)
        trees.set_time(self.app.source, 1234567890, 987654321)
        self.app.backup()
        expected = trees.without(trees.describe(self.app.source), kinds={stat.S_IFSOCK})
        for place in self.app.places:
            target = self.app.restore(place, "--device-nodes", "--verify")
            trees.assert_same(self, expected, target, f"the source and {place}")
        for name, size in ((b"sizes/sparse", 12 << 20), (b"sizes/only hole", 3 << 20)):
            info = os.stat(os.path.join(os.fsencode(target), name))
            self.assertEqual(info.st_size, size)
            self.assertLess(info.st_blocks * 512, 1 << 20, "holes stay holes")

    def test_device_nodes_only_when_asked_for(self):
        os.mknod(os.path.join(self.app.source, "null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
        self.write("app/source/file", "x")
        self.app.backup()
        self.restore()
        self.assertEqual(os.listdir(self.path("back")), ["file"])

    def test_part_of_it(self):
        for name in ("a/one.jpg", "a/two.txt", "b/three.jpg", "b/deep/four.jpg", "five.txt"):
            self.write(f"app/source/{name}", name)
        self.app.backup()

        def restored(*arguments):
            target = self.app.restore("near", *arguments)
            return {os.path.relpath(os.path.join(folder, name), target)
                    for folder, _, names in os.walk(target) for name in names}

        self.assertEqual(restored("--include", "*.jpg"),
                         {"a/one.jpg", "b/three.jpg", "b/deep/four.jpg"})
        self.assertEqual(restored("--exclude", "*.jpg"), {"a/two.txt", "five.txt"})
        self.assertEqual(restored("--include", "/b"), {"b/three.jpg", "b/deep/four.jpg"})
        self.assertEqual(restored("--path", "b"), {"three.jpg", "deep/four.jpg"})
        self.assertEqual(restored("--path", "b", "--include", "*four*"), {"deep/four.jpg"})
        self.assertFailsWell(self.restore("--path", "b/nothing", code=1), 1, "b/nothing", hint=False)
        self.assertFalse(os.path.exists(self.path("back")))

    def test_as_it_was_at_a_time(self):
        states, ids = [], []
        for step in range(3):
            self.write("app/source/file", f"version {step}")
            summary = self.app.backup()
            ids.append(summary["far"]["snapshot_id"])
            states.append(trees.describe(self.app.source))
        for snapshot, state in zip(ids, states):
            trees.assert_same(self, state, self.app.restore("far", "--at", snapshot[:10]))
        result = self.restore("--at", "2001-01-01", code=1)
        self.assertFailsWell(result, 1, "no snapshot", "2001-01-01", "snapshots")
        result = self.restore("--at", "no such thing", code=None)
        self.assertNotEqual(result.code, 0)
        tomorrow = time.strftime("%Y-%m-%d %H:%M", time.gmtime(time.time() + 86400))
        trees.assert_same(self, states[2], self.app.restore("near", "--at", tomorrow))

    def test_at_a_time_that_was_printed(self):
        """Copied from `snapshots` or its JSON, in any zone, it means that very snapshot."""
        for step in range(3):
            self.write("app/source/file", f"version {step}")
            self.app.backup()
            second = int(time.time())
            program.wait_for(lambda: int(time.time()) > second, "the next second")
        for zone in ("UTC", "Asia/Kolkata"):
            env = {"TZ": zone}
            table = self.app("snapshots", "--place", "near", env=env).out
            shown = re.findall(r"(?m)^\w{8}\s+(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\b", table)
            lines = self.app("--json", "snapshots", "--place", "near", env=env).json()
            exact = [line["time"] for line in lines if line.get("type") == "snapshot"]
            self.assertEqual((len(shown), len(exact)), (3, 3), table)
            for times in (shown, exact):
                for step, at in enumerate(times):
                    with self.subTest(zone=zone, at=at):
                        target = self.path(f"at-{zone[:3]}-{at}")
                        self.app("restore", "uploads", "--place", "near", "--target", target, "--at",
                                 at, env=env)
                        self.assertEqual(self.read(target + "/file"), b"version %d" % step)

    def test_at_what_names_no_snapshot_or_several(self):
        repo = ["repo", "-r", self.app.repository("near"), "-p", self.app.password_file("near")]
        self.write("app/source/file", "x")
        ids = []
        while len({name[0] for name in ids}) == len(ids):  # two begin alike after 17 at most
            self.sevenfold(*repo, "backup", self.app.source)
            ids = [snapshot["id"] for snapshot in self.app.snapshots("near")]
        digits = [name[0] for name in ids]
        several = next(digit for digit in digits if digits.count(digit) > 1)
        for at in ("", " ", several, "no such thing", "2026-13-45"):
            for place in (["--place", "near"], []):
                with self.subTest(at=at, place=place):
                    self.assertFailsWell(self.restore("--at", at, *place, code=2), 2, "--at|begin")
        self.assertFalse(os.path.exists(self.path("back")))

    def test_times_are_times_of_snapshots(self):
        """--time of repo backup stands for a clock: yesterday's snapshot is chosen by its time."""
        repo = ["repo", "-r", self.app.repository("near"), "-p", self.app.password_file("near")]
        for when, text in (("2024-05-01 12:00:00", "may"), ("2024-06-01 12:00:00", "june")):
            self.write("app/source/file", text)
            self.sevenfold(*repo, "backup", "--time", when, self.app.source)
        for at, text in (("2024-05-01 12:00", "may"), ("2024-05-31", "may"), ("2024-06-01", "june"),
                         ("2024-06-01 11:59:59", "may"), ("2030-01-01", "june")):
            target = self.app.restore("near", "--at", at)
            with open(target + "/file", encoding="ascii") as file:
                self.assertEqual(file.read(), text, at)

    def test_a_target_that_is_not_empty_is_refused(self):
        trees.make_small(self.app.source, count=4)
        self.app.backup()
        mine = self.write("back/mine", "precious")
        self.assertFailsWell(self.restore(code=1), 1, "not empty", "--overwrite")
        self.assertEqual(os.listdir(self.path("back")), ["mine"])
        self.restore("--overwrite", "always")
        self.assertTrue(os.path.exists(mine), "nothing is removed without --delete")
        self.restore("--overwrite", "always", "--delete")
        self.assertFalse(os.path.exists(mine))
        trees.assert_same(self, self.app.source, self.path("back"))

    def test_delete_alone_does_not_allow_a_target_that_is_not_empty(self):
        trees.make_small(self.app.source, count=4)
        self.app.backup()
        mine = self.write("back/mine", "precious")
        for arguments in (["--delete"], ["--delete", "--dry-run"]):
            self.assertFailsWell(self.restore(*arguments, code=1), 1, "not empty", "--overwrite")
        self.assertEqual(self.read(mine), b"precious")
        self.assertEqual(os.listdir(self.path("back")), ["mine"])

    def test_a_folder_that_is_there_keeps_its_owner_and_mode_where_nothing_is_overwritten(self):
        self.write("app/source/f", "f")
        os.chmod(self.app.source, 0o700)
        self.app.backup()
        self.write("back/mine", "mine")
        os.chown(self.path("back"), 1234, 5678)
        os.chmod(self.path("back"), 0o2751)
        self.restore("--overwrite", "never", "--include", "f")
        info = os.stat(self.path("back"))
        self.assertEqual((oct(info.st_mode & 0o7777), info.st_uid, info.st_gid),
                         (oct(0o2751), 1234, 5678))
        self.assertEqual((self.read("back/f"), self.read("back/mine")), (b"f", b"mine"))

    def in_place(self):
        """A source, backed up, then damaged in every way."""
        for name in ("same", "changed", "newer", "gone", "touched"):
            self.write(f"app/source/{name}", f"{name} as saved")
            trees.set_time(os.path.join(self.app.source, name), 1_700_000_000)
        self.app.backup()
        state = trees.describe(self.app.source)
        self.write("app/source/changed", "changed since".ljust(20))
        trees.set_time(os.path.join(self.app.source, "changed"), 1_600_000_000)
        self.write("app/source/newer", "newer since".ljust(20))
        self.write("app/source/touched", "TOUCHED as saved")  # size and time as before
        trees.set_time(os.path.join(self.app.source, "touched"), 1_700_000_000)
        os.unlink(os.path.join(self.app.source, "gone"))
        self.write("app/source/extra", "not in the snapshot")
        return state

    def text(self, name):
        with open(os.path.join(self.app.source, name), encoding="ascii") as file:
            return file.read().strip()

    def test_in_place_always(self):
        state = self.in_place()
        self.restore("--overwrite", "always", "--delete", target=self.app.source)
        trees.assert_same(self, state, self.app.source)

    def test_in_place_other_modes(self):
        expected = {"if-changed": ("changed as saved", "newer as saved", "TOUCHED as saved"),
                    "if-newer": ("changed as saved", "newer since", "TOUCHED as saved"),
                    "never": ("changed since", "newer since", "TOUCHED as saved")}
        state = self.in_place()
        damaged = self.path("damaged")
        os.rename(self.app.source, damaged)
        for mode, texts in expected.items():
            with self.subTest(mode=mode):
                program.run(["cp", "-a", damaged, self.app.source], self.env)
                self.restore("--overwrite", mode, target=self.app.source)
                self.assertEqual(tuple(self.text(n) for n in ("changed", "newer", "touched")), texts)
                self.assertEqual(self.text("gone"), "gone as saved")
                self.assertEqual(self.text("extra"), "not in the snapshot")
                program.run(["rm", "-rf", self.app.source], self.env)
        self.assertIn(b"gone", state)

    def test_dry_run_changes_nothing(self):
        self.in_place()
        before = trees.describe(self.app.source)
        self.restore("--overwrite", "always", "--delete", "--dry-run", target=self.app.source)
        trees.assert_same(self, before, self.app.source)
        self.restore("--dry-run")
        self.assertFalse(os.path.exists(self.path("back")))

    def test_dry_run_names_what_delete_would_remove(self):
        self.in_place()
        for name in ("surplus", "needless/inside"):
            self.write(f"app/source/{name}", "not in the snapshot")
        before = trees.describe(self.app.source)
        arguments = ["--overwrite", "always", "--delete", "--dry-run"]
        result = self.restore(*arguments, target=self.app.source)
        named = [line for line in result.text.split("\n") if "would remove" in line]
        self.assertSays(result, "surplus", "needless")
        self.assertEqual({name for name in ("extra", "surplus", "needless", "same", "newer", "gone")
                          if any(name in line for line in named)}, {"extra", "surplus", "needless"})
        lines = self.app("--json", "restore", "uploads", "--target", self.app.source,
                         *arguments).json()
        for name in ("extra", "surplus", "needless"):
            self.assertTrue(any(name in str(line.get("item")) for line in lines), lines)
        trees.assert_same(self, before, self.app.source)

    def test_without_naming_a_place_the_first_that_works_is_taken(self):
        trees.make_small(self.app.source, count=6)
        self.app.backup()
        os.rename(self.app.repository("near"), self.path("lost"))
        result = self.restore()
        self.assertSays(result, "warning: .*near", "from far")
        trees.assert_same(self, self.app.source, self.path("back"))

    def test_the_newest_snapshot_wins_wherever_it_is(self):
        self.write("app/source/file", "old")
        self.app.backup()
        os.rename(self.app.repository("near"), self.path("away"))
        self.write("app/source/file", "newest")
        self.app("backup", code=1)
        os.rename(self.path("away"), self.app.repository("near"))
        self.assertSays(self.restore(), "from far")
        trees.assert_same(self, self.app.source, self.path("back"))

    def assert_target_refused(self, target, *arguments):
        """Whatever --overwrite says; and nothing of the application is gone or changed."""
        kept = self.path("kept")
        if not os.path.exists(kept):
            shutil.copytree(self.app.dir, kept, symlinks=True)
        before = trees.without(trees.describe(self.app.dir), fields={"mtime"})
        result = self.restore("--overwrite", "always", *arguments, target=target, code=None)
        after = trees.without(trees.describe(self.app.dir), fields={"mtime"})
        wrong = trees.differences(before, after)
        if wrong:  # for the next one
            shutil.rmtree(self.app.dir)
            shutil.copytree(kept, self.app.dir, symlinks=True)
        self.assertEqual(wrong, [], str(result))
        self.assertIn(result.code, (1, 2), str(result))
        self.assertFailsWell(result, result.code, re.escape(os.path.basename(target)))

    def test_a_target_that_is_or_holds_or_lies_in_a_place_is_refused(self):
        self.write("app/source/file", "x")
        self.app.backup()
        near, far = (self.app.repository(place) for place in self.app.places)
        os.symlink(far, self.path("link"))
        for target in (near, near + "/", near + "/data", far + "/new/folder", self.app.dir,
                       self.path("link"), self.path("link", "new")):
            for arguments in ([], ["--delete"]):
                with self.subTest(target=target, arguments=arguments):
                    self.assert_target_refused(target.rstrip("/"), *arguments)

    def what_backups_need(self):
        """The state folder, and where the configuration and the passwords lie, apart from places."""
        self.write("app/source/file", "x")
        for place in self.app.places:
            self.app.url(place, self.path("places", place))
            shutil.move(self.app.repository(place), self.path("places", place))
        self.app.backup()
        state = os.path.join(self.app.dir, "state")
        self.assertTrue(os.listdir(state))
        os.symlink(state, self.path("link"))
        return self.app.dir, state, state + "/new", os.path.join(self.app.dir, "secrets"), \
            self.path("link")

    def test_a_target_in_the_state_folder_is_refused(self):
        """What only lies around it is not: an application may be restored over itself."""
        around, *inside, _, link = self.what_backups_need()
        for target in (*inside, link):
            with self.subTest(target=target):
                self.assert_target_refused(target)
        self.restore("--overwrite", "always", target=around)

    def test_deleting_what_backups_need_is_refused(self):
        for target in self.what_backups_need():
            with self.subTest(target=target):
                self.assert_target_refused(target, "--delete")

    def test_links_in_the_target_are_not_followed(self):
        self.write("app/source/folder/file", "content")
        self.app.backup()
        outside = self.folder("outside")
        os.makedirs(self.path("back"))
        os.symlink(outside, self.path("back", "folder"))
        result = self.restore("--overwrite", "always", code=None)
        self.assertEqual(os.listdir(outside), [], str(result))

    def test_onto_a_full_disk(self):
        trees.write(os.path.join(self.app.source, "large"), trees.random_bytes(6 << 20, 1))
        self.app.backup()
        disk = disks.SmallDisk(self, self.path("disk"), "3m")
        for arguments in ([], ["--place", "far"]):
            result = self.app("--json", "restore", "uploads", "--target", disk.path + "/back",
                              *arguments, code=1)
            error = result.json()[-1]
            self.assertEqual((error["type"], error["exit_code"]), ("error", 1), str(result))
            self.assertRegex(str(error), "(?i)no space left")
            # Trying another place would help nothing, and must not hide the reason.
            self.assertNotIn("not empty", result.text)
            shutil.rmtree(disk.path + "/back")
        self.restore(target=disk.path + "/back", code=1)
        disk.resize("20m")
        self.restore("--overwrite", "always", target=disk.path + "/back")
        trees.assert_same(self, self.app.source, disk.path + "/back")


if __name__ == "__main__":
    app.main()
