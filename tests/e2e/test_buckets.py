"""A bucket of user files as a source, on a real S3 server: what is kept, what is read again, what it
held earlier, and when it is refused."""
import json
import os
import re
import subprocess
import time

import app
import program
import rgw
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
        self.assertFailsWell(self.app("restore", "uploads", "--target", "s3:http://127.0.0.1/x",
                                      code=None), 2, "not possible yet")
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
        then = self.pass_a_second()
        self.put("key", b"second")
        self.put("later")
        self.s3.server.request("DELETE", self.BUCKET, "key")
        self.backup("--at", then)
        self.app("restore", "uploads", "--target", self.path("then"))
        self.assertEqual(os.listdir(self.path("then")), ["key"])
        with open(self.path("then") + "/key", "rb") as file:
            self.assertEqual(file.read(), b"first")
        self.s3.server.request("DELETE", self.BUCKET, "later")
        self.assertFailsWell(self.backup(code=None), 1, "is empty although")

    def pass_a_second(self):
        """A local time between the versions before and after: theirs are whole seconds."""
        moment = int(time.time()) + 1
        program.wait_for(lambda: time.time() > moment + 1, "a second between before and after")
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))

    def test_what_goes_with_an_object(self):
        self.assertEqual(self.s3.server.request("PUT", self.BUCKET, "key", body=b"text")[0], 200)
        self.s3.server.request("PUT", self.BUCKET, "key", "tagging=",
                               b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>")
        self.backup()
        restic = self.app.restic("near")
        path = restic.restore() + self.root + "/key"
        kept = subprocess.run(["getfattr", "-d", "-m", "-", path], capture_output=True, text=True,
                              check=True).stdout
        for name in ("etag", "acl", "tags", "content-type"):
            self.assertIn(f"user.s3.{name}=", kept)

    def test_a_key_that_may_not_ask_for_everything(self):
        self.put("key")
        policy = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/other"]},
             "Action": ["s3:ListBucket", "s3:GetObject"],
             "Resource": [f"arn:aws:s3:::{self.BUCKET}", f"arn:aws:s3:::{self.BUCKET}/*"]}]}
        status, text = self.s3.server.request("PUT", self.BUCKET, "", "policy=",
                                              json.dumps(policy).encode())
        self.assertIn(status, (200, 204), text)
        self.env.update(AWS_ACCESS_KEY_ID=rgw.OTHER_KEY, AWS_SECRET_ACCESS_KEY=rgw.OTHER_SECRET)
        self.assertSays(self.backup(code=3), "saved without its tags", "1 objects were saved without", "acl = false")
        self.app("restore", "uploads", "--target", self.path("back"))
        self.assertEqual(os.listdir(self.path("back")), ["key"])


if __name__ == "__main__":
    app.main()
