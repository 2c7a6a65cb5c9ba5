"""One repository, used by restic and by us in turn: backups, forget and prune, keys, locks."""
import json
import os
import shutil
import signal

import app
import program
import restic
import trees


class InTurn(program.Case):
    def setUp(self):
        super().setUp()
        self.repository = self.path("repository")
        self.password = self.secret("password", "first")
        self.restic = restic.Restic(self, self.repository, self.password)
        self.source = self.path("source")
        trees.make_small(self.source)

    def repo(self, *arguments, password=None, **options):
        return self.sevenfold("repo", "-r", self.repository, "-p", password or self.password,
                              *arguments, **options)

    def change(self, step):
        self.write(f"source/d{step % 5}/new{step}", trees.random_bytes(150_000, step))
        self.write("source/d1/f001", f"version {step}")
        if step % 3 == 2:
            os.unlink(self.path("source", f"d{(step - 1) % 5}", f"new{step - 1}"))

    def assert_restores(self, snapshot, expected):
        target = self.path("back")
        shutil.rmtree(target, ignore_errors=True)
        self.repo("restore", f"{snapshot}:{self.source}", "--target", target, "--verify")
        trees.assert_same(self, trees.below(expected), trees.below(target))

    def test_backups_with_prune_between(self):
        self.restic("init")
        states = {}
        for step in range(6):
            self.change(step)
            if step % 2 == 0:
                self.repo("backup", self.source)
            else:
                self.restic("backup", self.source)
            states[self.restic.snapshots()[-1]["id"]] = trees.describe(self.source)
            if step in (2, 4):
                victim = next(iter(states))
                self.restic("forget", "--prune", victim, "--max-unused", "0", "--repack-cacheable-only"
                            if step == 4 else "--repack-small", code=None)
                del states[victim]
        self.assertEqual([s["id"] for s in self.restic.snapshots()], list(states))
        for snapshot, state in states.items():
            self.assert_restores(snapshot, state)
        self.restic.check()
        self.repo("check", "--read-data")

    def test_each_takes_the_others_snapshot_as_its_parent(self):
        self.restic("init")
        self.repo("backup", self.source)
        text = self.restic("--json", "backup", self.source).out.splitlines()[-1]
        summary = json.loads(text)
        self.assertEqual((summary["files_new"], summary["files_changed"]), (0, 0), text)
        self.assertEqual(summary["data_blobs"], 0)
        ours = self.repo("--json", "backup", self.source).json()[-1]
        self.assertEqual((ours["files_new"], ours["files_changed"]), (0, 0), ours)
        first, second, third = self.restic.snapshots()
        self.assertEqual([second["parent"], third["parent"]], [first["id"], second["id"]])
        above = self.dir.strip("/").split("/")
        one, two, three = (self.restic.tree_below(s["tree"], above) for s in (first, second, third))
        self.assertEqual([one, one], [two, three])

    def test_data_that_prune_removed_is_stored_again(self):
        """Blobs that the parent's tree names but no pack holds any more: found missing, read again."""
        self.restic("init")
        self.repo("backup", self.source)
        keep = self.path("keep")
        shutil.copytree(self.source, keep)
        packs = [os.path.join(folder, name) for folder, _, names in
                 os.walk(os.path.join(self.repository, "data")) for name in names]
        biggest = max(packs, key=os.path.getsize)
        os.unlink(biggest)
        self.restic("rebuild-index")
        summary = self.repo("--json", "backup", self.source).json()[-1]
        self.assertGreater(summary["data_blobs"], 0, summary)
        self.restic.check()
        self.assert_restores("latest", trees.describe(self.source))

    def test_keys_of_either_open_with_the_other(self):
        self.restic.real_keys = True
        self.restic("init")
        self.repo("backup", self.source)
        second = self.secret("second", "zweites Paßwort")
        self.restic("key", "add", "--new-password-file", second)
        self.repo("restore", "latest", "--target", self.path("by-second"), password=second)
        third = self.secret("third", "third")
        self.repo("key", "add", "--new-password-file", third)
        self.restic("snapshots", env={"RESTIC_PASSWORD_FILE": third})
        keys = self.restic.json("key", "list")
        self.assertEqual(len(keys), 3)
        self.repo("key", "passwd", "--new-password-file", self.secret("fourth", "fourth"))
        self.restic("snapshots", env={"RESTIC_PASSWORD_FILE": self.path("fourth")})
        self.assertFailsWell(self.repo("backup", self.source, code=12), 12, "password")

    def test_our_locks_stop_restic_and_its_locks_stop_us(self):
        self.restic("init")
        self.repo("backup", self.source)
        checking = self.restic.stopped_with_its_lock()
        result = self.repo("backup", self.source, "--allow-empty", code=11)
        self.assertFailsWell(result, 11, "lock", str(checking.process.pid))
        # A reader needs no lock that an exclusive one forbids, unless restic would take one.
        self.repo("--no-lock", "restore", "latest", "--target", self.path("read"))
        checking.send(signal.SIGCONT)
        checking.stop()
        # The same computer, and the process is gone: the lock is stale, and goes when asked.
        self.repo("unlock")
        self.repo("backup", self.source)

    def test_restic_waits_for_our_backup(self):
        self.restic("init")
        trees.write(self.source + "/large", trees.random_bytes(60 << 20, 1))
        ours = self.start("repo", "-r", self.repository, "-p", self.password, "backup",
                          "--limit-upload", "300", self.source)
        program.wait_for(self.restic.locks, "our lock is there")
        self.assertTrue(ours.freeze())
        refused = self.restic("prune", code=None)
        self.assertNotEqual(refused.code, 0)
        self.assertRegex(refused.text, "already locked", str(refused))
        self.restic("backup", self.path("password"))  # two writers are no conflict
        ours.send(signal.SIGCONT)
        ours.send(signal.SIGINT)
        self.assertCode(ours.finish(), 130)
        self.assertEqual(self.restic.locks(), [])
        self.restic("prune")


if __name__ == "__main__":
    app.main()
