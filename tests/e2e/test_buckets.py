"""A bucket of user files as a source, on a real S3 server: what is kept, what is read again, what it
held earlier, and when it is refused."""
import os
import re

import app
import program
import servers

VERSIONS = (b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")


class Buckets(program.Case):
    BUCKET = "files"

    def setUp(self):
        super().setUp()
        self.app = app.App(self)
        self.s3 = servers.S3(self)
        self.s3.server.make_bucket(self.BUCKET)
        port = self.s3.server.port
        self.app.edit(f'path = "{self.app.source}"',
                      f'url = "s3:http://127.0.0.1:{port}/{self.BUCKET}"')
        self.root = f"/s3:127.0.0.1:{port}/{self.BUCKET}"

    def put(self, key, body=b"text"):
        self.assertEqual(self.s3.server.request("PUT", self.BUCKET, key, body=body)[0], 200)

    def requests(self, result):
        return int(re.search(r"(\d+) requests", result.text).group(1))

    def backup(self, *arguments, code=0):
        return self.app("-v", "backup", *arguments, code=code)

    def test_backed_up_and_restored(self):
        objects = {"a": b"1", "a/b": b"2", "dir/": b"", "x/../y": b"3", "n\nl": b"4",
                   "large": os.urandom(20 << 20), "/lead": b"5", "100%": b"6"}
        for key, body in objects.items():
            self.put(key, body)
        self.backup()
        self.app("restore", "uploads", "--target", self.path("back"))
        paths = {"a%": b"1", "a/b": b"2", "dir/%": b"", "x/%2E%2E/y": b"3", "n\nl": b"4",
                 "large": objects["large"], "%/lead": b"5", "100%25": b"6"}
        found = {}
        for folder, _, names in os.walk(self.path("back")):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, self.path("back"))] = file.read()
        self.assertEqual(found, paths)
        # restic reads the same bytes.
        restic = self.app.restic("near")
        restic.check()
        with open(restic.restore() + self.root + "/large", "rb") as file:
            self.assertEqual(file.read(), objects["large"])
        # Unchanged objects cost their listing alone; a changed one itself.
        self.assertEqual(self.requests(self.backup()), 1)
        self.put("a/b", b"new")
        self.assertEqual(self.requests(self.backup()), 1 + 3)

    def test_an_empty_bucket_is_refused(self):
        self.put("key")
        self.backup()
        self.s3.server.request("DELETE", self.BUCKET, "key")
        self.assertFailsWell(self.backup(code=None), 1, "is empty although")
        self.s3.server.stop_gateway()
        self.assertFailsWell(self.backup(code=None), 1, "s3:http", hint=False)

    def test_as_it_was(self):
        self.put("key")
        self.assertFailsWell(self.backup("--at", "2026-01-01", code=None), 1, "no versions")
        self.assertEqual(self.s3.server.request("PUT", self.BUCKET, "", "versioning=",
                                                VERSIONS)[0], 200)
        self.put("key", b"first")
        self.backup()
        self.put("key", b"second")
        self.s3.server.request("DELETE", self.BUCKET, "key")
        self.assertFailsWell(self.backup(code=None), 1, "is empty although")


if __name__ == "__main__":
    app.main()
