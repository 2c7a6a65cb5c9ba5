"""Servers of the test's own on loopback ports: ssh, S3, our repository server, one that answers what
it is told, and a proxy that cuts connections."""
import http.server
import os
import shlex
import shutil
import signal
import socket
import subprocess
import threading

import program
import restic
import rgw

ALIAS = "sevenfold-test"  # the name under which known_hosts has the server


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def make_certificate(case, name):
    """Of its own authority, for the loopback address: certificate and key in one file."""
    path = case.path(name)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=test",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path,
                    "-out", path + ".crt"], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    with open(path, "ab") as both, open(path + ".crt", "rb") as certificate:
        both.write(certificate.read())
    return path


class Sshd:
    """Serves SFTP to this user with a key of its own. Stopped, with its children, at the end of the
    test, and also when the test dies (setpriv --pdeathsig)."""

    def __init__(self, case):
        self.case = case
        self.keys = case.folder("ssh")
        self.log = os.path.join(self.keys, "log")
        self.process = None
        if shutil.which("sshd", path=case.env["PATH"]) is None:
            case.fail("sshd is not installed; ./test installs it (package openssh-server)")
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # where sshd locks itself in
        for name in ("host", "user"):
            self.make_key(name)
        shutil.copy(self.file("user.pub"), self.file("authorized_keys"))
        self.port = None
        self.start()
        self.trust_host()
        case.addCleanup(self.stop)

    def file(self, name):
        return os.path.join(self.keys, name)

    def make_key(self, name):
        for ending in ("", ".pub"):
            if os.path.exists(self.file(name + ending)):
                os.unlink(self.file(name + ending))
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test",
                        "-f", self.file(name)], check=True)

    def trust_host(self):
        with open(self.file("host.pub"), encoding="ascii") as key:
            self.case.write(self.file("known_hosts"), f"{ALIAS} {key.read()}")

    def start(self):
        """On the port it had before, if it had one."""
        for _ in range(5):
            port = self.port or free_port()
            self.case.write(self.file("sshd_config"), "\n".join([
                f"ListenAddress 127.0.0.1:{port}", f"HostKey {self.file('host')}",
                f"AuthorizedKeysFile {self.file('authorized_keys')}", "PidFile none",
                "StrictModes no", "UsePAM no", "PermitRootLogin yes", "PasswordAuthentication no",
                "KbdInteractiveAuthentication no", "MaxStartups 100", "UseDNS no",
                "Subsystem sftp internal-sftp", ""]))
            with open(self.log, "wb") as log:
                self.process = subprocess.Popen(
                    ["setpriv", "--pdeathsig", "TERM", shutil.which("sshd", path=self.case.env["PATH"]),
                     "-D", "-e", "-f", self.file("sshd_config")],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            program.wait_for(lambda: "Server listening" in self.said() or
                             self.process.poll() is not None, "sshd listens")
            if self.process.poll() is None:
                self.port = port
                return
        self.case.fail("sshd did not start: " + self.said())

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def stop(self):
        """The server and what serves its connections."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        self.process.wait(30)
        self.process = None

    def ssh_options(self, port=None):
        """Arguments for ssh; the host's name in the URL does not matter."""
        self.case.write(self.file(f"config-{port or self.port}"), "\n".join([
            "Host *", "HostName 127.0.0.1", f"Port {port or self.port}", f"HostKeyAlias {ALIAS}",
            f"IdentityFile {self.file('user')}", "IdentitiesOnly yes", "IdentityAgent none",
            f"UserKnownHostsFile {self.file('known_hosts')}", "GlobalKnownHostsFile /dev/null",
            "StrictHostKeyChecking yes", ""]))
        return ["-F", self.file(f"config-{port or self.port}")]

    def use(self, app, place, port=None):
        """Makes a place of an app, a folder so far, one that is reached over SFTP."""
        app.url(place, "sftp:vault.test:" + app.repository(place))
        options = ", ".join(f'"{option}"' for option in self.ssh_options(port))
        app.set(place, f"ssh_options = [{options}]")

    def restic_option(self, port=None):
        words = ["ssh", *self.ssh_options(port), "vault.test", "-s", "sftp"]
        return "sftp.command=" + " ".join(shlex.quote(word) for word in words)


class S3:
    """A real S3 server with one bucket, `BUCKET`, and its owner's keys in the test's environment.
    Stopped at the end of the test, and also when the test dies."""
    BUCKET = "copies"

    def __init__(self, case, tls=False, bucket=True):
        self.case = case
        self.ca_file = make_certificate(case, "s3.pem") if tls else None
        try:
            self.server = rgw.Rgw(case.path("s3"), self.ca_file)
        except rgw.Failed as failure:
            case.fail(str(failure))
        case.addCleanup(self.server.stop)
        if bucket:
            self.server.make_bucket(self.BUCKET)
        case.env.update(AWS_ACCESS_KEY_ID=rgw.KEY, AWS_SECRET_ACCESS_KEY=rgw.SECRET)

    def url(self, prefix="shop", port=None):
        scheme = "https" if self.ca_file else "http"
        return f"s3:{scheme}://127.0.0.1:{port or self.server.port}/{self.BUCKET}/{prefix}"

    def use(self, app, place, port=None):
        """Makes a place of an app, a folder so far, a bucket with a new repository in it."""
        app.url(place, self.url(place, port))
        app("init", "--repositories")
        program.make_key_cheap(self.case, self.url(place), app.password_file(place))

    def restic(self, case, prefix, password_file):
        return restic.Restic(case, self.url(prefix), password_file)


class Serve:
    """`sevenfold serve` on a free loopback port, for the user joe (password: geheim). Stopped at the
    end of the test."""

    def __init__(self, case, *options, tls=False, auth=True, folder="served", port=0):
        self.case, self.folder = case, case.folder(folder)
        self.pem = make_certificate(case, "serve.pem") if tls else None
        self.log = case.path("access.log")
        self.options = ["--path", self.folder, "--log", self.log, *options]
        if tls:
            self.options += ["--tls-cert", self.pem, "--tls-key", self.pem]
        self.login = "joe:geheim@" if auth else ""
        if auth:
            self.users({"joe": "geheim"})
            self.options += ["--htpasswd-file", self.users_file]
        else:
            self.options.append("--no-auth")
        self.port = port
        self.start()

    @property
    def users_file(self):
        return self.case.path("users")

    def users(self, passwords):
        lines = []
        for name, password in passwords.items():
            made = self.case.sevenfold("serve", "--hash-password", stdin=password.encode())
            lines.append(f"{name}:{made.out.strip()}")
        self.case.write(self.users_file, "\n".join(lines) + "\n")

    def start(self):
        """On the port it had before, if it had one."""
        self.running = self.case.start("--json", "serve", "--listen", f"127.0.0.1:{self.port}",
                                       *self.options)

        def address():
            self.running.out.seek(0)
            for line in program.json_lines(self.running.out.read().decode()):
                if line["message_type"] == "listening":
                    return line["address"]
            if not self.running.alive():
                self.case.fail(str(self.running.finish()))
            return None

        self.port = int(program.wait_for(address, "it listens").rpartition(":")[2])

    def stop(self):
        """As systemd does; fails when that is not a clean end."""
        self.running.send(signal.SIGTERM)
        result = self.running.finish()
        self.case.assertCode(result, 0)
        return result

    def url(self, name="shop", login=None, port=None):
        scheme = "https" if self.pem else "http"
        login = self.login if login is None else login
        return f"rest:{scheme}://{login}127.0.0.1:{port or self.port}/{name}/"

    def repository(self, name="shop"):
        return os.path.join(self.folder, name)

    def restic(self, password_file, name="shop", url=None):
        made = restic.Restic(self.case, url or self.url(name), password_file, real_keys=True)
        if self.pem:
            made.env["SSL_CERT_FILE"] = self.pem  # what its language's library reads
        return made

    def memory(self):
        """KiB resident."""
        with open(f"/proc/{self.running.process.pid}/status", encoding="ascii") as file:
            return int([line for line in file if line.startswith("VmRSS")][0].split()[1])


class Answering:
    """An HTTP server whose answers a function makes: handler(method, path) -> (status, headers,
    body). A Content-Length among the headers is sent as it is, be it true or not."""

    def __init__(self, case, handler):
        self.requests = []
        requests = self.requests

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                requests.append((self.command, self.path))
                status, headers, body = handler(self.command, self.path)
                if "Date" in headers:
                    self.send_response_only(status)
                else:
                    self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)
                self.close_connection = True

            do_GET = do_HEAD = do_PUT = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        case.addCleanup(self.stop, thread)

    def stop(self, thread):
        self.server.shutdown()
        thread.join()
        self.server.server_close()


