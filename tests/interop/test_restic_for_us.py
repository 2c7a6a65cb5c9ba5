"""restic writes, version 1 and 2, compressed or not; we restore, check and back up on top."""
import os
import stat

import app
import program
import restic
import trees


class ResticForUs(program.Case):
    def setUp(self):
        super().setUp()
        self.repository = self.path("repository")
        self.password = self.secret("password", "pass wörd")
        self.restic = restic.Restic(self, self.repository, self.password)
        self.source = self.path("source")

    def repo(self, *arguments, **options):
        return self.sevenfold("repo", "-r", self.repository, "-p", self.password, *arguments,
                              **options)

    def summary(self, *arguments):
        lines = self.repo("--json", "backup", *arguments).json()
        return [line for line in lines if line.get("message_type") == "summary"][0]

    def test_everything_from_every_kind_of_repository(self):
        trees.make_everything(self.source, bad_link_targets=False)
        expected = trees.without(trees.describe(self.source), kinds={stat.S_IFSOCK})
        for version, mode in (("1", "auto"), ("2", "auto"), ("2", "max"), ("2", "off")):
            with self.subTest(version=version, compression=mode):
                self.repository = self.path(f"repository-{version}-{mode}")
                self.restic = restic.Restic(self, self.repository, self.password)
                self.restic("init", "--repository-version", version)
                self.restic("backup", self.source, *(["--compression", mode] if version == "2" else []))
                target = self.path(f"back-{version}-{mode}")
                self.repo("restore", "latest:" + self.source, "--target", target, "--device-nodes",
                          "--verify")
                trees.assert_same(self, trees.below(expected), trees.below(target))
                on_top = self.summary(self.source)
                self.assertEqual(on_top["files_new"] + on_top["files_changed"], 0, on_top)
                self.assertEqual(on_top["data_blobs"], 0)
                first, second = self.restic.snapshots()
                self.assertEqual(second["parent"], first["id"])
                above = self.dir.strip("/").split("/")
                self.assertEqual(*[self.restic.tree_below(s["tree"], above) for s in (first, second)])
                self.restic.check()

    def change_behind_the_times(self, path, content):
        """The same size and the same time of modification; only the change time moves."""
        info = os.stat(path)
        self.assertGreaterEqual(info.st_size, len(content))
        with open(path, "r+b") as file:
            file.write(content)
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))

    def test_our_backup_on_top_does_not_read_unchanged_files(self):
        """A file whose content changed behind its times is taken over from the parent: so it was
        not read."""
        self.restic("init")
        trees.make_small(self.source)
        self.restic("backup", self.source)
        before = trees.describe(self.source)
        path = os.path.join(self.source, "d2", "f002")
        self.change_behind_the_times(path, b"XXXX")
        summary = self.summary("--ignore-ctime", self.source)
        self.assertEqual((summary["files_changed"], summary["files_new"]), (0, 0), summary)
        self.repo("restore", "latest:" + self.source, "--target", self.path("back"))
        trees.assert_same(self, trees.below(before), trees.below(self.path("back")))
        # Where change times are looked at, it is read.
        self.change_behind_the_times(path, b"YYYY")
        summary = self.summary(self.source)
        self.assertEqual((summary["files_changed"], summary["files_new"]), (1, 0), summary)
        self.repo("restore", "latest:" + self.source, "--target", self.path("now"))
        trees.assert_same(self, trees.below(self.source), trees.below(self.path("now")))

    def test_large_repositories_of_many_packs(self):
        self.restic("init")
        trees.write(self.source + "/random", trees.random_bytes(40 << 20, 4))
        trees.make_small(self.source + "/small", count=300)
        self.restic("backup", "--pack-size", "4", self.source)
        self.repo("restore", "latest:" + self.source, "--target", self.path("back"), "--verify")
        trees.assert_same(self, trees.below(self.source), trees.below(self.path("back")))

    def test_snapshots_with_another_host_tag_or_path(self):
        self.restic("init")
        for name in ("one", "two"):
            self.write(f"{name}/file", name)
        self.restic("backup", "--host", "web1", "--tag", "a,b", self.path("one"))
        self.restic("backup", "--host", "web2", "--tag", "c", self.path("two"))
        for number, chosen in enumerate((["--host", "web1"], ["--tag", "a,b"],
                                         ["--path", self.path("one")])):
            target = self.path(f"back{number}")
            self.repo("restore", "latest", *chosen, "--target", target)
            trees.assert_same(self, trees.below(self.path("one")), trees.below(target + self.path("one")))
        self.assertFailsWell(self.repo("restore", "latest", "--host", "web3", "--target",
                                       self.path("none"), code=1), 1, "snapshot", hint=False)
        self.assertFalse(os.path.exists(self.path("none")))

    def test_snapshots_restic_edited_and_forgot(self):
        self.restic("init")
        trees.make_small(self.source, count=8)
        for number in range(3):
            self.write("source/counter", str(number))
            self.restic("backup", self.source)
        ids = [snapshot["id"] for snapshot in self.restic.snapshots()]
        self.restic("tag", "--set", "good", ids[2])
        self.restic("forget", "--prune", ids[0])
        self.repo("restore", "latest:" + self.source, "--tag", "good", "--target", self.path("back"))
        trees.assert_same(self, trees.below(self.source), trees.below(self.path("back")))
        result = self.repo("restore", ids[0], "--target", self.path("gone"), code=1)
        self.assertFailsWell(result, 1, ids[0][:8], hint=False)

    def test_a_repository_we_made_for_restic_alone(self):
        self.repo("init")
        trees.make_small(self.source)
        self.restic("backup", self.source)
        self.restic.check()
        self.restic("prune")
        self.repo("restore", "latest:" + self.source, "--target", self.path("back"))
        trees.assert_same(self, trees.below(self.source), trees.below(self.path("back")))

    def test_a_repository_that_cuts_files_as_another_does(self):
        self.restic("init")
        first = self.restic("cat", "config").out
        other = restic.Restic(self, self.path("other"), self.password)
        self.sevenfold("repo", "-r", self.path("other"), "-p", self.password, "init",
                       "--from-repo", self.repository)
        ours = other("cat", "config").out
        cut = '"chunker_polynomial"'
        lines = [[line for line in text.splitlines() if cut in line] for text in (first, ours)]
        self.assertEqual(*lines)


if __name__ == "__main__":
    app.main()
