"""An ssh server of the test's own on a loopback port, and a proxy that cuts connections."""
import os
import shlex
import shutil
import signal
import socket
import subprocess
import threading

import program

ALIAS = "sevenfold-test"  # the name under which known_hosts has the server


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


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
