"""Ctrl-C, resuming, and more than one process at a time."""
import os
import signal

import app
import program
import trees


class Interrupt(program.Case):
    def setUp(self):
        super().setUp()
        self.app = app.App(self)

    def count(self, *parts):
        return sum(len(names) for _, _, names in os.walk(os.path.join(*parts)))

    def test_an_interrupted_backup_goes_on_where_it_was(self):
        size, number = 1 << 20, 60
        for index in range(number):
            trees.write(f"{self.app.source}/{index:03}", trees.random_bytes(size, index))
        for place in self.app.places:
            self.app.set(place, 'upload_limit = "12MiB"\npack_size = "4MiB"')
        packs = os.path.join(self.app.repository("near"), "data")
        running = self.app.start("backup")
        program.wait_for(lambda: self.count(packs) >= 5 or not running.alive(), "five packs are there")
        running.send(signal.SIGINT)
        result = running.finish()
        self.assertFailsWell(result, 130, "interrupted", hint=False)
        for place in self.app.places:
            self.assertEqual(self.app.snapshots(place), [], "what is not complete is no snapshot")
            self.assertEqual(self.count(self.app.repository(place), "locks"), 0)
        for place in self.app.places:
            self.app.edit(f'name = "{place}"\nupload_limit = "12MiB"', f'name = "{place}"')
        summary = self.app.backup()
        for place in self.app.places:
            self.assertLess(summary[place]["data_added"], (number - 10) * size, "sent again")
        self.app.check()
        self.app.assert_restores()

    def test_what_was_finished_is_not_read_again(self):
        """Seen in the kernel's own count of bytes read by the process (/proc/PID/io)."""
        size, number = 1 << 20, 40
        for index in range(number):
            trees.write(f"{self.app.source}/{index:03}", trees.random_bytes(size, index))
        for place in self.app.places:
            self.app.set(place, 'upload_limit = "10MiB"\npack_size = "4MiB"')
        packs = os.path.join(self.app.repository("near"), "data")
        running = self.app.start("backup")
        program.wait_for(lambda: self.count(packs) >= 4 or not running.alive(), "four packs are there")
        running.send(signal.SIGINT)
        self.assertCode(running.finish(), 130)
        running = self.app.start("backup")
        read = 0
        while running.alive():
            try:
                with open(f"/proc/{running.process.pid}/io", encoding="ascii") as file:
                    read = max(read, int(file.readline().split()[1]))
            except (OSError, ValueError, IndexError):
                break
            program.threading.Event().wait(0.005)
        self.assertCode(running.finish(), 0)
        self.assertLess(read, (number - 8) * size, "bytes read in the second run")

    def test_terminated_as_a_service_is(self):
        trees.write(self.app.source + "/random", trees.random_bytes(30 << 20, 1))
        self.app.set("near", 'upload_limit = "2MiB"')
        running = self.app.start("backup")
        locks = os.path.join(self.app.repository("near"), "locks")
        program.wait_for(lambda: self.count(locks), "the place is locked")
        running.send(signal.SIGTERM)
        self.assertCode(running.finish(), 130)
        self.assertEqual(self.count(locks), 0)

    def test_an_interrupted_restore_is_completed_by_another(self):
        for index in range(40):
            trees.write(f"{self.app.source}/d{index % 4}/{index:03}", trees.random_bytes(600_000, index))
        self.app.backup()
        self.app.set("near", 'download_limit = "6MiB"')
        target = self.path("target")
        command = ["restore", "uploads", "--place", "near", "--target", target]
        running = self.app.start(*command)
        program.wait_for(lambda: self.count(target) > 3 or not running.alive(), "files are there")
        running.send(signal.SIGINT)
        self.assertCode(running.finish(), 130)
        self.app.edit('download_limit = "6MiB"', "")
        lines = self.app("--json", *command, "--overwrite", "always").json()
        self.assertGreater(lines[-1]["files_unchanged"] + lines[-1]["bytes_unchanged"], 0, lines)
        trees.assert_same(self, self.app.source, target)

    def test_two_backups_at_once(self):
        trees.make_small(self.app.source, count=60)
        both = [self.app.start("--json", "backup") for _ in range(2)]
        for running in both:
            self.assertCode(running.finish(), 0)
        for place in self.app.places:
            self.assertEqual(len(self.app.snapshots(place)), 2)
        self.app.check()
        self.app.assert_restores()

    def test_backups_of_two_sources_to_the_same_places_at_once(self):
        trees.make_small(self.app.source, seed=1)
        trees.make_small(self.path("other"), seed=2)
        with open(self.app.config, "a", encoding="utf-8") as file:
            file.write(f'\n[[files]]\nname = "other"\npath = "{self.path("other")}"\n')
        both = [self.app.start("backup", name) for name in ("uploads", "other")]
        for running in both:
            self.assertCode(running.finish(), 0)
        self.app("status")
        self.app.check()

    def test_a_place_locked_by_somebody_else(self):
        """restic's exclusive lock at one place: the other is fed, and waiting helps."""
        trees.make_small(self.app.source)
        self.app.backup()
        restic = self.app.restic("far")
        holder = restic.stopped_with_its_lock()
        result = self.app("backup", "--retry-lock", "1s", code=None)
        self.assertFailsWell(result, 1, "far[^\n]*lock", hint=False)
        self.assertEqual(len(self.app.snapshots("near")), 2)
        running = self.app.start("backup", "--retry-lock", "5m")
        program.wait_for(lambda: self.count(self.app.repository("near"), "locks") or
                         not running.alive(), "our backup has begun")
        holder.send(signal.SIGCONT)
        holder.process.wait(program.TIMEOUT)
        self.assertCode(running.finish(), 0)
        self.app.check()


if __name__ == "__main__":
    app.main()
