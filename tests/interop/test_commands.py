"""The same question to restic and to us about the same repository: the same answer."""
import json
import os
import tarfile

import app
import program
import restic
import trees


class Commands(program.Case):
    def setUp(self):
        super().setUp()
        self.repository = self.path("repository")
        self.password = self.secret("password", "geheim")
        self.restic = restic.Restic(self, self.repository, self.password)
        self.restic("init")
        self.source = self.path("source")
        trees.make_small(self.source, count=25)
        for name in trees.ODD_NAMES[:12]:
            trees.write(os.path.join(os.fsencode(self.source), b"odd", name), b"odd")
        self.repo("backup", "--tag", "one", self.source)
        self.write("source/d1/f001", "changed")
        self.write("source/added", "added")
        os.unlink(self.path("source", "d2", "f002"))
        self.restic("backup", "--tag", "two", self.source)

    def repo(self, *arguments, **options):
        return self.sevenfold("repo", "-r", self.repository, "-p", self.password, *arguments,
                              **options)

    def both(self, *arguments):
        return self.restic(*arguments).out, self.repo(*arguments).out

    @staticmethod
    def objects(text):
        """restic writes one array where we write an object a line."""
        found = [json.loads(line) for line in text.split("\n") if line]
        return found[0] if len(found) == 1 and isinstance(found[0], list) else found

    def nodes(self, text):
        lines = self.objects(text)
        return [line for line in lines if line.get("struct_type") == "node" or
                line.get("message_type") == "node"]

    def test_snapshots(self):
        theirs, ours = (self.objects(text) for text in self.both("--json", "snapshots"))
        fields = ("id", "time", "tree", "paths", "hostname", "tags", "parent")
        pick = [[{field: snapshot.get(field) for field in fields} for snapshot in side]
                for side in (theirs, ours)]
        self.assertEqual(*pick)

    def test_ls(self):
        theirs, ours = (self.nodes(text) for text in self.both("--json", "ls", "latest"))
        pick = [[(n["path"], n["type"], n.get("size", 0), n["mtime"]) for n in side]
                for side in (theirs, ours)]
        self.assertEqual(*pick)

    def test_find(self):
        for pattern in ("f00*", "added", "[ao]dd*", "no such"):
            found = []
            for text in self.both("--json", "find", pattern):
                found.append({hit["snapshot"]: sorted(match["path"] for match in hit["matches"])
                              for hit in self.objects(text)})
            self.assertEqual(*found, pattern)

    def test_dump(self):
        path = self.source + "/d1/f001"
        for snapshot in [s["id"] for s in self.restic.snapshots()]:
            self.assertEqual(*self.both("dump", snapshot, path))
        members = []
        for number, tool in enumerate((self.restic, self.repo)):
            archive = self.path(f"{number}.tar")
            program.run(["sh", "-c", 'exec "$0" "$@" >' + archive,
                         *tool("dump", "latest", self.source).argv], {**self.env, **self.restic.env})
            with tarfile.open(archive, encoding="utf-8", errors="surrogateescape") as tar:
                # restic writes full seconds, rounded.
                members.append({m.name.strip("/"): (m.type, m.size, m.mode & 0o7777,
                                                    int(m.mtime + 0.5), m.uid, m.linkname)
                                for m in tar})
        self.assertEqual(*members)

    def test_diff(self):
        ids = [s["id"] for s in self.restic.snapshots()]
        theirs, ours = self.both("diff", *ids)
        pick = [sorted(line for line in text.splitlines()
                       if line[:1] in "+-MUT" and "/source/" in line) for text in (theirs, ours)]
        self.assertEqual(*pick)

    def test_stats(self):
        for mode in ("restore-size", "files-by-contents", "raw-data", "blobs-per-file"):
            theirs, ours = (json.loads(text) for text in self.both("--json", "stats", "--mode", mode))
            for field in ("total_size", "total_file_count", "total_blob_count"):
                if theirs.get(field):
                    self.assertEqual(theirs[field], ours.get(field), f"{mode}: {field}")

    def test_cat(self):
        snapshot = self.restic.snapshots()[-1]
        for what in (["config"], ["snapshot", snapshot["id"]], ["blob", snapshot["tree"]]):
            theirs, ours = (json.loads(text) for text in self.both("cat", *what))
            self.assertEqual(theirs, ours)

    def test_tag(self):
        snapshot = self.restic.snapshots()[0]
        self.repo("tag", "--add", "kept", snapshot["id"])
        changed = self.restic.snapshots()[0]
        self.assertEqual(sorted(changed["tags"]), ["kept", "one"])
        self.assertEqual(changed["original"], snapshot["id"])
        self.assertEqual(changed["tree"], snapshot["tree"])

    def test_forget_keeps_what_restic_keeps(self):
        for month in range(1, 8):
            for day in (3, 17):
                self.restic("backup", "--time", f"2024-0{month}-{day:02} 10:00:00", self.password)
        # Counts that are used up: where they are not, restic since 0.16 keeps the oldest snapshot,
        # as we do, and the one of Debian 12 does not.
        many = ["--path", self.password]
        for policy in (["--keep-last", "3", *many], ["--keep-monthly", "3", *many],
                       ["--keep-daily", "5", *many], ["--keep-within", "3m"],
                       ["--keep-weekly", "2", "--keep-yearly", "1", *many],
                       ["--keep-tag", "one", "--keep-last", "1"]):
            kept = []
            for text in self.both("--json", "forget", "--dry-run", *policy):
                groups = [group for group in self.objects(text) if "keep" in group]
                kept.append(sorted(s["id"] for group in groups for s in group["keep"] or []))
            self.assertEqual(*kept, policy)
        self.repo("forget", "--keep-last", "1")
        self.assertEqual(len(self.restic.snapshots()), 2)  # one of each group of paths
        self.restic("prune")
        self.restic.check()

    def test_unlock(self):
        self.restic.stopped_with_its_lock().stop()
        self.assertNotEqual(self.restic.locks(), [])
        self.repo("unlock")
        self.assertEqual(self.restic.locks(), [])


if __name__ == "__main__":
    app.main()