class Proxy:
    """Forwards connections to a port and cuts them after a number of bytes in one direction.

    cut_after is a list of (direction, bytes), one for each connection in turn; connections after
    those pass untouched. Directions: "up" from the client, "down" to it."""

    def __init__(self, case, target_port, cut_after=()):
        self.target_port, self.plan = target_port, list(cut_after)
        self.refusing = False
        self.connections = self.cuts = self.refused = 0
        self.lock = threading.Lock()
        self.sockets = {}  # socket -> how many threads still use it
        self.threads = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.spawn(self.accept)
        case.addCleanup(self.close)

    def spawn(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.refusing:
                client.close()
                self.refused += 1
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port))
            except OSError:
                client.close()
                continue
            with self.lock:
                self.connections += 1
                cut = self.plan.pop(0) if self.plan else (None, 0)
                self.sockets |= {client: 2, server: 2}
            for direction, source, sink in (("up", client, server), ("down", server, client)):
                limit = cut[1] if cut[0] == direction else None
                self.spawn(self.pump, source, sink, limit)

    def pump(self, source, sink, limit):
        try:
            while data := source.recv(1 << 16):
                if limit is not None:
                    data = data[:limit]
                    limit -= len(data)
                sink.sendall(data)
                if limit == 0:
                    self.cuts += 1
                    break
        except OSError:
            pass
        with self.lock:
            for sock in (source, sink):
                self.end(sock)
                self.sockets[sock] -= 1
                if self.sockets[sock] == 0:  # the other direction does not use it any more either
                    del self.sockets[sock]
                    sock.close()

    @staticmethod
    def end(sock):
        """Wakes who reads or writes it."""
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def cut_all(self):
        with self.lock:
            for sock in self.sockets:
                self.end(sock)

    def close(self):
        self.end(self.listener)
        self.threads[0].join()  # no more connections
        self.listener.close()
        self.cut_all()
        for thread in self.threads:
            thread.join()
