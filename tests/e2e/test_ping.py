"""The health of places, looked at from outside: local, sftp, ssh, rest and S3; servers that hang,
whose certificate has expired or whose clock is wrong; damage that is found by reading back."""
import http.client
import os
import signal
import subprocess
import time

import app
import disks
import program
import rgw
import servers
import trees


class Ping(program.Case):
    def setUp(self):
        super().setUp()
        self.app = app.App(self)
        trees.make_small(self.app.source, count=6)

    def ping(self, *arguments, code=0, **options):
        """place -> (its line, name of a check -> the check)."""
        lines = self.app("--json", "ping", *arguments, code=code, **options).json()
        return {line["name"]: (line, {check["name"]: check for check in line["checks"]})
                for line in lines if line.get("type") == "place"}

    def state(self, place, check, *arguments, **options):
        return self.ping(*arguments, **options)[place][1][check]["state"]

    def test_a_local_place(self):
        checks = self.ping()["near"][1]
        self.assertEqual(checks["newest"]["state"], "warning")
        self.app.backup()
        line, checks = self.ping()["near"]
        for name in ("reachable", "credentials", "writable", "newest", "space", "read back"):
            self.assertEqual(checks[name]["state"], "ok", checks[name])
        for name in ("certificate", "ssh key", "clock"):
            self.assertEqual(checks[name]["state"], "not supported here", checks[name])
        self.assertEqual(os.listdir(self.app.repository("near") + "/locks"), [])
        self.assertGreater(line["used_bytes"], 0)
        # The last snapshot vanishes, then the password is another.
        for name in os.listdir(self.app.repository("near") + "/snapshots"):
            os.unlink(f'{self.app.repository("near")}/snapshots/{name}')
        self.assertEqual(self.state("near", "newest", code=20), "failed")
        self.write("app/secrets/near.password", "wrong")
        checks = self.ping(code=12)["near"][1]
        self.assertEqual((checks["reachable"]["state"], checks["credentials"]["state"]),
                         ("ok", "failed"))

    def test_damage_is_found_by_pinging_again_and_again(self):
        self.app.backup()
        packs = sorted(os.path.join(at, name)
                       for at, _, names in os.walk(self.app.repository("near") + "/data")
                       for name in names)
        os.chmod(packs[-1], 0o600)
        with open(packs[-1], "r+b") as file:
            file.seek(40)
            byte = file.read(1)
            file.seek(40)
            file.write(bytes([byte[0] ^ 1]))
        states = [self.state("near", "read back", "near", code=None) for _ in packs]
        self.assertEqual(states.count("failed"), 1, states)
        result = [self.app("ping", "near", code=None) for _ in packs]
        bad = [one for one in result if one.code]
        self.assertEqual(len(bad), 1)
        self.assertFailsWell(bad[0], 1, os.path.basename(packs[-1]), "hint:.*check --read-data")

    def test_a_place_that_hangs(self):
        sshd = servers.Sshd(self)
        sshd.use(self.app, "far")
        self.app.backup()
        self.assertEqual(self.ping()["far"][1]["clock"]["state"], "ok")
        os.killpg(sshd.process.pid, signal.SIGSTOP)
        try:
            start = time.monotonic()
            answers = self.ping("--timeout", "2s", code=1, timeout=60)
            self.assertLess(time.monotonic() - start, 30)
        finally:
            os.killpg(sshd.process.pid, signal.SIGCONT)
        self.assertEqual(answers["far"][1]["reachable"]["state"], "failed")
        self.assertTrue(answers["near"][0]["ok"])

    def test_a_local_place_that_hangs(self):
        os.unlink(self.app.repository("far") + "/config")
        os.mkfifo(self.app.repository("far") + "/config")
        start = time.monotonic()
        answers = self.ping("--timeout", "2s", code=None, timeout=60)
        self.assertLess(time.monotonic() - start, 30)
        self.assertEqual(answers["far"][1]["reachable"]["state"], "failed")
        self.assertTrue(answers["near"][0]["ok"])

    def test_ssh_keys(self):
        sshd = servers.Sshd(self)
        sshd.use(self.app, "far")
        self.assertEqual(self.state("far", "ssh key"), "ok")
        subprocess.run(["ssh-keygen", "-q", "-s", sshd.file("host"), "-I", "x", "-V", "-2w:+3d",
                        sshd.file("user.pub")], check=True, stderr=subprocess.DEVNULL)
        self.assertEqual(self.state("far", "ssh key"), "warning")
        subprocess.run(["ssh-keygen", "-q", "-s", sshd.file("host"), "-I", "x", "-V", "-2w:-3d",
                        sshd.file("user.pub")], check=True, stderr=subprocess.DEVNULL)
        self.assertEqual(self.state("far", "ssh key", code=20), "failed")
        os.unlink(sshd.file("user-cert.pub"))
        os.chmod(sshd.file("user"), 0o644)
        self.assertEqual(self.state("far", "ssh key", code=1), "failed")

    def use_rest(self, server):
        self.app.url("far", server.url("far", login=""))
        self.secret("app/secrets/login", "joe:geheim")
        self.app.set("far", 'credentials = "file:secrets/login"')
        if server.pem:
            self.app.set("far", f'ca_file = "{server.pem}"')
        self.app("init", "--repositories")
        program.make_key_cheap(self, server.repository("far"), self.app.password_file("far"))

    def test_a_server_of_ours_over_tls_that_only_appends(self):
        server = servers.Serve(self, "--append-only", tls=True)
        self.use_rest(server)
        self.app.backup()
        checks = self.ping()["far"][1]
        self.assertEqual(checks["certificate"]["state"], "warning", checks)  # of two days
        for name in ("writable", "clock", "read back", "newest"):
            self.assertEqual(checks[name]["state"], "ok", checks[name])
        self.assertEqual(os.listdir(server.repository("far") + "/locks"), [])
        self.write("app/secrets/login", "joe:falsch")
        checks = self.ping(code=1)["far"][1]
        self.assertEqual((checks["reachable"]["state"], checks["credentials"]["state"]),
                         ("ok", "failed"), checks)

    def test_a_certificate_that_has_expired(self):
        server = servers.Serve(self, tls=True)
        self.use_rest(server)
        csr = subprocess.run(["openssl", "req", "-new", "-key", server.pem, "-subj", "/CN=test"],
                             check=True, capture_output=True).stdout
        self.write("csr", csr.decode())
        subprocess.run(["openssl", "x509", "-req", "-in", self.path("csr"), "-signkey", server.pem,
                        "-days", "-1", "-out", self.path("old.crt")], check=True,
                       capture_output=True)
        with open(self.path("old.crt"), "rb") as old, open(server.pem, "rb") as pem:
            key = pem.read().split(b"-----BEGIN CERTIFICATE")[0]
            both = key + old.read()
        with open(server.pem, "wb") as pem:
            pem.write(both)
        server.stop()
        server.start()
        checks = self.ping(code=None)["far"][1]
        self.assertEqual(checks["certificate"]["state"], "failed", checks)
        self.assertIn("expired", checks["certificate"]["evidence"])

    def test_s3(self):
        s3 = servers.S3(self)
        s3.use(self.app, "far")
        self.app.backup()
        checks = self.ping()["far"][1]
        for name in ("reachable", "writable", "clock", "read back", "newest"):
            self.assertEqual(checks[name]["state"], "ok", checks[name])
        self.assertEqual(s3.server.names(s3.BUCKET, "far/locks/"), [])
        s3.server.stop_gateway()
        self.assertEqual(self.state("far", "reachable", code=1), "failed")

    def tamper(self, code=0):
        """attempt -> verdict, at the place far; and its leftovers."""
        lines = self.app("--json", "ping", "--tamper", "far", code=code).json()
        return ({line["attempt"]: line["verdict"] for line in lines if line["type"] == "tamper"},
                [line["object"] for line in lines if line["type"] == "leftover"])

    def test_tampering_with_a_server_of_ours(self):
        server = servers.Serve(self, "--append-only")
        self.use_rest(server)
        self.app.set("far", "append_only = true")
        self.app.backup()
        before = trees.describe(server.repository("far"))
        verdicts, leftovers = self.tamper()
        self.assertEqual((set(verdicts.values()), leftovers), ({"refused"}, []), verdicts)
        self.assertIn("add a key", verdicts)
        server.stop()
        server.options.remove("--append-only")
        server.start()
        verdicts, leftovers = self.tamper(code=20)
        self.assertEqual((set(verdicts.values()), leftovers), ({"accepted"}, []), verdicts)
        after = trees.describe(server.repository("far"))
        trees.assert_same(self, trees.without(before, fields={"mtime"}),
                          trees.without(after, fields={"mtime"}), "the repository")

    def test_tampering_with_a_bucket(self):
        s3 = servers.S3(self)
        s3.use(self.app, "far")
        self.app.backup()
        before = {name: s3.server.request("GET", s3.BUCKET, name)[1]
                  for name in s3.server.names(s3.BUCKET)}
        verdicts, leftovers = self.tamper()
        self.assertEqual((verdicts["overwrite"], verdicts["delete"], verdicts["shorten retention"]),
                         ("accepted", "accepted", "inconclusive"))
        self.assertEqual(leftovers, [])
        self.app.set("far", "append_only = true")
        self.tamper(code=20)
        # Versions outlive a deletion, but not that of themselves.
        status, text = s3.server.request(
            "PUT", s3.BUCKET, query="versioning=",
            body=b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
        self.assertEqual(status, 200, text)
        verdicts, leftovers = self.tamper(code=20)
        self.assertEqual((verdicts["overwrite"], verdicts["delete"], verdicts["delete a version"]),
                         ("refused", "refused", "accepted"))
        self.assertEqual(leftovers, [])
        self.assertNotIn(b"sevenfold-probe",
                         s3.server.request("GET", s3.BUCKET, query="versions=")[1])
        self.assertEqual(before, {name: s3.server.request("GET", s3.BUCKET, name)[1]
                                  for name in s3.server.names(s3.BUCKET)})

    def test_shortening_the_retention_of_a_locked_bucket(self):
        s3 = servers.S3(self, bucket=False)
        host = f"127.0.0.1:{s3.server.port}"
        headers = rgw.signed_headers(host, "PUT", "/" + s3.BUCKET, "", b"", rgw.KEY, rgw.SECRET)
        connection = http.client.HTTPConnection(host, timeout=60)
        connection.request("PUT", "/" + s3.BUCKET, b"",
                           headers | {"x-amz-bucket-object-lock-enabled": "true"})
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()
        s3.use(self.app, "far")
        verdicts, leftovers = self.tamper()
        self.assertEqual(verdicts["shorten retention"], "refused", verdicts)
        self.assertEqual(len(leftovers), 1, leftovers)
        self.assertIn("sevenfold-probe", leftovers[0])

    def test_a_clock_that_is_wrong(self):
        log = []

        def answer(method, path):
            log.append(path)
            return 404, {"Date": "Wed, 21 Oct 2015 07:28:00 GMT"}, b""

        wrong = servers.Answering(self, answer)
        self.app.url("far", f"rest:http://127.0.0.1:{wrong.port}/far/")
        checks = self.ping(code=10)["far"][1]
        self.assertTrue(log)
        self.assertEqual(checks["clock"]["state"], "failed", checks)

    def test_a_full_disk(self):
        disk = disks.SmallDisk(self, self.app.dir + "/small", 80 << 20)
        self.app.url("far", self.app.dir + "/small/far")
        self.app("init", "--repositories")
        self.app.backup()
        self.assertEqual(self.state("far", "space"), "ok")
        disk.fill(leave=1 << 20)
        self.assertEqual(self.state("far", "space", code=1), "failed")


if __name__ == "__main__":
    app.main()
