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
        # Into another bucket, all keys come back as they were.
        target = self.new_bucket("back")
        self.assertSays(self.restore(target), "more open", "restored 8 files")
        self.assertEqual(self.content("back"), objects)
        self.assertFailsWell(self.restore(target, code=None), 1, "is not empty")
        self.assertSays(self.restore(target, "--overwrite", "always"), "8 right already")
        # Unchanged objects cost their listing alone; a changed one itself.
        self.assertEqual(self.requests(self.backup()), 1)
        self.put("a/b", b"new")
        self.assertEqual(self.requests(self.backup()), 1 + 3)

    def new_bucket(self, name, server=None):
        server = server or self.s3.server
        server.make_bucket(name)
        return f"s3:http://127.0.0.1:{server.port}/{name}"

    def restore(self, target, *arguments, code=0):
        return self.app("restore", "uploads", "--target", target, *arguments, code=code)

    def get(self, bucket, key, query="", server=None):
        status, body = (server or self.s3.server).request("GET", bucket, key, query)
        self.assertEqual(status, 200, body)
        return body

    def content(self, bucket):
        return {name: self.get(bucket, name) for name in self.s3.server.names(bucket)}

    def test_restored_beside_newer_objects(self):
        for key in ("kept", "gone", "changed", "newer"):
            self.put(key, key.encode())
        self.put("large", b"x" * (17 << 20))
        self.backup()
        own = f"s3:http://127.0.0.1:{self.s3.server.port}/{self.BUCKET}"
        self.s3.server.request("DELETE", self.BUCKET, "gone")
        self.pass_a_second()
        self.put("newer", b"written later")
        self.put("extra", b"extra")
        result = self.restore(own, "--overwrite", "if-newer")
        self.assertSays(result, "restored 1 files", "left alone")
        self.assertEqual(self.get(self.BUCKET, "newer"), b"written later")
        self.assertEqual(self.get(self.BUCKET, "gone"), b"gone")
        self.assertSays(self.restore(own, "--overwrite", "always", "--dry-run"), "would restore 1 files")
        self.assertEqual(self.get(self.BUCKET, "newer"), b"written later")
        result = self.restore(own, "--overwrite", "always", "--delete", "--verify")
        self.assertSays(result, "restored 1 files", "4 right already", "1 extra entries removed",
                        "5 verified")
        self.assertEqual(self.get(self.BUCKET, "newer"), b"newer")
        self.assertNotIn("extra", self.s3.server.names(self.BUCKET))

    def test_a_place_in_the_target_is_refused(self):
        self.put("key")
        self.s3.use(self.app, "near")
        self.backup()
        for target in (self.s3.url("near"), self.s3.url("").rstrip("/")):
            self.assertFailsWell(self.restore(target, "--overwrite", "always", code=None), 1,
                                 "each other's way")

    def test_what_goes_with_an_object_comes_back_at_another_vendor(self):
        tags = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b c</Value></Tag></TagSet></Tagging>"
        for key in ("public", "private", "shared"):
            self.put(key)
        self.s3.server.request("PUT", self.BUCKET, "public", "tagging=", tags)
        acl = self.get(self.BUCKET, "public", "acl=")
        everybody = (b'<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
                     b'xsi:type="Group"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>'
                     b"</Grantee><Permission>READ</Permission></Grant></AccessControlList>")
        other = (b'<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
                 b'xsi:type="CanonicalUser"><ID>other</ID></Grantee><Permission>READ</Permission>'
                 b"</Grant></AccessControlList>")
        for key, grant in (("public", everybody), ("shared", other)):
            status, text = self.s3.server.request(
                "PUT", self.BUCKET, key, "acl=", acl.replace(b"</AccessControlList>", grant))
            self.assertEqual(status, 200, text)
        self.backup()
        # The same account: all comes back as it was.
        result = self.restore(self.new_bucket("same"))
        self.assertSays(result, "grants of 3 objects compared: 0 more open, 0 more closed")
        self.assertIn(b"AllUsers", self.get("same", "public", "acl="))
        self.assertIn(b"<ID>other</ID>", self.get("same", "shared", "acl="))
        self.assertNotIn(b"AllUsers", self.get("same", "private", "acl="))
        self.assertIn(b"b c", self.get("same", "public", "tagging="))
        # Another one: what "other" is there nobody knows.
        self.env.update(AWS_ACCESS_KEY_ID=rgw.OTHER_KEY, AWS_SECRET_ACCESS_KEY=rgw.OTHER_SECRET)
        vendor = rgw.Rgw(self.path("vendor"))
        self.addCleanup(vendor.stop)
        status, text = vendor.request("PUT", "there", key=rgw.OTHER_KEY, secret=rgw.OTHER_SECRET)
        self.assertEqual(status, 200, text)
        target = f"s3:http://127.0.0.1:{vendor.port}/there"
        result = self.restore(target, code=1)
        self.assertSays(result, "1 more closed", "account other is not put back", "0 more open")
        result = self.restore(target, "--overwrite", "if-changed", "--grantee", "other=owner")
        self.assertSays(result, "0 more open, 0 more closed", "3 right already")
        status, acl = vendor.request("GET", "there", "shared", "acl=", key=rgw.OTHER_KEY,
                                     secret=rgw.OTHER_SECRET)
        self.assertIn(b"<ID>owner</ID>", acl)

    def test_a_folder_becomes_a_bucket(self):
        port = self.s3.server.port
        self.app.edit(f'url = "s3:http://127.0.0.1:{port}/{self.BUCKET}"',
                      f'path = "{self.app.source}"')
        os.makedirs(self.app.source + "/sub", exist_ok=True)
        with open(self.app.source + "/sub/100%25.pdf", "wb") as file:
            file.write(b"text")
        os.symlink("sub", self.app.source + "/link")
        self.backup()
        target = self.new_bucket("back") + "/some/prefix"
        self.restore(target)
        self.assertEqual(self.get("back", "some/prefix/sub/100%25.pdf"), b"text")
        status, headers = self.s3.server.request("GET", "back", "some/prefix/sub/100%25.pdf", "acl=")
        self.assertNotIn(b"AllUsers", headers)
        # Continued without sending anything again.
        self.s3.server.request("DELETE", "back", "some/prefix/sub/100%25.pdf")
        self.assertSays(self.restore(target, "--overwrite", "if-changed"), "restored 1 files")

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
