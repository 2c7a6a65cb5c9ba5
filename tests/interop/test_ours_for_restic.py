"""We write; restic checks every byte, restores, and finds what was in the source."""
import os
import stat

import app
import program
import trees


class OursForRestic(program.Case):
    def setUp(self):
        super().setUp()
        self.app = app.App(self)

    def assert_restic_restores(self, place, expected):
        """restic 0.14 has neither sockets nor link targets that are not UTF-8."""
        restic = self.app.restic(place)
        restic.check()
        target = restic.restore()
        found = trees.describe(os.path.join(target, self.app.source.lstrip("/")))
        trees.assert_same(self, expected, found, f"source and what restic restores from {place}")

    def test_everything_a_file_system_holds(self):
        os.rmdir(self.app.source)
        trees.make_everything(self.app.source, bad_link_targets=False)
        self.app.backup()
        expected = trees.without(trees.describe(self.app.source), kinds={stat.S_IFSOCK})
        for place in self.app.places:
            self.assert_restic_restores(place, expected)

    def test_several_backups_of_a_changing_folder(self):
        trees.make_small(self.app.source, seed=1)
        states = []
        for step in range(3):
            with self.subTest(step=step):
                trees.write(os.path.join(self.app.source, "new", str(step)),
                            trees.random_bytes(200000, step))
                trees.write(os.path.join(self.app.source, "d1", "f001"), b"changed %d" % step)
                if step == 2:
                    os.unlink(os.path.join(self.app.source, "d2", "f002"))
                self.app.backup()
                states.append(trees.describe(self.app.source))
        for place in self.app.places:
            restic = self.app.restic(place)
            restic.check()
            snapshots = restic.snapshots()
            self.assertEqual(len(snapshots), 3)
            for snapshot, state in zip(snapshots, states):
                target = restic.restore(snapshot["id"])
                trees.assert_same(self, state, os.path.join(target, self.app.source.lstrip("/")))
            self.assertEqual([s.get("parent") for s in snapshots],
                             [None, snapshots[0]["id"], snapshots[1]["id"]])

    def test_a_snapshot_says_what_restic_expects_of_it(self):
        trees.make_small(self.app.source, count=5)
        self.app.set_source('tags = ["nightly", "web"]')
        self.app.backup()
        snapshot, = self.app.restic("near").snapshots()
        self.assertEqual(snapshot["paths"], [self.app.source])
        self.assertEqual(snapshot["hostname"], program.HOST)
        self.assertEqual(sorted(snapshot["tags"]), ["nightly", "web"])
        self.assertEqual(snapshot["username"], "root")

    def test_sparse_files_come_back_whole(self):
        path = os.path.join(self.app.source, "sparse")
        trees.write_sparse(path, 40 << 20, [(20 << 20, b"island"), ((40 << 20) - 1, b"!")])
        self.app.backup()
        target = self.app.restic("far").restore()
        self.assertEqual(trees.digest(target + path), trees.digest(path))

    def test_the_command_that_init_prints_works(self):
        trees.make_small(self.app.source, count=5)
        self.app.backup()
        folder = self.path("fresh")
        result = self.sevenfold("-c", f"{folder}/sevenfold.toml", "init", "-y", "--name", "x",
                                "--source", f"up={self.app.source}", "--place", f"a={folder}/a",
                                "--place", f"b={folder}/b")
        self.sevenfold("-c", f"{folder}/sevenfold.toml", "backup")
        line, = [line for line in result.out.splitlines() if line.strip().startswith("restic ")]
        command = line.replace("/tmp/back", self.path("printed"))
        done = program.run(["sh", "-c", command], self.env)
        self.assertEqual(done.code, 0, str(done))
        trees.assert_same(self, self.app.source, self.path("printed") + self.app.source)


if __name__ == "__main__":
    app.main()
