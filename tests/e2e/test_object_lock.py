"""A bucket with versions and Object Lock, and somebody with the key for writing who wants everything
gone. What the manual says of it is what is tested: its policy is read from there."""
import base64
import datetime
import hashlib
import json
import os
import re
import time
import urllib.parse

import app
import program
import rgw
import servers
import trees

DAY = 86400
MANUAL = os.path.join(os.path.dirname(__file__), "../../docs/manual/s3.md")


def utc(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Locked(program.Case):
    def setUp(self):
        super().setUp()
        self.app = app.App(self)
        self.s3 = servers.S3(self, bucket=False)

    def use_bucket(self, rule="governance:4d", lock=True):
        self.s3.server.make_bucket(self.s3.BUCKET, lock=lock)
        if rule:
            self.app.set("far", f'lock = "{rule}"')
        self.s3.use(self.app, "far")

    def ask(self, method, name="", query="", body=b"", ok=(200, 204), **options):
        headers = {"content-md5": base64.b64encode(hashlib.md5(body).digest()).decode()}
        status, text = self.s3.server.request(method, self.s3.BUCKET, name, query, body,
                                              headers=headers, **options)
        if ok:
            self.assertIn(status, ok, (method, name, query, text))
        return status, text.decode()

    def versions(self):
        """(name, version, whether it is a delete marker, whether it is the newest) of all."""
        text, found = self.ask("GET", query="max-keys=1000&versions=")[1], []
        for kind, one in re.findall(r"<(Version|DeleteMarker)>(.*?)</\1>", text, re.S):
            get = lambda tag, one=one: re.search(f"<{tag}>(.*?)</{tag}>", one)[1]
            found.append((get("Key"), get("VersionId"), kind == "DeleteMarker",
                          get("IsLatest") == "true"))
        return found

    def current(self):
        return [one for one in self.versions() if one[3] and not one[2]]

    def retention(self, name, version):
        status, text = self.ask("GET", name, "retention=&versionId=" +
                                urllib.parse.quote(version), ok=())
        if status != 200:
            return None
        return (re.search("<Mode>(.*?)</Mode>", text)[1],
                utc(re.search("<RetainUntilDate>(.*?)</RetainUntilDate>", text)[1]))

    def set_retention(self, name, version, mode, until, ok=(200,)):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until))
        body = (f"<Retention><Mode>{mode}</Mode><RetainUntilDate>{stamp}</RetainUntilDate>"
                "</Retention>").encode()
        return self.ask("PUT", name, "retention=&versionId=" + urllib.parse.quote(version), body,
                        ok=ok)[0]

    def attack(self):
        """Everything is deleted, some of it overwritten before; returns the moment before."""
        moment = int(time.time()) + 1  # times of versions may be whole seconds
        program.wait_for(lambda: time.time() > moment + 1, "a second between before and after")
        for number, (name, *_) in enumerate(self.current()):
            if number % 3 == 0:
                self.ask("PUT", name, body=b"garbage")
            if number % 3 != 1:
                self.ask("DELETE", name)
                self.ask("DELETE", name)
            else:
                self.ask("DELETE", name)
        self.assertEqual(self.current(), [])
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))

    def repo(self, *arguments, **options):
        return self.sevenfold("repo", "-r", self.s3.url("far"), "-p",
                              self.app.password_file("far"), *arguments, **options)

    def test_what_is_stored_is_locked_and_stays_so(self):
        self.use_bucket("compliance:4d")
        trees.make_small(self.app.source)
        began = time.time()
        self.app.backup()
        self.app("ping")
        locked = {}
        for name, version, *_ in self.current():
            self.assertNotIn("/locks/", name)  # they are gone again
            mode, until = self.retention(name, version)
            self.assertEqual(mode, "COMPLIANCE")
            self.assertGreater(until, began + 4 * DAY - 60, name)
            self.assertLess(until, time.time() + 4 * DAY + 60, name)
            locked[name] = (version, until)
        self.assertTrue(any("/data/" in name for name in locked))
        for name, version, marker, _ in self.versions():
            if "/locks/" in name and not marker:
                self.assertIsNone(self.retention(name, version), name)
        name, (version, until) = next(iter(locked.items()))
        self.assertEqual(self.ask("DELETE", name, f"versionId={version}", ok=())[0], 403)
        self.assertEqual(self.set_retention(name, version, "COMPLIANCE", until - DAY, ok=()), 403)
        self.set_retention(name, version, "COMPLIANCE", until + 9 * DAY)
        # Not due: nothing is asked. Due: what has little left gets more, what has more keeps it.
        self.app.backup()
        self.assertEqual(self.retention(name, version)[1], until + 9 * DAY)
        folder = os.path.join(self.path("app"), "state", "locks")
        (state,) = os.listdir(folder)
        words = self.read(os.path.join(folder, state)).decode().split()
        self.assertEqual(words[:2], ["compliance", str(4 * DAY)])
        words[2] = str(int(words[2]) - DAY - 1)
        self.write(os.path.join(folder, state), " ".join(words) + "\n")
        self.assertSays(self.app("backup"), r"far: locks renewed, 0 of \d+ files")
        self.assertEqual(self.retention(name, version)[1], until + 9 * DAY)
        self.app.edit("compliance:4d", "compliance:8d")
        self.assertSays(self.app("backup"), r"far: locks renewed, [1-9]\d* of \d+ files")
        for other, (its, _) in locked.items():
            self.assertGreater(self.retention(other, its)[1], began + 8 * DAY - 60, other)
        self.assertEqual(self.retention(name, version)[1], until + 9 * DAY)

    def test_what_was_there_before_the_lock_is_locked_at_once(self):
        self.use_bucket(rule=None)
        trees.make_small(self.app.source, count=5)
        self.app.backup()
        self.assertEqual({self.retention(name, version) for name, version, *_ in self.current()},
                         {None})
        self.app.set("far", 'lock = "governance:2d"')
        self.app("backup")
        for name, version, *_ in self.current():
            self.assertEqual(self.retention(name, version)[0], "GOVERNANCE", name)
        # What no snapshot needs any more is not renewed.
        self.repo("-o", "s3.lock=governance:2d", "forget", "--unsafe-allow-remove-all",
                  "--keep-tag", "none")
        result = self.repo("-o", "s3.lock=governance:9d", "--json", "forget", "--keep-last", "1")
        (renewed,) = [line for line in result.json() if line.get("type") == "locks"]
        packs = [one for one in self.current() if "/data/" in one[0]]
        self.assertGreater(len(packs), 0)
        self.assertEqual(renewed["renewed"], len(self.current()) - len(packs))
        for name, version, *_ in packs:
            self.assertLess(self.retention(name, version)[1], time.time() + 3 * DAY)

    def test_everything_is_deleted_and_comes_back(self):
        self.use_bucket()
        trees.make_small(self.app.source)
        self.app.backup()
        moment = self.attack()
        self.app.restore("far", code=10)
        with self.subTest("reading the past"):
            trees.assert_same(self, self.app.source,
                              self.app.restore("far", "--place-as-of", moment))
            self.assertSays(self.app("snapshots", "--place", "far", "--place-as-of", moment),
                            r"far")
            past = ["--place-as-of", moment]
            self.repo(*past, "check", "--read-data")
            self.assertSays(self.repo(*past, "snapshots"), "1 snapshots")
            self.assertFailsWell(self.repo(*past, "forget", "--unsafe-allow-remove-all",
                                           "--keep-tag", "x", code=None), 1,
                                 "the past can only be read")
            self.assertEqual(self.repo("--place-as-of", "2001-01-01", "snapshots", code=None).code,
                             10)
            self.assertFailsWell(self.repo("--place-as-of", "soon", "snapshots", code=None), 2,
                                 "not a time")
            self.assertEqual(self.current(), [], "nothing was written")
        with self.subTest("bringing it back"):
            before = self.versions()
            self.assertSays(self.repo(*past, "recover-versions", "--dry-run"), "deleted files",
                            "overwritten files")
            self.assertFailsWell(self.repo(*past, "recover-versions", code=None), 2, "asked")
            self.assertEqual(self.versions(), before)
            self.repo(*past, "recover-versions", "--yes")
            summary = self.repo(*past, "--json", "recover-versions", "--dry-run").json()[-1]
            self.assertEqual((summary["deleted"], summary["overwritten"]), (0, 0), summary)
            restic = self.s3.restic(self, "far", self.app.password_file("far"))
            restic.check()
            self.repo("check", "--read-data")
            self.app.backup()
            self.app.assert_restores()

    def test_buckets_that_cannot_lock(self):
        self.use_bucket(rule=None, lock=False)
        self.write("app/source/file", "text")
        self.app.set("far", 'lock = "governance:2d"')
        for command in ("backup", "ping"):
            self.assertFailsWell(self.app(command, code=None), 2 if command == "ping" else 1,
                                 "far[^\n]*no Object Lock")
        self.assertEqual([name for name in self.s3.server.names(self.s3.BUCKET)
                          if "snapshots" in name], [])
        before = "governance:2d"
        for rule in ("compliance", "compliance:1h", "forever:3d", "compliance:x"):
            self.app.edit(f'\nlock = "{before}"', f'\nlock = "{rule}"')
            before = rule
            self.assertFailsWell(self.app("backup", code=None), 2, "lock is not valid")
        self.app.edit(self.s3.url("far"), self.app.repository("far"))
        self.assertFailsWell(self.app("backup", code=None), 2, "lock is for s3: places only",
                             hint=False)

    def test_the_least_that_the_key_needs(self):
        """The manual's policy for the key that writes: the daily work, but no way to destroy."""
        self.use_bucket("governance:2d")
        trees.make_small(self.app.source, count=5)
        with open(MANUAL, encoding="utf-8") as manual:
            text = manual.read()
        policy = json.loads(re.search(r"<!-- policy: lock -->\n+```json\n(.*?)```", text, re.S)[1])
        for statement in policy["Statement"]:
            statement["Principal"] = {"AWS": ["arn:aws:iam:::user/other"]}
            for key in ("Action", "Resource"):
                if isinstance(statement[key], str):
                    statement[key] = [statement[key]]
            statement["Resource"] = [one.replace("shop-backup", self.s3.BUCKET).replace(
                "/locks/", "/far/locks/") for one in statement["Resource"]]
        self.ask("PUT", query="policy=", body=json.dumps(policy).encode())
        owner = dict(self.env)
        other = {"key": rgw.OTHER_KEY, "secret": rgw.OTHER_SECRET}
        self.env.update(AWS_ACCESS_KEY_ID=rgw.OTHER_KEY, AWS_SECRET_ACCESS_KEY=rgw.OTHER_SECRET)
        self.app.backup()
        self.app("ping")
        self.app.assert_restores()
        self.repo("check")
        name, version, *_ = [one for one in self.current() if "/data/" in one[0]][0]
        self.assertEqual(self.ask("DELETE", name, f"versionId={version}", ok=(), **other)[0], 403)
        self.assertEqual(self.ask("DELETE", name, ok=(), **other)[0], 403)
        self.assertEqual(self.ask("PUT", query="versioning=", body=(
            b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"),
                                  ok=(), **other)[0], 403)
        self.assertEqual(self.ask("DELETE", query="policy=", ok=(), **other)[0], 403)
        self.env.clear()
        self.env.update(owner)


if __name__ == "__main__":
    app.main()
