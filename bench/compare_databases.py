#!/usr/bin/env python3
"""Compares sevenfold's work on a MariaDB database with the usual tools, in turn in the same run.

    bench/compare_databases.py [--binary PATH] [--work DIR] [--gb 1] [--runs 3]
                               [--only dump,load,physical,replay,stream,hour] [--json FILE]

Peers: mariadb-dump and mydumper (dump), mariadb and myloader (load), mariadb-backup (physical),
mariadb-binlog | mariadb (replay), the server without a stream (stream). The table shows medians, and
the median of the ratios taken pair by pair (sevenfold / peer). Servers have private sockets and data
folders below the work folder, and are stopped at the end. Sevenfold writes encrypted, deduplicated
repositories at two places; the peers write plain files once.
"""
import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

PROCESSORS = os.cpu_count()
TRANSACTIONS = 70_000
SERVER_OPTIONS = ["--innodb-buffer-pool-size=512M", "--innodb-log-file-size=256M",
                  "--character-set-server=utf8mb4", "--performance-schema=0"]
LOG_OPTIONS = ["--log-bin=bin", "--binlog-format=ROW", "--binlog-row-metadata=FULL",
               "--binlog-row-image=FULL", "--sync-binlog=1", "--gtid-strict-mode=1",
               "--binlog-annotate-row-events=1", "--innodb-flush-log-at-trx-commit=1"]


def run(argv, check=True, **options):
    """Wall seconds of a command; ends the program with what it said when it fails."""
    begun = time.monotonic()
    with tempfile.TemporaryFile() as said:
        code = subprocess.run(argv, stdout=options.pop("stdout", said), stderr=said,
                              check=False, **options).returncode
        seconds = time.monotonic() - begun
        if check and code != 0:
            said.seek(0)
            sys.exit(f"{argv}: exit code {code}\n{said.read().decode(errors='replace')[-3000:]}")
    return seconds


def folder_bytes(path):
    return sum(os.lstat(os.path.join(folder, name)).st_size
               for folder, _, names in os.walk(path) for name in names)


