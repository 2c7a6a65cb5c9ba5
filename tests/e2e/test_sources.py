"""Sources that are not as they should be: unreadable, missing, empty, changing, hostile."""
import os
import shutil
import stat
import threading

import app
import program
import trees


class Sources(program.Case):
    def setUp(self):
        super().setUp()
        self.app = app.App(self)

    def test_unreadable_files_are_reported_and_the_rest_is_saved(self):
        """As another user, for root reads everything."""
        trees.make_small(self.app.source, count=10)
        secret = os.path.join(self.app.source, "d1", "f001")
        locked = os.path.join(self.app.source, "d2")
        os.chmod(secret, 0o000)
        expected = trees.describe(self.app.source)
        program.run(["chown", "-R", "65534:65534", self.app.dir, self.home], self.env)
        for path in (secret, locked):
            os.chown(path, 0, 0)
        os.chmod(locked, 0o700)
        own = self.path("sevenfold")  # where that user may run it
        shutil.copy(program.binary(), own)
        os.chmod(own, 0o755)
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", own, "-c",
                  self.app.config]
        result = program.run([*nobody, "backup"], self.env)
        self.assertFailsWell(result, 3, r"d1/f001: .*permission denied", r"/d2: .*permission denied",
                             "not in the snapshot", hint=False)
        lines = program.run([*nobody, "--json", "backup"], self.env)
        self.assertCode(lines, 3)
        items = {line["item"] for line in lines.json() if line.get("message_type") == "error"}
        self.assertEqual(items, {secret, locked})
        for place in self.app.places:
            found = trees.describe(self.app.restore(place))
            keep = trees.without(expected, paths=[b"d1/f001", b"d2"], fields={"uid", "gid"})
            found = trees.without(found, paths=[b"d1/f001", b"d2"], fields={"uid", "gid"})
            trees.assert_same(self, trees.below(keep), trees.below(found))
        self.app.check()

    def assert_refused(self, code, *patterns):
        before = {place: len(self.app.snapshots(place)) for place in self.app.places}
        self.assertFailsWell(self.app("backup", code=code), code, *patterns)
        for place in self.app.places:
            self.assertEqual(len(self.app.snapshots(place)), before[place], "no new snapshot")

    def test_a_source_that_never_was(self):
        os.rmdir(self.app.source)
        self.assert_refused(1, "does not exist", "source")
        os.symlink(self.path("nothing"), self.app.source)
        self.assert_refused(1, "does not exist", "source")

    def test_a_source_that_is_gone(self):
        trees.make_small(self.app.source, count=5)
        self.app.backup()
        good = trees.describe(self.app.source)
        shutil.rmtree(self.app.source)
        self.assert_refused(1, "does not exist", "mounted")
        self.app.assert_restores(good)

    def test_a_source_that_is_suddenly_empty(self):
        trees.make_small(self.app.source, count=5)
        self.app.backup()
        shutil.rmtree(self.app.source)
        os.mkdir(self.app.source)
        self.assert_refused(1, "empty", "--allow-empty")
        self.app.backup("--allow-empty")
        self.assertEqual(len(self.app.snapshots("near")), 2)
        # Empty folders do not make files.
        self.write("app/source/x", "x")
        self.app.backup()
        os.unlink(self.path("app", "source", "x"))
        os.makedirs(self.path("app", "source", "empty", "folders"))
        self.assert_refused(1, "empty", "--allow-empty")

    def test_a_source_with_fewer_files_than_it_must_have(self):
        self.app.set_source("min_files = 5")
        for number in range(6):
            self.write(f"app/source/{number}", "x")
        self.app.backup()
        for number in range(3):
            os.unlink(self.path("app", "source", str(number)))
        self.assert_refused(1, "--allow-empty")

    def test_files_in_folders_count_too(self):
        self.app.set_source("min_files = 5")
        for number in range(8):
            self.write(f"app/source/deep/er/{number}", "x")
        self.app.backup()
        self.app.backup()
        for number in range(6):
            os.unlink(self.path("app", "source", "deep", "er", str(number)))
        self.assert_refused(1, "--allow-empty")

    def test_an_empty_source_from_the_beginning(self):
        self.app.backup()
        self.assertEqual(os.listdir(self.app.restore("near")), [])

    def test_hostile_names(self):
        """Nothing is taken for an option, a pattern or an escape sequence of the terminal."""
        for name in trees.ODD_NAMES:
            trees.write(os.path.join(os.fsencode(self.app.source), name), b"x")
        os.symlink("/etc/passwd", os.path.join(self.app.source, "passwd"))
        result = self.app("-v", "-v", "backup")
        self.assertNotIn("\x1b[31m", result.text)
        self.app.assert_restores()

    def test_names_in_messages_are_printable(self):
        path = os.path.join(os.fsencode(self.app.source), b"bell\x07\x1b[2J\n-")
        trees.write(path, b"x")
        self.app.backup()
        packs = [os.path.join(folder, name) for folder, _, names in
                 os.walk(os.path.join(self.app.repository("near"), "data")) for name in names]
        for pack in packs:
            os.chmod(pack, 0o600)
        os.unlink(min(packs, key=os.path.getsize))
        result = self.app("restore", "uploads", "--place", "near", "--target", self.path("x"),
                          code=None)
        self.assertNotRegex(result.text, "[\x07\x1b]", str(result))

    def test_a_file_that_changes_while_it_is_read(self):
        """Written to without end: reported, exit code 0 or 3, and the repository is sound."""
        path = os.path.join(self.app.source, "log")
        trees.write(path, trees.random_bytes(24 << 20, 1))
        stop = threading.Event()

        def scribble():
            number = 0
            with open(path, "r+b", buffering=0) as file:
                while not stop.is_set():
                    number += 1
                    file.seek(number * 7919 % (24 << 20))
                    file.write(b"%d" % number)

        writer = threading.Thread(target=scribble)
        writer.start()
        try:
            result = self.app("backup", code=None)
        finally:
            stop.set()
            writer.join()
        self.assertIn(result.code, (0, 3), str(result))
        self.assertSays(result, "log.*chang")
        self.app.check()

    def test_files_that_vanish_while_they_are_read(self):
        """Folders are emptied and filled behind its back: what it says it saved is right."""
        stable = trees.make_small(self.app.source + "/stable", count=30)
        stop = threading.Event()

        def churn():
            number = 0
            while not stop.is_set():
                number += 1
                folder = os.path.join(self.app.source, f"churn{number % 7}")
                shutil.rmtree(folder, ignore_errors=True)
                os.makedirs(folder, exist_ok=True)
                for name in range(30):
                    with open(os.path.join(folder, str(name)), "wb") as file:
                        file.write(b"x" * 5000)

        worker = threading.Thread(target=churn)
        worker.start()
        try:
            results = [self.app("backup", code=None) for _ in range(3)]
        finally:
            stop.set()
            worker.join()
        for result in results:
            self.assertIn(result.code, (0, 3), str(result))
            if result.code == 3:
                self.assertSays(result, "churn")
        self.app.check()
        target = self.app.restore("far", "--path", "stable")
        trees.assert_same(self, trees.below(stable), trees.below(target))

    def test_a_source_that_is_a_link_to_a_folder(self):
        """As releases are switched: what the link leads to is saved under the source's own path."""
        first, second = self.path("release1"), self.path("release2")
        trees.make_small(first)
        program.run(["cp", "-al", first, second], self.env)  # the same files
        os.chmod(first, 0o2751)
        os.rmdir(self.app.source)
        os.symlink(first, self.app.source)
        for summary in self.app.backup().values():
            self.assertEqual(summary["files_new"], 40, summary)
        self.assert_saved(first)
        # The link leads elsewhere; most files are as they were.
        trees.write(second + "/new", b"new")
        os.unlink(self.app.source)
        os.symlink("release2", self.path("relative"))
        os.symlink(self.path("relative"), self.app.source)  # over another link
        for summary in self.app.backup().values():
            self.assertEqual((summary["files_new"], summary["files_changed"],
                              summary["files_unmodified"]), (1, 0, 40), summary)
        self.assert_saved(second)
        shutil.rmtree(second)
        self.assert_refused(1, "does not exist", "mounted")
        os.mkdir(second)
        self.assert_refused(1, "empty", "--allow-empty")

    def assert_saved(self, folder):
        """What the source, a link, leads to comes back, from us and from restic."""
        def of(path):
            return trees.without(trees.describe(path), fields={"links"})

        for place in self.app.places:
            self.assertEqual(self.app.snapshots(place)[-1]["paths"], [self.app.source])
            trees.assert_same(self, of(folder), of(self.app.restore(place)), f"{folder} and {place}")
        restored = self.app.restic("near").restore() + self.app.source
        trees.assert_same(self, of(folder), of(restored), f"{folder} and what restic restores")
        self.app.check()

    def test_two_sources_one_of_which_fails(self):
        self.write("other/file", "x")
        with open(self.app.config, "a", encoding="utf-8") as file:
            file.write(f'\n[[files]]\nname = "other"\npath = "{self.path("other")}"\n')
        os.rmdir(self.app.source)
        result = self.app("backup", code=1)
        self.assertFailsWell(result, 1, "uploads", "does not exist")
        self.assertEqual([s["source"] for s in self.app.snapshots("near")], ["other"])


