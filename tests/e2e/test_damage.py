"""Damaged and truncated repository files: found, named, and everything else still comes back."""
import json
import os
import re

import app
import program
import trees


class Damage(program.Case):
    def setUp(self):
        super().setUp()
        self.app = app.App(self)
        # Two files of their own packs, so that one can be lost alone.
        for name, seed in (("first", 1), ("second", 2)):
            trees.write(os.path.join(self.app.source, name), trees.random_bytes(300_000, seed))
            self.app.backup()
        self.state = trees.describe(self.app.source)
        self.near = self.app.repository("near")

    def files(self, kind):
        return sorted(os.path.join(folder, name) for folder, _, names in
                      os.walk(os.path.join(self.near, kind)) for name in names)

    def repo(self, *arguments, **options):
        return self.sevenfold("repo", "-r", self.near, "-p", self.app.password_file("near"),
                              *arguments, **options)

    def damage(self, path, how):
        os.chmod(path, 0o600)
        with open(path, "r+b") as file:
            content = file.read()
            if how == "flipped":
                file.seek(len(content) // 2)
                file.write(bytes([content[len(content) // 2] ^ 1]))
            elif how == "truncated":
                file.truncate(len(content) // 2)
            elif how == "empty":
                file.truncate(0)
            elif how == "garbage":
                file.seek(0)
                file.write(trees.random_bytes(len(content), 5))
        if how == "missing":
            os.unlink(path)
            return lambda: self.write(path, content)
        return lambda: self.write(path, content)

    HOW = ("flipped", "truncated", "empty", "garbage", "missing")

    def assert_far_still_restores(self):
        self.app.assert_restores(self.state, places=["far"])

    def test_the_config(self):
        for how in self.HOW:
            with self.subTest(how=how):
                repair = self.damage(os.path.join(self.near, "config"), how)
                code = 10 if how == "missing" else 1
                for command in (["snapshots"], ["check"], ["backup", self.app.source]):
                    result = self.repo(*command, code=None)
                    self.assertFailsWell(result, code, "config|no repository")
                # Never taken for an empty place and made anew.
                result = self.app("backup", code=1)
                self.assertSays(result, "near")
                self.assertSays(self.app("status", code=20), "near", "unreachable")
                result = self.app("restore", "uploads", "--target", self.path(f"back-{how}"))
                self.assertSays(result, "from far")
                repair()
        self.assertEqual(len(self.app.snapshots("near")), 2)

    def test_the_key(self):
        self.app = app.App(self, name="keys", real_keys=True)
        self.near = self.app.repository("near")
        key, = self.files("keys")
        for how in self.HOW:
            with self.subTest(how=how):
                repair = self.damage(key, how)
                result = self.repo("snapshots", code=None)
                self.assertIn(result.code, (1, 12), str(result))
                self.assertSays(result, "key|password")
                self.assertRegex(result.text, "hint:")
                repair()
        self.repo("snapshots")

    def test_an_index(self):
        for how in self.HOW:
            with self.subTest(how=how):
                path = self.files("index")[0]
                repair = self.damage(path, how)
                result = self.repo("check", code=1)
                self.assertFailsWell(result, 1, os.path.basename(path)[:8] if how != "missing"
                                     else "index|pack", hint=False)
                repair()
        self.repo("check", "--read-data")

    def test_a_snapshot(self):
        whole = {s["id"] for s in self.app.snapshots("near")}
        for how in ("flipped", "truncated", "empty", "garbage"):
            with self.subTest(how=how):
                path = self.files("snapshots")[0]
                name = os.path.basename(path)
                repair = self.damage(path, how)
                self.assertFailsWell(self.repo("check", code=1), 1, name[:8], hint=False)
                # The other snapshot is listed, and restores.
                other = (whole - {name}).pop()
                result = self.repo("restore", other, "--target", self.path(f"other-{how}"))
                listed = self.app("snapshots", "--place", "near", code=None)
                self.assertSays(listed, other[:8], name[:8])
                repair()

    def test_a_pack_of_file_content(self):
        biggest = sorted(self.files("data"), key=os.path.getsize)[-2:]
        for number, how in enumerate(self.HOW):
            with self.subTest(how=how):
                pack = biggest[number % 2]
                repair = self.damage(pack, how)
                result = self.repo("check", "--read-data", code=1)
                self.assertFailsWell(result, 1, os.path.basename(pack)[:8], hint=False)
                target = self.path(f"partly-{how}")
                result = self.repo("restore", "latest:" + self.app.source, "--target", target, code=1)
                damaged, = set(re.findall("first|second", result.text.split(target)[-1] +
                                          "".join(re.findall("error: (.*)", result.text))))
                intact = ({"first", "second"} - {damaged}).pop()
                self.assertEqual(trees.digest(f"{target}/{intact}"),
                                 trees.digest(f"{self.app.source}/{intact}"))
                repair()
        self.repo("check", "--read-data")

    def test_a_pack_of_trees(self):
        packs = sorted(self.files("data"), key=os.path.getsize)[:-2]
        for number, how in enumerate(self.HOW):
            with self.subTest(how=how):
                pack = packs[number % len(packs)]
                repair = self.damage(pack, how)
                self.assertFailsWell(self.repo("check", "--read-data", code=1), 1,
                                     os.path.basename(pack)[:8], hint=False)
                repair()
        self.assert_far_still_restores()

    def test_restoring_with_a_damaged_index(self):
        """What the other index files list comes back; the rest is named, and so is the damage."""
        path = min(self.files("index"), key=lambda file: os.stat(file).st_mtime_ns)
        for how in ("flipped", "truncated", "empty", "garbage"):
            with self.subTest(how=how):
                repair = self.damage(path, how)
                self.assert_restores_without("first", os.path.basename(path)[:8], self.path(how))
                repair()
        self.app.assert_restores(self.state)

    def assert_restores_without(self, lost, damaged, target):
        """All but `lost` comes back from near, by either command; both name what is damaged."""
        expected = trees.without(self.state, paths=[b"", lost.encode()])
        of_places = ["restore", "uploads", "--place", "near"]
        of_repository = ["restore", "latest:" + self.app.source]
        for number, (command, arguments) in enumerate(((self.app, of_places),
                                                       (self.repo, of_repository))):
            back = f"{target}-{number}"
            result = command(*arguments, "--target", back, code=1)
            self.assertSays(result, damaged, rf"\b{lost}\b")
            found = trees.without(trees.describe(back), paths=[b"", lost.encode()])
            trees.assert_same(self, expected, found, f"what is not damaged\n{result}")

    def test_restoring_with_a_truncated_pack_of_trees(self):
        """The folder whose tree it held is lost, what is beside it comes back."""
        trees.write(self.app.source + "/folder/inside", b"in a folder")
        self.app.backup()
        trees.write(self.app.source + "/third", b"after it")  # a new tree of the source
        self.app.backup()
        self.state = trees.describe(self.app.source)
        pack = self.pack_of(self.tree_of(self.app.source + "/folder"))
        for size in (10, 0):
            with self.subTest(size=size):
                content = self.read(pack)
                os.chmod(pack, 0o600)
                os.truncate(pack, size)
                self.assert_restores_without("folder", os.path.basename(pack)[:8],
                                             self.path(f"of-{size}"))
                self.write(pack, content)
        self.app.assert_restores(self.state)

    def tree_of(self, folder):
        """The id of a folder's tree in the newest snapshot at near."""
        restic = self.app.restic("near")
        tree = restic.snapshots()[-1]["tree"]
        for name in folder.strip("/").split("/"):
            tree, = (node["subtree"] for node in restic.tree(tree) if node["name"] == name)
        return tree

    def pack_of(self, blob):
        """The file of near in which a blob lies."""
        for index in self.files("index"):
            listed = json.loads(self.app.restic("near")("cat", "index", os.path.basename(index)).out)
            for pack in listed["packs"]:
                if any(entry["id"] == blob for entry in pack["blobs"]):
                    return os.path.join(self.near, "data", pack["id"][:2], pack["id"])
        return self.fail(f"no index lists {blob}")

    def test_a_backup_heals_what_it_can_read_again(self):
        pack = sorted(self.files("data"), key=os.path.getsize)[-1]
        self.damage(pack, "missing")
        index = self.app.restic("near")("rebuild-index")
        self.assertIn("rebuild", index.text)
        self.app.backup()
        self.app.assert_restores(self.state)
        self.app.check()

    def test_what_does_not_belong_there_is_left_alone(self):
        for name in ("README", "data/zz", "index/not-an-id", "snapshots/.hidden", "locks/short",
                     "data/00/" + "0" * 63 + "-tmp-1", "tmp/x"):
            self.write(os.path.join(self.near, name), "foreign")
        self.repo("check")
        self.app.backup()
        self.assertTrue(os.path.exists(os.path.join(self.near, "index/not-an-id")))

    def test_the_catalog_of_runs_is_not_needed(self):
        path = os.path.join(self.app.dir, "state", "catalog.sqlite")
        self.assertTrue(os.path.exists(path))
        with open(path, "wb") as file:
            file.write(trees.random_bytes(5000, 3))
        result = self.app("backup")
        self.assertSays(result, "warning", "catalog")
        self.app("status")


if __name__ == "__main__":
    app.main()
