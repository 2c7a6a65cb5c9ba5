"""A MariaDB server of the test's own: its own data folder, a private socket, stopped by its own
process id at the end of the test, and also when the test dies (setpriv --pdeathsig)."""
import os
import shutil
import signal
import subprocess
import tempfile

import program
import servers

_template = None


def _data_template(case):
    """An empty data folder, made once for each test program."""
    global _template
    if _template is None:
        for tool in ("mariadbd", "mariadb-install-db", "mariadb"):
            if shutil.which(tool, path=case.env["PATH"]) is None:
                case.fail(f"{tool} is not installed; ./test installs it (mariadb-server)")
        _template = tempfile.TemporaryDirectory(prefix="sevenfold-mariadb-")
        subprocess.run(["mariadb-install-db", "--no-defaults", "--skip-test-db",
                        "--auth-root-authentication-method=normal", "--innodb-log-file-size=8M",
                        # Names of temporary files repeat between servers.
                        f"--tmpdir={_template.name}",
                        f"--datadir={_template.name}/data", *_user()],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       env=case.env)
    return _template.name + "/data"


def _user():
    return ["--user=root"] if os.geteuid() == 0 else []


class Mariadb:
    def __init__(self, case, name="mariadb", *arguments, data_dir=None, server_id=1, tcp=False,
                 start=True):
        self.case = case
        self.folder = case.folder(name)
        self.socket = os.path.join(self.folder, "s")
        self.log = os.path.join(self.folder, "log")
        self.data = data_dir or os.path.join(self.folder, "data")
        if data_dir is None:
            shutil.copytree(_data_template(case), self.data)
        self.port = servers.free_port() if tcp else None
        self.arguments = list(arguments)
        self.server_id = server_id
        self.process = None
        case.addCleanup(self.kill)
        if start:
            self.start()

    def start(self):
        network = (["--bind-address=127.0.0.1", f"--port={self.port}"] if self.port
                   else ["--skip-networking"])
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "mariadbd", "--no-defaults",
             f"--datadir={self.data}", f"--socket={self.socket}", f"--log-error={self.log}",
             f"--pid-file={self.folder}/pid", f"--tmpdir={self.folder}", *network, *_user(),
             "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M",
             "--performance-schema=0", f"--server-id={self.server_id}",
             "--character-set-server=utf8mb4", "--log-bin=bin", "--binlog-format=ROW",
             "--binlog-row-metadata=FULL", "--sync-binlog=1", "--gtid-strict-mode=1",
             *self.arguments],
            env=self.case.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        program.wait_for(self.answers, "mariadbd to answer")

    def answers(self):
        if self.process.poll() is not None:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                self.case.fail("mariadbd ended:\n" + log.read()[-4000:])
        return self.client("SELECT 1").returncode == 0

    def client(self, sql, *arguments, binary=False):
        return subprocess.run(
            ["mariadb", "--no-defaults", "--user=root", f"--socket={self.socket}", "--batch",
             "--skip-column-names", "--default-character-set=utf8mb4", *arguments],
            input=sql if binary else sql.encode(), env=self.case.env, capture_output=True,
            timeout=program.TIMEOUT, check=False)

    def sql(self, sql, *arguments):
        """What the client prints; fails on an error."""
        done = self.client(sql, *arguments)
        if done.returncode != 0:
            self.case.fail(f"{sql[:300]}\n{done.stderr.decode()}")
        return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    def gtid(self):
        return self.sql("SELECT @@gtid_binlog_pos")

    def checksums(self, *databases):
        tables = self.sql("SELECT CONCAT('`',table_schema,'`.`',table_name,'`') FROM "
                          "information_schema.tables WHERE table_type='BASE TABLE' AND "
                          f"table_schema IN ({','.join(repr(d) for d in databases)}) ORDER BY 1")
        if not tables:
            return ""
        return self.sql("CHECKSUM TABLE " + tables.replace("\n", ","))

    def stop(self):
        self._end(signal.SIGTERM)

    def kill(self):
        self._end(signal.SIGKILL)

    def _end(self, how):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(program.TIMEOUT)
        self.process = None