class Server:
    """mariadbd on a data folder of its own, without network."""

    def __init__(self, folder, options=(), data=None):
        self.folder, self.options = folder, list(options)
        self.data, self.socket = data or f"{folder}/data", f"{folder}/s"
        self.process = None
        os.makedirs(folder, exist_ok=True)
        self.user = ["--user=root"] if os.geteuid() == 0 else []

    def install(self):
        run(["mariadb-install-db", "--no-defaults", "--skip-test-db", f"--datadir={self.data}",
             "--auth-root-authentication-method=normal", *self.user])
        return self

    def start(self):
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "mariadbd", "--no-defaults", f"--datadir={self.data}",
             f"--socket={self.socket}", f"--log-error={self.folder}/log", "--skip-networking",
             f"--pid-file={self.folder}/pid", "--server-id=1", *self.user, *SERVER_OPTIONS,
             *self.options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not self.answers():
            if self.process.poll() is not None:
                sys.exit(f"mariadbd ended; see {self.folder}/log")
            time.sleep(0.05)
        return self

    def answers(self):
        return subprocess.run(self.client() + ["-e", "SELECT 1"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False).returncode == 0

    def client(self):
        return ["mariadb", "--no-defaults", "--user=root", f"--socket={self.socket}", "--batch",
                "--skip-column-names", "--default-character-set=utf8mb4"]

    def sql(self, text, *arguments):
        done = subprocess.run(self.client() + list(arguments), input=text.encode(),
                              capture_output=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{text[:200]}\n{done.stderr.decode()}")
        return done.stdout.decode().strip()

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
            self.process = None


def fill(server, megabytes):
    """An application's tables: many small rows with keys, and some wide ones with text."""
    server.sql("CREATE DATABASE shop")
    server.sql("""
        CREATE TABLE words (id INT PRIMARY KEY, text TEXT);
        INSERT INTO words SELECT seq, CONCAT_WS(' ', MD5(seq), 'application for the position of',
          ELT(1 + seq % 5, 'engineer', 'designer', 'writer', 'analyst', 'manager'), MD5(seq * 7),
          'with several years of experience in', SHA1(seq)) FROM seq_0_to_999;
        CREATE TABLE customers (id INT AUTO_INCREMENT PRIMARY KEY, email VARCHAR(100) NOT NULL,
          name VARCHAR(80), city VARCHAR(40), balance DECIMAL(10,2), created DATETIME,
          UNIQUE KEY email (email), KEY city (city, created));
        CREATE TABLE orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, customer INT NOT NULL,
          state ENUM('new','paid','sent'), total DECIMAL(10,2), placed DATETIME, note VARCHAR(200),
          KEY customer (customer), KEY placed (placed),
          FOREIGN KEY (customer) REFERENCES customers (id));
        CREATE TABLE messages (id BIGINT AUTO_INCREMENT PRIMARY KEY, customer INT NOT NULL,
          sent DATETIME, body TEXT, KEY customer (customer));
        """, "shop")
    unit = megabytes * 10  # a unit is about 100 kB with indexes
    server.sql(f"""
        INSERT INTO customers (email, name, city, balance, created)
          SELECT CONCAT('user', seq, '@example.com'), MD5(seq), ELT(1 + seq % 7, 'Wien', 'Paris',
          'Lima', 'Oslo', 'Rome', 'Bern', 'Kyiv'), seq % 10000 / 7, '2026-01-01' + INTERVAL seq SECOND
          FROM seq_1_to_{unit * 100};
        INSERT INTO orders (customer, state, total, placed, note)
          SELECT 1 + seq * 7919 % {unit * 100}, 1 + seq % 3, seq % 99999 / 9, '2026-01-01' +
          INTERVAL seq SECOND, CONCAT('order note ', SHA1(seq)) FROM seq_1_to_{unit * 300};
        INSERT INTO messages (customer, sent, body)
          SELECT 1 + seq * 104729 % {unit * 100}, '2026-01-01' + INTERVAL seq SECOND,
          CONCAT(w.text, ' ', MD5(seq), ' ', w.text, ' ', SHA2(seq, 512))
          FROM seq_1_to_{unit * 80} JOIN words w ON w.id = seq % 1000;
        ANALYZE TABLE customers, orders, messages""", "shop")


class Sevenfold:
    """A configuration with two places in folders."""

    def __init__(self, binary, folder, server, more=""):
        self.binary, self.folder = binary, folder
        os.makedirs(folder)
        with open(f"{folder}/password", "w", encoding="utf-8") as out:
            out.write("benchmark")
        os.chmod(f"{folder}/password", 0o600)
        places = "".join(f"""
[[place]]
name = "p{i}"
url = "{folder}/p{i}"
domain = "d{i}"
password_file = "{folder}/password"
""" for i in (1, 2))
        with open(f"{folder}/sevenfold.toml", "w", encoding="utf-8") as out:
            out.write(f"""[app]
name = "bench"
state_dir = "{folder}/state"
{places}
[[database]]
name = "shop"
socket = "{server.socket}"
user = "root"
{more}
""")
        os.chmod(f"{folder}/sevenfold.toml", 0o600)
        self.call("init", "--repositories")

    def argv(self, *arguments):
        return [self.binary, "-c", f"{self.folder}/sevenfold.toml", *arguments]

    def call(self, *arguments):
        return run(self.argv(*arguments))

    def start_stream(self):
        return subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *self.argv("stream", "run", "--allow-privileged")],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def backup(self, *more):
        return self.call("backup", "shop", "--base", "--allow-privileged", *more)

    def summary(self, *arguments):
        """Seconds, and the last line of JSON."""
        with tempfile.TemporaryFile() as out:
            seconds = run(self.argv("--json", *arguments), stdout=out)
            out.seek(0)
            return seconds, json.loads(out.read().decode().strip().splitlines()[-1])

    def stream_status(self):
        """What it prints; the exit code says whether it is armed."""
        return subprocess.run(self.argv("--json", "stream", "status"), capture_output=True,
                              text=True, check=False).stdout

    def snapshots(self):
        """Ids of the snapshots at the first place, oldest first."""
        said = subprocess.run(self.argv("--json", "snapshots", "--place", "p1"), check=True,
                              capture_output=True, text=True).stdout
        lines = [json.loads(line) for line in said.splitlines()]
        return [line["id"] for line in lines if line.get("type") == "snapshot"]

    def stored(self):
        return folder_bytes(f"{self.folder}/p1")


class Figures:
    def __init__(self):
        self.rows = {}

    def add(self, step, name, seconds, **more):
        self.rows.setdefault(step, {}).setdefault(name, []).append(dict(seconds=seconds, **more))
        extra = "".join(f", {k} {v}" for k, v in more.items())
        print(f"  {step}: {name} {seconds:.2f}{extra}", file=sys.stderr, flush=True)

    def print(self):
        print(f"{'step':34} {'who':24} {'median':>10}   ours / theirs")
        for step, tools in self.rows.items():
            ours = next(iter(tools.values()))
            for name, runs in tools.items():
                line = f"{step:34} {name:24} {statistics.median(r['seconds'] for r in runs):10.2f}"
                if runs is not ours:
                    ratio = statistics.median(a["seconds"] / b["seconds"] for a, b in zip(ours, runs))
                    line += f"   {ratio:.2f}"
                print(line)


class Bench:
    def __init__(self, options, work):
        self.options, self.work, self.figures = options, work, Figures()
        self.server = None
        self.servers = []

    def fresh(self, name, options=()):
        """An empty server."""
        shutil.rmtree(f"{self.work}/{name}", ignore_errors=True)
        server = Server(f"{self.work}/{name}", options).install().start()
        self.servers.append(server)
        return server

    def gone(self, server):
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)

    def scratch(self, name):
        path = f"{self.work}/{name}"
        shutil.rmtree(path, ignore_errors=True)
        return path

    def dump(self):
        add = self.figures.add
        for _ in range(self.options.runs):
            ours = Sevenfold(self.options.binary, self.scratch("sevenfold"), self.server)
            add("logical base, first", "sevenfold, two places", ours.backup("--method", "logical"),
                bytes=ours.stored())
            files = self.scratch("mydumper")
            add("logical base, first", "mydumper", self.mydumper(files), bytes=folder_bytes(files))
            add("logical base, first", "mariadb-dump", self.mariadb_dump())
            before = ours.stored()
            add("logical base, unchanged", "sevenfold, two places",
                ours.backup("--method", "logical"), bytes=ours.stored() - before)
            files = self.scratch("mydumper")
            add("logical base, unchanged", "mydumper", self.mydumper(files))

    def mydumper(self, files):
        return run(["mydumper", "--socket", self.server.socket, "--user", "root", "--database",
                    "shop", "--outputdir", files, "--threads", str(PROCESSORS), "--rows", "200000",
                    "--trx-consistency-only", "--triggers", "--routines", "--events"])

    def mariadb_dump(self):
        with open(self.scratch("dump.sql"), "wb") as out:
            return run(["mariadb-dump", "--no-defaults", "--user=root",
                        f"--socket={self.server.socket}", "--single-transaction", "--quick",
                        "--routines", "--events", "--databases", "shop"], stdout=out)

    def load(self):
        ours = Sevenfold(self.options.binary, self.scratch("sevenfold"), self.server)
        ours.backup("--method", "logical")
        files = self.scratch("mydumper")
        self.mydumper(files)
        self.mariadb_dump()
        expected = self.checksums(self.server)
        for _ in range(self.options.runs):
            target = self.fresh("target")
            seconds = ours.call("db", "restore", "--no-replay", "--no-users", "--server",
                                target.socket, "--server-user", "root")
            self.compare(expected, target)
            self.figures.add("logical restore", "sevenfold, with verification", seconds)
            self.gone(target)
            target = self.fresh("target")
            seconds = run(["myloader", "--socket", target.socket, "--user", "root", "--directory",
                           files, "--threads", str(PROCESSORS)])
            self.compare(expected, target)
            self.figures.add("logical restore", "myloader", seconds)
            self.gone(target)
            target = self.fresh("target")
            with open(f"{self.work}/dump.sql", "rb") as dump:
                seconds = run(target.client(), stdin=dump)
            self.figures.add("logical restore", "mariadb < dump", seconds)
            self.gone(target)

    @staticmethod
    def checksums(server):
        return server.sql("CHECKSUM TABLE customers, orders, messages", "shop")

    def compare(self, expected, target):
        if self.checksums(target) != expected:
            sys.exit("what was restored differs from the source")

    def physical(self):
        add = self.figures.add
        expected = self.checksums(self.server)
        user = ["--user=root"]
        for _ in range(self.options.runs):
            ours = Sevenfold(self.options.binary, self.scratch("sevenfold"), self.server,
                             "prepare = false")
            add("physical base, first", "sevenfold, two places", ours.backup("--method", "physical"),
                bytes=ours.stored())
            files = self.scratch("backup")
            add("physical base, first", "mariadb-backup",
                run(["mariadb-backup", "--no-defaults", "--backup", f"--target-dir={files}", *user,
                     f"--socket={self.server.socket}", f"--parallel={PROCESSORS}"]),
                bytes=folder_bytes(files))
            before = ours.stored()
            add("physical base, unchanged", "sevenfold, two places",
                ours.backup("--method", "physical"), bytes=ours.stored() - before)
            for state in "prepared", "as it came":
                step = f"physical restore, {state}"
                if state == "prepared":
                    add("preparing it beforehand", "sevenfold, with CHECK TABLE",
                        ours.call("db", "prepare"))
                newest = ours.snapshots()[-1 if state == "prepared" else 0]
                data = self.scratch("restored/data")
                os.makedirs(f"{self.work}/restored", exist_ok=True)
                begun = time.monotonic()
                ours.call("db", "restore", "--no-replay", "--base", newest, "--data-dir", data)
                server = Server(f"{self.work}/restored").start()
                add(step, "sevenfold", time.monotonic() - begun)
                self.compare(expected, server)
                server.stop()
            data = self.scratch("restored/data")
            begun = time.monotonic()
            run(["mariadb-backup", "--prepare", f"--target-dir={files}"])
            prepared = time.monotonic()
            run(["mariadb-backup", "--no-defaults", "--copy-back", f"--target-dir={files}",
                 f"--datadir={data}", f"--parallel={PROCESSORS}"])
            server = Server(f"{self.work}/restored").start()
            ended = time.monotonic()
            add("physical restore, prepared", "mariadb-backup", ended - prepared)
            add("physical restore, as it came", "mariadb-backup", ended - begun)
            self.compare(expected, server)
            server.stop()
        shutil.rmtree(f"{self.work}/restored", ignore_errors=True)

    def slap(self, server, clients, transactions):
        """Commits a second."""
        seconds = run(["mariadb-slap", "--no-defaults", "--user=root", f"--socket={server.socket}",
                       f"--concurrency={clients}", f"--number-of-queries={transactions}",
                       "--create-schema=app", "--no-drop", "--query",
                       "INSERT INTO app.events (who, what) VALUES (FLOOR(RAND()*1000), MD5(RAND()))"])
        return transactions / seconds

    @staticmethod
    def make_app(server):
        server.sql("CREATE DATABASE app; USE app; CREATE TABLE app.events (id BIGINT AUTO_INCREMENT PRIMARY "
                   "KEY, who INT, what VARCHAR(40), KEY (who)); CREATE TABLE app.accounts (id INT "
                   "PRIMARY KEY, balance INT, note VARCHAR(60)); INSERT INTO app.accounts SELECT seq, "
                   "0, MD5(seq) FROM seq_1_to_20000")

    def replay(self):
        """Many small transactions after a base, applied to a server that has the base."""
        source = self.fresh("source", LOG_OPTIONS + ["--sync-binlog=0",
                                                     "--innodb-flush-log-at-trx-commit=0"])
        self.make_app(source)
        ours = Sevenfold(self.options.binary, self.scratch("sevenfold"), source,
                         'stream = true\nack = "async"\nseal = "5s"')
        stream = ours.start_stream()
        time.sleep(3)
        ours.backup("--method", "logical")
        with open(self.scratch("base.sql"), "wb") as out:
            run(["mariadb-dump", "--no-defaults", "--user=root", f"--socket={source.socket}",
                 "--single-transaction", "--databases", "app"], stdout=out)
        source.sql("FLUSH BINARY LOGS")
        first = source.sql("SHOW MASTER STATUS").split("\t")[0]
        half = TRANSACTIONS // 2
        statements = "\n".join(
            f"UPDATE accounts SET balance = balance + {i % 97}, note = MD5({i}) WHERE id = "
            f"{1 + i * 7919 % 20000};\nINSERT INTO events (who, what) VALUES ({i % 1000}, MD5({i}));"
            for i in range(half))
        source.sql(statements, "app")
        end = source.sql("SELECT @@gtid_binlog_pos")
        source.sql("FLUSH BINARY LOGS")
        expected = source.sql("CHECKSUM TABLE accounts, events", "app")
        while True:  # everything in the places
            if f'"{end}"' in ours.stream_status():
                break
            time.sleep(1)
        time.sleep(8)
        stream.send_signal(signal.SIGTERM)
        stream.wait()
        logs = sorted(n for n in os.listdir(source.data) if n.startswith("bin.0") and n >= first)
        for _ in range(self.options.runs):
            target = self.fresh("target", LOG_OPTIONS + ["--server-id=2"])
            _, done = ours.summary("db", "restore", "--to", end, "--no-users", "--server",
                                   target.socket, "--server-user", "root")
            if target.sql("CHECKSUM TABLE accounts, events", "app") != expected:
                sys.exit("what was replayed differs from the source")
            self.figures.add(f"replay of {TRANSACTIONS:,} transactions", "sevenfold",
                             done["replay_duration"], transactions=done["transactions"])
            self.gone(target)
            target = self.fresh("target", LOG_OPTIONS + ["--server-id=2"])
            with open(f"{self.work}/base.sql", "rb") as dump:
                run(target.client(), stdin=dump)
            target.sql("RESET MASTER")
            pipe = ("mariadb-binlog --no-defaults " + " ".join(f"{source.data}/{n}" for n in logs) +
                    " | " + " ".join(target.client()))
            seconds = run(["bash", "-o", "pipefail", "-c", pipe])
            if target.sql("CHECKSUM TABLE accounts, events", "app") != expected:
                sys.exit("what the pipe replayed differs from the source")
            self.figures.add(f"replay of {TRANSACTIONS:,} transactions", "mariadb-binlog | mariadb",
                             seconds)
            self.gone(target)
        self.gone(source)

    def stream(self):
        """Commits a second, each run's three ways directly after each other."""
        source = self.fresh("source", LOG_OPTIONS + [
            "--rpl-semi-sync-master-enabled=1", "--rpl-semi-sync-master-timeout=10000",
            "--rpl-semi-sync-master-wait-point=AFTER_SYNC",
            "--rpl-semi-sync-master-wait-no-slave=OFF"])
        self.make_app(source)
        ways = {"without": None, "armed": 'ack = "semi-sync"',
                "armed, second spool": 'ack = "semi-sync"\nstream_second = "p2"'}
        for _ in range(self.options.runs):
            for clients in (1, 8):
                rates = {}
                for way, settings in ways.items():
                    if settings is None:
                        rates[way] = self.slap(source, clients, 4000 * clients // 2)
                        continue
                    ours = Sevenfold(self.options.binary, self.scratch("sevenfold"), source,
                                     "stream = true\n" + settings)
                    stream = ours.start_stream()
                    deadline = time.monotonic() + 30
                    while '"armed"' not in ours.stream_status():
                        if time.monotonic() > deadline:
                            sys.exit("the stream did not become armed")
                        source.sql("UPDATE app.accounts SET balance = balance + 1 WHERE id = 1")
                        time.sleep(0.3)
                    rates[way] = self.slap(source, clients, 4000 * clients // 2)
                    stream.send_signal(signal.SIGTERM)
                    stream.wait()
                for way, rate in rates.items():
                    self.figures.add(f"commits/s, {clients} client{'s' * (clients > 1)}", way, rate)
        self.gone(source)

    def hour(self):
        """What an hour of an application's life adds to a place: 20,000 transactions on 1 GB."""
        base = Sevenfold(self.options.binary, self.scratch("sevenfold"), self.server,
                         'stream = true\nack = "async"\nseal = "5s"')
        stream = base.start_stream()
        time.sleep(3)
        base.backup("--method", "logical")
        before = base.stored()
        customers = int(self.server.sql("SELECT MAX(id) FROM shop.customers"))
        self.server.sql("\n".join(
            f"INSERT INTO orders (customer, state, total, placed, note) VALUES ({1 + i * 7919 % customers},"
            f" 'new', {i % 999}, NOW(), SHA1({i}));\n"
            f"UPDATE customers SET balance = balance + 1 WHERE id = {1 + i * 7919 % customers};"
            for i in range(10_000)), "shop")
        base.call("backup", "shop", "--allow-privileged")
        stream.send_signal(signal.SIGTERM)
        stream.wait()
        added = base.stored() - before
        before = base.stored()
        base.backup("--method", "logical")
        again = base.stored() - before
        self.figures.add("MB added by 20,000 transactions", "points and stream", added / 1e6)
        self.figures.add("MB added by 20,000 transactions", "a new logical base", again / 1e6)


def main():
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=f"{here}/build/release/sevenfold")
    parser.add_argument("--work")
    parser.add_argument("--gb", type=float, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="dump,load,physical,replay,stream,hour")
    parser.add_argument("--json")
    options = parser.parse_args()
    work = options.work or tempfile.mkdtemp(prefix="sevenfold-bench-")
    os.makedirs(work, exist_ok=True)
    bench = Bench(options, work)
    steps = options.only.split(",")
    try:
        if set(steps) & {"dump", "load", "physical", "hour"}:
            bench.server = Server(f"{work}/server", LOG_OPTIONS)
            ready = os.path.isdir(bench.server.data)
            if not ready:
                bench.server.install()
            bench.server.start()
            if not ready:
                fill(bench.server, int(options.gb * 1000))
            size = bench.server.sql("SELECT ROUND(SUM(data_length + index_length) / 1e9, 2) FROM "
                                    "information_schema.tables WHERE table_schema = 'shop'")
            print(f"  the database has {size} GB with indexes", file=sys.stderr)
        for step in steps:
            getattr(bench, step)()
    finally:
        for server in bench.servers + ([bench.server] if bench.server else []):
            server.stop()
        if not options.work:
            shutil.rmtree(work, ignore_errors=True)
    bench.figures.print()
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(bench.figures.rows, out, indent=1)


if __name__ == "__main__":
    main()
