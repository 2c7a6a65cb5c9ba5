"""The same files get the same ids from restic and from us, down to the root of the tree."""
import os
import shutil

import app
import program
import restic
import trees

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]


class TreeIds(program.Case):
    def setUp(self):
        super().setUp()
        self.repository = self.path("repository")
        self.password = self.secret("password", "geheim")
        self.restic = restic.Restic(self, self.repository, self.password)
        self.restic("init")

    def ours(self, *arguments, **options):
        return self.sevenfold("--json", "repo", "-r", self.repository, "-p", self.password,
                              "backup", *arguments, **options)

    def assert_equal_trees(self, *targets, options=(), cwd=None, zone="UTC"):
        """Backs targets up with both and returns the id of the tree of the test's folder."""
        env = {"TZ": zone}
        self.restic("backup", "--force", *options, *targets, env=env, cwd=cwd)
        self.ours("--force", *options, *targets, env=env, cwd=cwd)
        theirs, ours = self.restic.snapshots()[-2:]
        above = self.dir.strip("/").split("/")
        pair = [self.restic.tree_below(snapshot["tree"], above) for snapshot in (theirs, ours)]
        if pair[0] != pair[1]:
            self.fail("trees differ:\n" + self.first_difference(*pair))
        self.assertEqual(theirs["paths"], ours["paths"])
        return str(pair[0])

    def first_difference(self, theirs, ours, path=""):
        """Of two lists of nodes, and of the folders below."""
        names = [[node["name"] for node in nodes] for nodes in (theirs, ours)]
        if names[0] != names[1]:
            return f"{path}/: restic has {names[0]}\nand we have {names[1]}"
        for a, b in zip(theirs, ours):
            if a == b:
                continue
            if isinstance(a.get("subtree"), list):
                return self.first_difference(a["subtree"], b["subtree"], path + "/" + a["name"])
            same_else = {**a, "subtree": None} == {**b, "subtree": None}
            if same_else and a.get("subtree") and b.get("subtree"):
                below = [self.restic.tree(node["subtree"]) for node in (a, b)]
                return self.first_difference(*below, path + "/" + a["name"])
            return f"{path}/{a['name']}: restic has {a}\nand we have {b}"
        return f"{path}/: the same nodes, written differently"

    def test_everything_in_several_zones(self):
        source = self.path("source")
        # restic 0.14 loses link targets that are not UTF-8; we keep them, as later restics do.
        trees.make_everything(source, bad_link_targets=False)
        ids = {self.assert_equal_trees(source, zone=zone) for zone in ZONES}
        self.assertEqual(len(ids), len(ZONES), "times carry their zone, so ids differ by zone")
        self.restic.check()

    def test_repositories_of_version_1(self):
        shutil.rmtree(self.repository)
        self.restic("init", "--repository-version", "1")
        trees.make_small(self.path("source"))
        self.assert_equal_trees(self.path("source"))
        self.restic.check()

    def test_targets_as_people_give_them(self):
        trees.make_small(self.path("work", "a"), seed=1, count=6)
        trees.make_small(self.path("work", "b"), seed=2, count=6)
        trees.make_small(self.path("other", "a"), seed=3, count=6)
        work = self.path("work")
        for targets in (["."], ["a"], ["a", "b"], ["a/d1", "b"], ["./a/"], ["../work/a"],
                        ["a", "../other/a"], [self.path("other"), "a"], ["a/d1/f001"],
                        ["a/d1", "a/d2"]):
            with self.subTest(targets=targets):
                self.assert_equal_trees(*targets, cwd=work)

    def test_excludes_leave_out_the_same(self):
        source = self.path("source")
        for name in ("a.tmp", "b.TMP", "keep.txt", "sub/a.tmp", "sub/deep/x.log", "sub/deep/y",
                     "node_modules/pkg/index.js", "cache/CACHEDIR.TAG", "cache/blob", "skip/.nobackup",
                     "skip/secret", "big", "sub/[odd]", "a b/c d"):
            content = b"Signature: 8a477f597d28d172789f06886806bc55 x" if "TAG" in name else b"x"
            self.write(f"source/{name}", content * (3000 if name == "big" else 1))
        for options in (["--exclude", "*.tmp"], ["--iexclude", "*.tmp"],
                        ["--exclude", "sub/**/x.log"], ["--exclude", "node_modules"],
                        ["--exclude", source + "/sub"], ["--exclude", "su?/deep"],
                        ["--exclude-caches"], ["--exclude-if-present", ".nobackup"],
                        ["--exclude-larger-than", "1K"], ["--exclude", "sub/*", "--exclude", "!sub/deep"],
                        ["--exclude", "[ab].*"], ["--exclude", "a b"]):
            with self.subTest(options=options):
                self.assert_equal_trees(source, options=options)

    def test_large_files_are_cut_alike(self):
        source = self.folder("source")
        trees.write(source + "/random", trees.random_bytes(24 << 20, 1))
        trees.write(source + "/text", trees.words(12 << 20, 2))
        trees.write(source + "/zeros", bytes(5 << 20))
        trees.write(source + "/periodic", (bytes(range(256)) * 4096)[:-77] * 9)
        trees.write_sparse(source + "/sparse", 60 << 20, [(30 << 20, trees.random_bytes(3 << 20, 3))])
        self.restic("backup", source)
        theirs = self.data_blobs()
        self.assertGreater(len(theirs), 20)
        self.assert_equal_trees(source)
        # Had we cut one chunk differently, the repository would hold more; or the same one twice.
        self.assertEqual(self.data_blobs(), theirs)
        self.restic.check()

    def data_blobs(self):
        lines = self.restic("list", "blobs").out.splitlines()
        return sorted(line for line in lines if line.startswith("data "))


if __name__ == "__main__":
    app.main()
