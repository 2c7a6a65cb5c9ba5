"""The repository server: restic and ourselves as its clients, over TCP, TLS and ssh, with rights that
protect what is there; clients that are slow, hostile or many; a server that is killed or full."""
import base64
import concurrent.futures
import hashlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import time
import urllib.request

import app
import disks
import program
import servers
import trees


class Serve(program.Case):
    def setUp(self):
        super().setUp()
        self.password = self.secret("password", "x")
        self.env["RESTIC_PASSWORD_FILE"] = self.password
        self.source = self.folder("source")

    def repo(self, url, *arguments, **options):
        return self.sevenfold("repo", "-r", url, "--no-cache", *arguments, **options)

    def fill(self, count=20):
        trees.make_small(self.source, count=count)

    def request(self, server, method, path, body=None, login="joe:geheim", headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        headers = dict(headers or {})
        if login:
            headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def files(self, folder):
        """path -> content's hash, of all but locks."""
        return {path: trees.digest(path) for path in
                (os.path.join(at, name) for at, _, names in os.walk(folder) for name in names)
                if "/locks/" not in path}

    # restic and we, each with what the other has made -------------------------------------------

    def test_restic_over_tls(self):
        self.fill()
        server = servers.Serve(self, tls=True)
        restic = server.restic(self.password)
        restic("init")
        program.make_key_cheap(self, server.repository(), self.password)
        restic("backup", self.source)
        self.write("source/new", "new")
        restic("backup", self.source)
        restic.check()
        trees.assert_same(self, self.source, restic.restore() + self.source)
        self.repo(server.url(), "--cacert", server.pem, "check", "--read-data")
        self.repo(server.url(), "--cacert", server.pem, "restore", "latest", "--target",
                  self.path("back"))
        trees.assert_same(self, self.source, self.path("back") + self.source)
        restic("forget", "--keep-last", "1", "--prune")
        self.assertEqual(len(restic.snapshots()), 1)
        restic.check()
        self.assertFailsWell(self.repo(server.url(), "snapshots", code=None, timeout=90), 1,
                             "certificate is not trusted")
        log = self.read(server.log).decode()
        self.assertIn("- joe [", log)
        self.assertIn('"POST /shop/config HTTP/1.1" 200', log)
        self.assertNotIn("geheim", log)
        self.assertNotIn("Basic", log)
        server.stop()

    def test_sevenfold_and_then_restic(self):
        self.fill()
        server = servers.Serve(self)
        url = server.url("a folder/sh%C3%B6p")
        self.repo(url, "init")
        self.assertFailsWell(self.repo(url, "init", code=None), 1, "already")
        program.make_key_cheap(self, server.repository("a folder/sh\u00f6p"), self.password)
        self.repo(url, "backup", self.source)
        # The password from the environment instead of the URL.
        plain = server.url("a folder/sh%C3%B6p", login="")
        login = {"RESTIC_REST_USERNAME": "joe", "RESTIC_REST_PASSWORD": "geheim"}
        self.repo(plain, "snapshots", env=login)
        result = self.repo(plain, "snapshots", code=None, timeout=90)
        self.assertFailsWell(result, 1, "401", "hint:.*RESTIC_REST_PASSWORD")
        result = self.repo(server.url("x", login="joe:hunter2@"), "-o", "rest.connections=2", "snapshots", code=None)
        self.assertFailsWell(result, 1, "401")
        self.assertNotIn("hunter2", result.text)
        restic = server.restic(self.password, url=url)
        restic.check()
        restic("backup", self.source)
        trees.assert_same(self, self.source, restic.restore() + self.source)
        self.repo(url, "forget", "--keep-last", "1", "--group-by", "")
        self.repo(url, "check", "--read-data")
        self.assertFailsWell(self.repo(server.url("none"), "snapshots", code=None), 10, "no repository")
        self.assertEqual(oct(os.stat(server.repository("a folder/sh\u00f6p/config")).st_mode & 0o777), "0o400")

    def test_a_place_of_the_daily_work(self):
        server = servers.Serve(self)
        shop = app.App(self)
        trees.make_small(shop.source)
        shop.url("far", server.url("far", login=""))
        self.secret("app/secrets/login", "joe:geheim")
        shop.set("far", 'credentials = "file:secrets/login"')
        shop("init", "--repositories")
        program.make_key_cheap(self, server.repository("far"), shop.password_file("far"))
        shop.backup()
        self.write("app/source/new", "new")
        self.assertEqual(shop.backup()["far"]["data_blobs"], 1)
        shop("status")
        self.assertSays(shop("ping"), r"far\s+\S+\s+good")
        shop.assert_restores()
        # The server goes, the other place gets its copy; it comes again.
        server.stop()
        shop.backup(code=None, timeout=120)
        server.start()
        shop.backup()
        shop("status")

    # Rights -------------------------------------------------------------------------------------

    def test_append_only(self):
        self.fill()
        server = servers.Serve(self, "--append-only")
        restic = server.restic(self.password)
        restic("init")
        program.make_key_cheap(self, server.repository(), self.password)
        restic("backup", self.source)
        self.write("source/new", "new")
        restic("backup", self.source)  # it removes its lock
        self.assertEqual(os.listdir(server.repository() + "/locks"), [])
        before = self.files(server.repository())
        forget = restic("forget", "--keep-last", "1", "--prune", code=None)
        self.assertIn("403", forget.text)
        result = self.repo(server.url(), "forget", "--keep-last", "1", "--group-by", "", code=None, timeout=90)
        self.assertFailsWell(result, 1, "403")
        self.assertNotEqual(restic("key", "add", "--new-password-file", self.password, code=None).code, 0)
        self.assertEqual(before, self.files(server.repository()))
        restic.check()
        trees.assert_same(self, self.source, restic.restore() + self.source)
        self.repo(server.url(), "backup", self.source)

    def test_rights_of_users(self):
        self.fill(4)
        rights = self.write("rights", "joe / full\neve /shop read\n* /open append 1MiB\nmon metrics\n")
        server = servers.Serve(self, "--rights-file", rights, "--prometheus")
        server.users({"joe": "geheim", "eve": "e", "mon": "m"})
        program.wait_for(lambda: self.request(server, "GET", "/metrics", login="mon:m")[0] == 200, "the users are read anew")
        self.repo(server.url(), "init")
        program.make_key_cheap(self, server.repository(), self.password)
        self.repo(server.url(), "backup", self.source)
        eve = server.url(login="eve:e@")
        self.repo(eve, "--no-lock", "restore", "latest", "--target", self.path("back"))
        trees.assert_same(self, self.source, self.path("back") + self.source)
        self.assertFailsWell(self.repo(eve, "backup", self.source, code=None), 1, "403")
        self.assertFailsWell(self.repo(server.url("other", login="eve:e@"), "init", code=None), 1, "403")
        opened = server.url("open/eve", login="eve:e@")
        self.repo(opened, "init")
        self.write("source/large", os.urandom(2 << 20))
        self.assertFailsWell(self.repo(opened, "backup", self.source, code=None, timeout=90), 1, "quota")
        self.assertEqual(self.request(server, "GET", "/metrics")[0], 403)
        self.assertIn(b'sevenfold_serve_quota_bytes{folder="/open"} 1048576',
                      self.request(server, "GET", "/metrics", login="mon:m")[1])

    # Over ssh -----------------------------------------------------------------------------------

    def test_ssh_with_a_forced_command(self):
        self.fill()
        sshd = servers.Sshd(self)
        served = self.folder("served")
        with open(sshd.file("user.pub"), encoding="ascii") as key:
            self.write(sshd.file("authorized_keys"),
                       f'restrict,command="{program.binary()} serve --stdio --append-only --path '
                       f'{served}" {key.read()}')
        shop = app.App(self)
        trees.make_small(shop.source)
        shop.url("far", "ssh:vault.test:/shop")
        options = ", ".join(f'"{option}"' for option in sshd.ssh_options())
        shop.set("far", f"ssh_options = [{options}]")
        shop("init", "--repositories")
        program.make_key_cheap(self, served + "/shop", shop.password_file("far"))
        shop.backup()
        self.write("app/source/new", "new")
        self.assertEqual(shop.backup()["far"]["data_blobs"], 1)
        shop("status")
        shop.assert_restores()
        before = self.files(served)
        args = "ssh.args=" + " ".join(sshd.ssh_options())
        result = self.repo("ssh:vault.test:/shop", "-p", shop.password_file("far"), "-o", args, "forget",
                           "--keep-last", "1", "--group-by", "", code=None)
        self.assertFailsWell(result, 1, "403")
        self.assertEqual(before, self.files(served))
        # Nothing else can be run with that key, and nothing outside be reached.
        ssh = ["ssh", *sshd.ssh_options(), "vault.test", "cat /etc/passwd"]
        done = subprocess.run(ssh, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=60, check=False)
        self.assertNotIn(b"root:", done.stdout)
        self.assertFailsWell(self.repo("ssh:vault.test:/../etc", "-o", args, "snapshots", code=None), 10)

    # Bad input ----------------------------------------------------------------------------------

    def test_hostile_requests(self):
        server = servers.Serve(self)
        self.repo(server.url(), "init")
        self.write("outside", "secret")
        name = "a" * 64
        for path in ("/../outside", "/shop/../../outside", "/%2e%2e/outside", "/shop/%2e%2e/%2e%2e/outside",
                     "/shop/data/..%2f..%2f..%2foutside", "/shop/keys/" + "A" * 64, "/users", "/shop/.."):
            for method in ("GET", "HEAD", "POST", "DELETE"):
                status, body = self.request(server, method, path, b"x" if method == "POST" else None)
                self.assertIn(status, (403, 404, 405), f"{method} {path}")
                self.assertNotIn(b"secret", body)
        self.assertEqual(self.read("outside"), b"secret")
        self.assertEqual(self.request(server, "POST", "/shop/data/" + name, b"not this")[0], 400)
        self.assertEqual(self.request(server, "POST", "/shop/config", b"another")[0], 403)
        self.assertEqual(self.request(server, "GET", "/shop/config", login="joe:wrong")[0], 401)
        self.assertEqual(self.request(server, "GET", "/shop/config", login="")[0], 401)
        self.assertEqual(self.request(server, "GET", "/shop/config", headers={"X": "y" * 100_000})[0], 431)
        self.assertEqual(self.request(server, "POST", "/shop/data/" + name, headers={"Content-Length": str(1 << 50)})[0], 413)
        for garbage in (b"\x00" * 5000, b"GET\n\n", os.urandom(3000), b"\x16\x03\x01\x00\xa5\x01"):
            with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
                try:
                    client.sendall(garbage)
                    client.shutdown(socket.SHUT_WR)
                    while client.recv(4096):
                        pass
                except ConnectionError:
                    pass
        self.repo(server.url(), "check")
        server.stop()

    def test_stalled_clients_do_not_stop_others(self):
        self.fill(4)
        server = servers.Serve(self)
        stalled = []
        for text in (b"", b"GET /shop/conf", b"POST /shop/data/" + b"a" * 64 + b" HTTP/1.1\r\nContent-Length: 999\r\n\r\nx"):
            for _ in range(20):
                client = socket.create_connection(("127.0.0.1", server.port))
                self.addCleanup(client.close)
                client.sendall(text)
                stalled.append(client)
        self.repo(server.url(), "init")
        self.repo(server.url(), "backup", self.source)
        start = time.monotonic()
        server.stop()
        self.assertLess(time.monotonic() - start, 60)

    def test_a_server_that_is_killed(self):
        server = servers.Serve(self)
        self.repo(server.url(), "init")
        program.make_key_cheap(self, server.repository(), self.password)
        for number in range(12):
            self.write(f"source/{number}", os.urandom(6 << 20))
        backup = self.start("repo", "-r", server.url(), "--no-cache", "backup", self.source)
        for kill in range(3):
            size = lambda: sum(len(files) for _, _, files in os.walk(server.repository() + "/data"))
            had = size()
            program.wait_for(lambda: size() > had or not backup.alive(), "something is stored")
            server.running.send(signal.SIGKILL)
            server.running.process.wait()
            for folder, _, files in os.walk(server.repository()):
                for file in files:  # whole under its name, or not there
                    if len(file) == 64:
                        data = self.read(os.path.join(folder, file))
                        self.assertEqual(hashlib.sha256(data).hexdigest(), file)
            server.start()
        self.assertCode(backup.finish(), 0)
        self.repo(server.url(), "check", "--read-data")
        server.restic(self.password).check()

    def test_a_full_disk(self):
        self.fill(4)
        disk = disks.SmallDisk(self, self.path("served"), 40 << 20)
        server = servers.Serve(self)
        self.repo(server.url(), "init")
        program.make_key_cheap(self, server.repository(), self.password)
        self.repo(server.url(), "backup", self.source)
        disk.fill(leave=2 << 20)
        self.write("source/large", os.urandom(12 << 20))
        result = self.repo(server.url(), "backup", self.source, code=None)
        self.assertFailsWell(result, 1, "507", "hint:.*free space")
        restic = server.restic(self.password)
        self.assertIn("507", restic("backup", self.source, code=None).text)
        disk.release()
        self.repo(server.url(), "check", "--read-data")
        self.repo(server.url(), "backup", self.source)
        restic.check()
        for _, _, files in os.walk(server.repository()):
            self.assertEqual([name for name in files if "tmp" in name], [])

    # Many ---------------------------------------------------------------------------------------

    def test_200_clients_at_once(self):
        server = servers.Serve(self, "--max-connections", "300")
        self.repo(server.url(), "init")
        login = {"Authorization": "Basic " + base64.b64encode(b"joe:geheim").decode()}

        def client(number, rounds):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
            for round_ in range(rounds):
                body = (f"{number} {round_} ".encode() * 4000)[:30_000]
                path = "/shop/data/" + hashlib.sha256(body).hexdigest()
                for method, content, expected in (("POST", body, b""), ("GET", None, body), ("DELETE", None, b"")):
                    connection.request(method, path, content, login)
                    answer = connection.getresponse()
                    got = answer.read()
                    if (answer.status, got) != (200, expected):
                        return f"client {number}: {method}: {answer.status} {got[:80]}"
            connection.close()
            return None

        def run(rounds):
            with concurrent.futures.ThreadPoolExecutor(200) as pool:
                problems = [text for text in pool.map(lambda n: client(n, rounds), range(200)) if text]
            self.assertEqual(problems, [])

        run(1)
        program.wait_for(lambda: len(os.listdir(f"/proc/{server.running.process.pid}/task")) < 20, "connections end")
        first = server.memory()
        for _ in range(3):
            run(2)
        program.wait_for(lambda: len(os.listdir(f"/proc/{server.running.process.pid}/task")) < 20, "connections end")
        # Sanitizers keep what was freed for a while.
        self.assertLess(server.memory(), first * 1.5 + 60_000, "KiB of memory")
        self.repo(server.url(), "check")
        server.stop()

    # As a service -------------------------------------------------------------------------------

    def test_a_socket_of_systemd(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            os.set_inheritable(listener.fileno(), True)
            served = self.folder("served")
            command = (f"exec 3<&{listener.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec {program.binary()} "
                       f"serve --path {served} --no-auth")
            process = subprocess.Popen(["bash", "-c", command], env=self.env, pass_fds=[listener.fileno()],
                                       stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                url = f"http://127.0.0.1:{listener.getsockname()[1]}/x/?create=true"
                with urllib.request.urlopen(url, data=b"", timeout=60) as answer:
                    self.assertEqual(answer.status, 200)
            finally:
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(60), 0)

    def test_a_new_certificate(self):
        server = servers.Serve(self, tls=True)

        def serial():
            pem = ssl.get_server_certificate(("127.0.0.1", server.port))
            return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()

        before = serial()
        servers.make_certificate(self, "serve.pem")
        program.wait_for(lambda: serial() != before, "the new certificate is served")
        server.stop()

    def test_what_it_refuses_to_start_with(self):
        served = self.folder("served")
        start = lambda *options, **more: self.sevenfold("serve", "--path", served, "--listen", "127.0.0.1:0", *options, code=None, **more)
        self.assertFailsWell(start(), 2, "no file of users")
        self.assertFailsWell(start("--no-auth", "--private-repos"), 2, "need users")
        self.assertFailsWell(start("--no-auth", "--listen", "nonsense"), 2, "not an address")
        self.assertFailsWell(start("--no-auth", "--max-size", "much"), 2, "not a size")
        self.assertFailsWell(start("--no-auth", "--tls-cert", "/x"), 2, "both", hint=False)
        self.assertFailsWell(start("--no-auth", "--tls-cert", "/x", "--tls-key", "/x"), 2, "cannot be used")
        users = self.write("users", "joe:plain\n")
        self.assertFailsWell(start("--htpasswd-file", users), 2, "users:1: ", "bcrypt")
        rights = self.write("rights", "joe / everything\n")
        self.write("users", "")
        self.assertFailsWell(start("--htpasswd-file", users, "--rights-file", rights), 2, "rights:1: ")
        self.assertFailsWell(self.sevenfold("serve", code=None), 2, "--path")
        self.assertFailsWell(self.sevenfold("serve", "--path", self.path("none"), "--no-auth", code=None), 1, "none", hint=False)


if __name__ == "__main__":
    app.main()