class Clock(program.Case):
    def setUp(self):
        super().setUp()
        self.app = app.App(self)
        self.repo = ["repo", "-r", self.app.repository("near"), "-p", self.app.password_file("near")]

    def test_a_snapshot_from_the_future_is_not_taken_for_the_newest(self):
        """The clock was wrong once: later backups neither compare with that snapshot nor think
        that it is fresh for ever."""
        trees.make_small(self.app.source, count=6)
        self.app.backup()
        self.sevenfold(*self.repo, "backup", "--time", "2099-01-01 00:00:00", self.app.source)
        self.write("app/source/new", "new")
        self.app.backup()
        future, last = (self.app.snapshots("near")[index] for index in (2, 1))
        self.assertIn("2099", future["time"])
        snapshots = {s["id"]: s for s in self.app.restic("near").snapshots()}
        self.assertNotEqual(snapshots[last["id"]].get("parent"), future["id"])
        result = self.app("status", code=None)
        self.assertSays(result, "near.*(future|clock|ahead)")

    def test_only_snapshots_from_the_future_and_a_source_that_is_suddenly_empty(self):
        """They are no snapshots to compare with, but they say that there were files."""
        trees.make_small(self.app.source, count=6)
        for place in self.app.places:
            self.sevenfold("repo", "-r", self.app.repository(place), "-p",
                           self.app.password_file(place), "backup", "--time",
                           "2099-01-01 00:00:00", self.app.source)
        shutil.rmtree(self.app.source)
        os.mkdir(self.app.source)
        self.assertFailsWell(self.app("backup", code=1), 1, "empty", "--allow-empty")
        for place in self.app.places:
            self.assertEqual(len(self.app.snapshots(place)), 1, "no new snapshot")
        self.app.backup("--allow-empty")

    def test_a_clock_that_went_back(self):
        """Times of snapshots go backwards; nothing is lost, each restores."""
        states = {}
        for step, when in enumerate(("2024-06-01 12:00:00", "2024-05-01 12:00:00",
                                     "1999-01-01 00:00:00")):
            self.write("app/source/file", f"step {step}")
            self.sevenfold(*self.repo, "backup", "--time", when, self.app.source)
            newest = {s["id"] for s in self.app.snapshots("near")} - set(states)
            self.assertEqual(len(newest), 1)
            states[newest.pop()] = trees.describe(self.app.source)
        for snapshot, state in states.items():
            trees.assert_same(self, state, self.app.restore("near", "--at", snapshot))
        self.app.restic("near").check()


if __name__ == "__main__":
    app.main()
