"""restore: whole, in part, at a time, in place; and what it refuses."""
import os
import stat
import time

import app
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

    def test_without_naming_a_place_the_first_that_works_is_taken(self):
        trees.make_small(self.app.source, count=6)
        self.app.backup()
        os.rename(self.app.repository("near"), self.path("lost"))
        result = self.restore()
        self.assertSays(result, "warning: .*near", "from far")
        trees.assert_same(self, self.app.source, self.path("back"))

    def test_links_in_the_target_are_not_followed(self):
        self.write("app/source/folder/file", "content")
        self.app.backup()
        outside = self.folder("outside")
        os.makedirs(self.path("back"))
        os.symlink(outside, self.path("back", "folder"))
        result = self.restore("--overwrite", "always", code=None)
        self.assertEqual(os.listdir(outside), [], str(result))

    def test_onto_a_full_disk(self):
        import disks
        trees.write(os.path.join(self.app.source, "large"), trees.random_bytes(6 << 20, 1))
        self.app.backup()
        disk = disks.SmallDisk(self, self.path("disk"), "3m")
        result = self.restore(target=disk.path + "/back", code=1)
        self.assertFailsWell(result, 1, "no space left", hint=False)
        disk.resize("20m")
        self.restore("--overwrite", "always", target=disk.path + "/back")
        trees.assert_same(self, self.app.source, disk.path + "/back")


if __name__ == "__main__":
    app.main()
