"""A place that is full or down: the others get their snapshot, and it catches up afterwards."""
import os
import shutil

import app
import disks
import program
import trees


class Places(program.Case):
    def setUp(self):
        super().setUp()
        self.app = app.App(self)

    def assert_only_failed(self, broken, result, reason, state):
        """The others have their snapshot; backup and status say who has not, and why."""
        self.assertNotIn(result.code, (0, 3), str(result))
        self.assertSays(result, rf"{broken}[^\n]*{reason}")
        working = [place for place in self.app.places if place != broken]
        self.app.assert_restores(places=working)
        holds = len(working) >= 2 or state == "good"
        copies = self.app.copies(code=0 if holds else 20)
        self.assertEqual(copies[broken]["state"], state, copies)
        said = copies[broken].get("error" if state == "unreachable" else "last_run_error", "")
        self.assertRegex(said, f"(?i){reason}", copies)
        for place in working:
            self.assertEqual(copies[place]["state"], "good", copies)
        self.assertSays(self.app("status", code=None), rf"\b{broken}\s[^\n]*\b{state}\b",
                        rf"uploads at {broken}: [^\n]*{reason}")

    def assert_catches_up(self):
        self.app.backup()
        self.app.check()
        self.app.assert_restores()
        self.app("status")

    def disk(self, place, size):
        """Puts a place on a small disk."""
        repository = self.app.repository(place)
        kept = repository + ".kept"
        os.rename(repository, kept)
        disk = disks.SmallDisk(self, repository, size)
        shutil.copytree(kept, repository, dirs_exist_ok=True)
        return disk

    def test_the_disk_fills_at_each_kind_of_write(self):
        """Space for nothing, for a lock, for some packs, for all packs but no index, …: each
        amount ends in another write."""
        trees.write(self.app.source + "/random", trees.random_bytes(9 << 20, 1))
        trees.make_small(self.app.source + "/small", count=20)
        disk = self.disk("far", "64m")
        page = 4096
        # 9 MiB + 1.5 MB of packs are written; the last amounts end in a pack of trees, an index and
        # the snapshot.
        needed = self.space_needed()
        for leave in (0, 1 * page, 2 * page, 40 * page, 3 << 20, needed - 12 * page,
                      needed - 2 * page, needed - page):
            with self.subTest(leave=leave):
                for place in self.app.places:
                    self.empty(place)
                disk.fill(leave)
                result = self.app("backup", code=None)
                if result.code == 0:  # the estimate is some pages off: then it fitted
                    self.assertGreaterEqual(leave, needed - 12 * page)
                else:
                    self.assert_only_failed("far", result, "no space left", "missing")
                disk.release()
                self.assert_catches_up()

    def used(self, place):
        """By the files of a place, in whole pages."""
        pages = 0
        for folder, _, names in os.walk(self.app.repository(place)):
            pages += sum(-(-os.path.getsize(os.path.join(folder, name)) // 4096) for name in names)
        return pages * 4096

    def space_needed(self):
        """What a first backup takes at a place."""
        before = self.used("near")
        self.app.backup()
        return self.used("near") - before

    def empty(self, place):
        for kind in ("data", "index", "snapshots", "locks"):
            for folder, _, names in os.walk(os.path.join(self.app.repository(place), kind)):
                for name in names:
                    os.unlink(os.path.join(folder, name))

    def test_either_place_may_be_the_full_one(self):
        trees.write(self.app.source + "/random", trees.random_bytes(6 << 20, 1))
        for place, state in zip(self.app.places, ("missing", "good")):  # far has an older copy
            with self.subTest(place=place):
                # Room for what is there and 2 MiB.
                disk = self.disk(place, str(self.used(place) + (2 << 20)))
                result = self.app("backup", code=None)
                self.assert_only_failed(place, result, "no space left", state)
                disk.resize("40m")
                self.assert_catches_up()
                self.write(f"app/source/after-{place}", trees.random_bytes(7 << 20, place))

    def test_both_places_full(self):
        trees.write(self.app.source + "/random", trees.random_bytes(6 << 20, 1))
        full = [self.disk(place, "3m") for place in self.app.places]
        result = self.app("backup", code=1)
        self.assertFailsWell(result, 1, "near[^\n]*no space", "far[^\n]*no space", hint=False)
        self.app("status", code=20)
        for disk in full:
            disk.resize("40m")
        self.assert_catches_up()

    def test_a_place_that_is_not_mounted(self):
        trees.make_small(self.app.source)
        self.app.backup()
        self.write("app/source/new", "new")
        os.rename(self.app.repository("far"), self.path("away"))
        result = self.app("backup", code=None)
        self.assert_only_failed("far", result, "no repository", "unreachable")
        self.assertFalse(os.path.exists(self.app.repository("far")), "it is not made up for")
        os.rename(self.path("away"), self.app.repository("far"))
        self.assert_catches_up()

    def test_no_place_at_all(self):
        trees.make_small(self.app.source, count=3)
        for place in self.app.places:
            os.rename(self.app.repository(place), self.path("away-" + place))
        result = self.app("backup", code=10)
        self.assertFailsWell(result, 10, "no place", "near")
        result = self.app("restore", "uploads", "--target", self.path("x"), code=10)
        self.assertFailsWell(result, 10, "no repository")

    def test_a_place_that_cannot_be_written(self):
        trees.make_small(self.app.source, count=5)
        disk = self.disk("near", "20m")
        program.run(["mount", "-o", "remount,ro", disk.path], self.env)
        result = self.app("backup", code=None)
        self.assert_only_failed("near", result, "read-only", "missing")
        program.run(["mount", "-o", "remount,rw", disk.path], self.env)
        self.assert_catches_up()

    def test_one_of_three_places_down_leaves_the_rule(self):
        three = app.App(self, places=3, name="three")
        trees.make_small(three.source, count=5)
        os.rename(three.repository("third"), self.path("away"))
        result = three("backup", code=1)
        self.assertSays(result, "third[^\n]*no repository")
        self.assertSays(three("status"), "rule 1 holds", "third")

    def test_catching_up_does_not_need_the_unchanged_files_at_the_good_place(self):
        """Two runs were missed: afterwards the place has a complete copy, not what changed last."""
        trees.make_small(self.app.source)
        os.rename(self.app.repository("far"), self.path("away"))
        for step in range(2):
            self.write(f"app/source/step{step}", trees.random_bytes(100_000, step))
            self.app("backup", code=1)
        os.rename(self.path("away"), self.app.repository("far"))
        summary = self.app.backup()
        self.assertEqual(summary["near"]["data_blobs"], 0)
        self.assertGreater(summary["far"]["data_blobs"], 20)
        self.app.check()
        self.app.assert_restores()


if __name__ == "__main__":
    app.main()
