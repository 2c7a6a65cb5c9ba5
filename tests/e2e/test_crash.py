"""Killed at any moment: a later backup succeeds, every repository checks, restores are exact."""
import os
import random
import signal
import time

import app
import program
import trees

SEED = int(os.environ.get("SEVENFOLD_TEST_SEED", "20261122"))
KILLS, MOST_ROUNDS = 9, 60


class Crash(program.Case):
    def setUp(self):
        super().setUp()
        self.app = app.App(self)

    def grow(self, step):
        """About 6 MB of changes a round, in few and many files."""
        trees.write(os.path.join(self.app.source, "large", str(step % 4)),
                    trees.random_bytes(4 << 20, step))
        trees.make_small(os.path.join(self.app.source, f"small{step % 3}"), seed=step, count=30)

    def test_backups_killed_at_random_moments(self):
        rng = random.Random(SEED)
        print(f"SEVENFOLD_TEST_SEED={SEED}", flush=True)
        self.grow(0)
        self.app.backup()
        self.grow(1)  # the first backup is not like the later ones
        whole = self.seconds_of_a_backup()
        killed, step = 0, 1
        acknowledged = self.ids()
        while killed < KILLS:
            step += 1
            self.assertLess(step, MOST_ROUNDS, f"seed {SEED}: hardly ever killed in time")
            self.grow(step)
            start = time.monotonic()
            running = self.app.start("backup")
            try:
                running.process.wait(rng.uniform(0, 1) * whole)
            except program.subprocess.TimeoutExpired:
                running.send(signal.SIGKILL)
            result = running.finish()
            if result.code != -signal.SIGKILL:
                self.assertCode(result, 0)
                whole = time.monotonic() - start
                continue
            killed += 1
            if killed % 3 == 0:
                # Nothing that was there is gone, and the next backup goes through.
                self.assertLessEqual(acknowledged, self.ids())
                whole = self.seconds_of_a_backup()
                acknowledged = self.ids()
                self.app.check()
                self.app.assert_restores()

    def seconds_of_a_backup(self):
        start = time.monotonic()
        self.app.backup()
        return time.monotonic() - start

    def ids(self):
        return {snapshot["id"] for place in self.app.places for snapshot in self.app.snapshots(place)}

    def test_killed_at_each_kind_of_file(self):
        """As soon as a lock, a pack, an index, a snapshot appears at one of the places."""
        for number, kind in enumerate(("locks", "data", "index", "snapshots") * 2):
            with self.subTest(kind=kind):
                self.grow(number)
                folder = os.path.join(self.app.repository(app.PLACES[number % 2]), kind)
                before = self.count(folder)
                running = self.app.start("backup")
                program.wait_for(lambda: self.count(folder) > before or not running.alive(),
                                 f"something new in {kind}")
                running.send(signal.SIGKILL)
                running.finish()
        self.app.backup()
        self.app.check()
        self.app.assert_restores()
        for place in self.app.places:
            # What was still being written keeps its temporary name, and stays for a day.
            left = [name for name in os.listdir(os.path.join(self.app.repository(place), "locks"))
                    if "-tmp-" not in name]
            self.assertEqual(left, [], "locks of killed processes are cleared away")

    @staticmethod
    def count(folder):
        return sum(len(names) for _, _, names in os.walk(folder))

    def test_a_killed_restore_is_completed_by_another(self):
        for step in range(4):
            self.grow(step)
        self.app.backup()
        target = self.path("target")
        command = ["restore", "uploads", "--target", target]
        running = self.app.start(*command)
        program.wait_for(lambda: os.path.isdir(target) and self.count(target) > 5 or
                         not running.alive(), "some files are there")
        running.send(signal.SIGKILL)
        running.finish()
        self.app(*command, "--overwrite", "always")
        trees.assert_same(self, self.app.source, target)

    def test_a_killed_init_is_completed_by_another(self):
        config = self.path("new", "sevenfold.toml")
        places = [f"--place={name}={self.path('new', name)}" for name in ("a", "b")]
        self.write("new/source/file", "x")
        running = self.start("-c", config, "init", "-y", "--name", "x",
                             f"--source=s={self.path('new/source')}", *places)
        program.wait_for(lambda: os.path.exists(self.path("new", "a")) or not running.alive(),
                         "the first repository is being made")
        running.send(signal.SIGKILL)
        running.finish()
        self.sevenfold("-c", config, "init", "--repositories")
        self.sevenfold("-c", config, "backup")
        self.sevenfold("-c", config, "status")


if __name__ == "__main__":
    app.main()
