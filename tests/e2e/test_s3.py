"""A place in a bucket of a real S3 server: the daily work, restic on the same bucket, wrong keys, a
server that goes away, and servers that answer nonsense."""
import os
import re
import signal
import socket
import time

import app
import program
import rgw
import servers
import trees

HOPELESS = 90  # seconds after which a command must have given up on a server that does not answer


class S3(program.Case):
    def setUp(self):
        super().setUp()
        self.app = app.App(self)

    def start_server(self, **options):
        self.s3 = servers.S3(self, **options)
        return self.s3

    def repo(self, url, *arguments, **options):
        return self.sevenfold("repo", "-r", url, "-p", self.app.password_file("far"), *arguments,
                              **options)

    def test_the_daily_work(self):
        s3 = self.start_server()
        s3.use(self.app, "far")
        trees.make_small(self.app.source)
        self.app.backup()
        self.write("app/source/new", "new")
        self.assertEqual(self.app.backup()["far"]["data_blobs"], 1)
        self.app("status")
        self.assertSays(self.app("ping"), r"far\s+\S+\s+good")
        self.app.assert_restores()
        restic = s3.restic(self, "far", self.app.password_file("far"))
        restic.check()
        self.assertEqual(len(restic.snapshots()), 2)
        trees.assert_same(self, trees.describe(self.app.source),
                          restic.restore() + self.app.source)
        self.repo(s3.url("far"), "check", "--read-data")
        # Nothing but a repository, in the layout that all programs know.
        for name in s3.server.names(s3.BUCKET):
            self.assertRegex(name, r"^far/(config|(keys|snapshots|index)/[0-9a-f]{64}|"
                                   r"data/([0-9a-f]{2})/\3[0-9a-f]{62})$")

    def test_a_repository_of_restic(self):
        s3 = self.start_server()
        trees.make_small(self.app.source)
        restic = s3.restic(self, "theirs", self.app.password_file("far"))
        restic("init")
        restic("backup", self.app.source)
        url = s3.url("theirs")
        self.repo(url, "restore", "latest:" + self.app.source, "--target", self.path("back"))
        trees.assert_same(self, self.app.source, self.path("back"))
        self.write("app/source/new", "new")
        lines = self.repo(url, "--json", "backup", self.app.source).json()
        summary = [line for line in lines if line.get("message_type") == "summary"][0]
        self.assertEqual((summary["files_new"], summary["files_changed"]), (1, 0))
        restic.check()
        restic("backup", self.app.source)
        self.assertEqual(len(restic.snapshots()), 3)
        self.repo(url, "forget", "--keep-last", "1", "--group-by", "")
        restic("prune")
        self.assertEqual(len(restic.snapshots()), 1)
        self.repo(url, "check", "--read-data")

    def test_a_repository_without_a_configuration(self):
        s3 = self.start_server()
        # The forms of the URL, and a name that needs escaping everywhere.
        url = s3.url("a folder/\u00fc+@:&=$")
        self.repo(url, "init")
        self.assertFailsWell(self.repo(url, "init", code=None), 1, "already")
        self.write("source/file", "text")
        self.repo(url, "backup", self.path("source"))
        self.repo(url, "restore", "latest", "--target", self.path("back"))
        self.assertEqual(self.read("back" + self.path("source/file")), b"text")
        self.assertFailsWell(self.repo(s3.url("none"), "snapshots", code=None), 10,
                             "no repository at s3:http")
        self.repo(url, "-o", "s3.region=us-east-1", "-o", "s3.bucket-lookup=path", "-o",
                  "s3.connections=2", "snapshots")
        for option in ("s3.region=a b", "s3.bucket-lookup=x", "s3.storage-class=GLACIER",
                       "s3.credentials=x", "s3.nonsense=x"):
            self.assertFailsWell(self.repo(url, "-o", option, "snapshots", code=None), 2)

    def test_keys_that_are_wrong(self):
        s3 = self.start_server()
        s3.use(self.app, "far")
        trees.make_small(self.app.source, count=4)
        self.app.backup()
        cases = [("access key is not known", "NOBODY", rgw.SECRET),
                 ("secret key is wrong", rgw.KEY, "hunter2"),
                 ("access denied", rgw.OTHER_KEY, rgw.OTHER_SECRET)]
        for says, key, secret in cases:
            with self.subTest(says):
                env = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
                result = self.app("backup", code=None, env=env, timeout=HOPELESS)
                self.assertFailsWell(result, 1, f"far[^\n]*{says}")
                self.assertNotIn(secret, result.text)
                self.assertFailsWell(self.app("-v", "-v", "ping", code=1, env=env), 1, says)
        self.assertEqual(len(self.app.snapshots("near")), 1 + len(cases))
        del self.env["AWS_ACCESS_KEY_ID"], self.env["AWS_SECRET_ACCESS_KEY"]
        self.env["AWS_EC2_METADATA_DISABLED"] = "true"
        self.assertFailsWell(self.app("ping", code=None), 2, "far[^\n]*no S3 credentials", "hint:.*AWS")
        # From a file beside the configuration, then from a profile.
        keys = f"aws_access_key_id = {rgw.KEY}\naws_secret_access_key = {rgw.SECRET}\n"
        self.write("app/secrets/s3", keys)
        self.app.set("far", 'credentials = "file:secrets/s3"')
        self.app.backup()
        self.write("home/.aws/credentials", "[other]\n" + keys)
        self.app.edit("file:secrets/s3", "profile:other")
        self.app.backup()
        self.app("status")
        self.app.assert_restores()

    def test_the_server_is_killed_in_the_middle(self):
        s3 = self.start_server()
        s3.use(self.app, "far")
        self.app.set("far", 'upload_limit = "4MiB"')
        trees.write(self.app.source + "/random", trees.random_bytes(40 << 20, 1))
        packs = lambda: s3.server.names(s3.BUCKET, "far/data/")
        with self.subTest("and comes back: the run goes on"):
            running = self.app.start("backup")
            program.wait_for(lambda: packs() or not running.alive(), "a pack arrives")
            s3.server.stop_gateway()
            s3.server.start_gateway()
            self.assertCode(running.finish(), 0)
            s3.restic(self, "far", self.app.password_file("far")).check()
        with self.subTest("for good: the other place has its snapshot, the next run resumes"):
            trees.write(self.app.source + "/more", trees.random_bytes(40 << 20, 2))
            before, blobs = len(packs()), self.blobs("near")
            running = self.app.start("backup")
            # The last of two may have come without an answer.
            program.wait_for(lambda: len(packs()) > before + 1 or not running.alive(),
                             "two packs arrive")
            s3.server.stop_gateway()
            near = os.path.join(self.app.repository("near"), "snapshots")
            program.wait_for(lambda: len(os.listdir(near)) == 2, "the other place is done")
            running.send(signal.SIGINT)
            self.assertCode(running.finish(), 130)
            s3.server.start_gateway()
            self.app.edit('upload_limit = "4MiB"', 'upload_limit = "0"')
            resumed = self.app.backup()["far"]["data_blobs"]
            self.assertLess(resumed, self.blobs("near") - blobs - 4, "what arrived is not sent again")
            s3.restic(self, "far", self.app.password_file("far")).check()
            self.app.assert_restores()

    def blobs(self, place):
        return self.app.restic(place).json("stats", "--mode", "raw-data")["total_blob_count"]

    def test_connections_cut_while_working(self):
        s3 = self.start_server()
        s3.use(self.app, "far")
        proxy = servers.Proxy(self, s3.server.port,
                              [("up", 40_000), ("up", 700_000), ("down", 300), ("up", 2_500_000),
                               ("down", 8_000), ("up", 100_000)])
        self.app.edit(f":{s3.server.port}/", f":{proxy.port}/")
        trees.write(self.app.source + "/random", trees.random_bytes(12 << 20, 1))
        trees.make_small(self.app.source + "/small")
        self.app.backup()
        self.assertGreaterEqual(proxy.cuts, 3)
        proxy.plan += [("down", 30_000), ("down", 900_000), ("up", 500), ("down", 3_000_000)]
        proxy.cut_all()
        self.app.assert_restores()
        s3.restic(self, "far", self.app.password_file("far")).check()

    def test_no_bucket(self):
        s3 = self.start_server(bucket=False)
        url = s3.url("far")
        self.app.url("far", url)
        self.assertFailsWell(self.app("init", "--repositories", code=None), 1,
                             "place far[^\n]*bucket copies does not exist", "create the bucket")
        self.assertFailsWell(self.repo(url, "init", code=None), 1, "bucket copies does not exist")
        self.assertFailsWell(self.app("backup", code=None), 1, "far")
        self.assertEqual(len(self.app.snapshots("near")), 1)

    def test_tls(self):
        s3 = self.start_server(tls=True)
        self.app.url("far", s3.url("far"))
        result = self.app("init", "--repositories", code=None, timeout=HOPELESS)
        self.assertFailsWell(result, 1, "far[^\n]*certificate is not trusted", "ca_file")
        self.app.set("far", f'ca_file = "{s3.ca_file}"')
        self.app("init", "--repositories")
        self.write("app/source/file", "text")
        self.app.backup()
        self.repo(s3.url("far"), "--cacert", s3.ca_file, "snapshots")
        self.repo(s3.url("far"), "snapshots", env={"AWS_CA_BUNDLE": s3.ca_file})
        plain = s3.url("far").replace("https:", "http:")
        self.assertFailsWell(self.repo(plain, "snapshots", code=None, timeout=HOPELESS), 1,
                             "snapshots|config", hint=False)

    def test_terminated_while_the_server_is_away(self):
        s3 = self.start_server()
        s3.use(self.app, "far")
        self.write("app/source/file", "text")
        with self.subTest("it is down"):
            s3.server.stop_gateway()
            running = self.app.start("-v", "backup")
            program.wait_for(lambda: not running.alive() or self.said(running, "trying again"),
                             "it tries again")
            self.assert_ends_soon(running)
        with self.subTest("it does not answer"), socket.create_server(("127.0.0.1", 0)) as silent:
            silent.settimeout(60)
            self.app.edit(f":{s3.server.port}/", f":{silent.getsockname()[1]}/")
            running = self.app.start("backup")
            client, _ = silent.accept()
            with client:
                self.assert_ends_soon(running)

    @staticmethod
    def said(running, text):
        running.err.seek(0, os.SEEK_SET)
        found = text.encode() in running.err.read()
        running.err.seek(0, os.SEEK_END)
        return found

    def assert_ends_soon(self, running):
        running.send(signal.SIGTERM)
        program.wait_for(lambda: not running.alive(), "the backup ends", seconds=15)
        self.assertFailsWell(running.finish(), 130, "interrupted", hint=False)

    def test_answers_that_are_none(self):
        """Each ends soon, with a message that says what was wrong, and never as if a repository or
        its files were just not there."""
        page = b"<html><body>Welcome</body></html>"
        self.env.update(AWS_ACCESS_KEY_ID="KEY", AWS_SECRET_ACCESS_KEY="hunter2")
        trees.make_small(self.app.source, count=4)
        repository = self.app.repository("far")

        def real(path):
            """What a bucket with this place's folder in it would say."""
            name = path.split("?")[0].removeprefix("/b/")
            try:
                with open(os.path.join(repository, name), "rb") as file:
                    return 200, {"ETag": '"x"'}, file.read()
            except (FileNotFoundError, IsADirectoryError):
                return 404, {}, b"<Error><Code>NoSuchKey</Code></Error>"

        def listing(path, more=False, token="t"):
            folder = re.search(r"prefix=(\w+)", path)[1]
            keys = "".join(f"<Contents><Key>{folder}/{name}</Key><Size>1</Size></Contents>"
                           for name in sorted(os.listdir(os.path.join(repository, folder))))
            end = f"<NextContinuationToken>{token}</NextContinuationToken>" if more else ""
            return 200, {}, (f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>"
                             f"{keys}{end}</ListBucketResult>").encode()

        count = iter(range(10**9))
        cases = {
            "a page": ("not an S3 server|hash|damaged|corrupt|verification",
                       lambda method, path: (200, {}, page)),
            "a page that says 404": ("not an S3 server", lambda method, path: (404, {}, page)),
            "a gateway's page": ("502", lambda method, path: (502, {}, page)),
            "elsewhere": ("elsewhere", lambda method, path: (302, {"Location": "/login"}, page)),
            "cut bodies": ("cut off", lambda method, path:
                           (lambda s, h, b: (s, {**h, "Content-Length": str(len(b) + 9)}, b))
                           (*(listing(path) if "list-type" in path else real(path)))),
            "an endless listing": ("repeats itself", lambda method, path:
                                   listing(path, True, f"t{next(count)}")
                                   if "list-type" in path else real(path)),
            "a listing that stands still": ("get on|repeats itself", lambda method, path:
                                            listing(path, True) if "list-type" in path
                                            else real(path)),
            "a cut listing": ("not an S3 server", lambda method, path:
                              (200, {}, listing(path)[2][:-30]) if "list-type" in path
                              else real(path)),
            "slow down": ("slow down", lambda method, path:
                          (503, {}, b"<Error><Code>SlowDown</Code></Error>")),
            "another region": ("region eu-west-3, not in eu-north-1", lambda method, path:
                               (400, {}, b"<Error><Code>AuthorizationHeaderMalformed</Code>"
                                         b"<Region>eu-west-3</Region></Error>"))}
        self.app.backup()
        for name, (says, handler) in cases.items():
            with self.subTest(name):
                server = servers.Answering(self, handler)
                started = time.monotonic()
                result = self.repo(f"s3:http://127.0.0.1:{server.port}/b", "-o",
                                   "s3.region=eu-north-1", "snapshots", code=None, timeout=HOPELESS)
                self.assertNotIn(result.code, (0, 10), str(result))
                self.assertSays(result, says)
                self.assertNotIn("hunter2", result.text)
                self.assertLess(time.monotonic() - started, 60)
                self.assertLess(len(server.requests), 200)

    def test_secrets_are_not_shown(self):
        self.app.edit(f'url = "{self.app.repository("far")}"',
                      'url = "s3:http://KEY:hunter2@127.0.0.1:1/b"')
        for command in (["ping"], ["backup"], ["status"], ["config", "show"], ["config", "check"]):
            result = self.app("-v", "-v", *command, code=None, timeout=HOPELESS)
            self.assertNotIn("hunter2", result.text, str(result))
        self.app.edit("KEY:hunter2@", "")
        self.env.update(AWS_ACCESS_KEY_ID="KEY", AWS_SECRET_ACCESS_KEY="hunter2",
                        AWS_SESSION_TOKEN="hunter3")
        for command in (["ping"], ["backup"], ["config", "show"]):
            result = self.app("-v", "-v", *command, code=None, timeout=HOPELESS)
            self.assertIsNone(re.search("hunter[23]", result.text), str(result))


if __name__ == "__main__":
    app.main()
