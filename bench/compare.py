#!/usr/bin/env python3
"""Compares sevenfold with restic and borg, pair by pair in the same run.

    bench/compare.py [--binary PATH] [--work DIR] [--scale 1.0] [--runs 3] [--sftp] [--s3] [--serve]
                     [--no-local] [--no-places] [--json FILE]

Each step runs sevenfold and its peers in turn, RUNS times; the table shows the median of each figure and the
median of the ratios taken pair by pair (sevenfold / peer), so that a machine whose speed drifts disturbs
little. Wall and CPU seconds and peak memory are the operating system's accounting of the finished process and
the children that it waited for. Sources lie in the page cache, repositories on the same file system. Servers run
on loopback: --s3 is Ceph's gateway, which keeps everything in memory (16 GiB are enough at scale 0.25), --serve is
`sevenfold serve` over TLS, for both clients.
"""
import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "support"))
import rgw  # noqa: E402

PASSWORD = "benchmark"
RANDOM_MIB = 2048
TREE_FILES = 150_000


# --- sources -------------------------------------------------------------------------------------------

def write_random(path, mib, rng):
    with open(path, "wb") as out:
        for _ in range(mib):
            out.write(rng.randbytes(1 << 20))


def make_random_source(root, scale):
    """Video-like: incompressible, eight files of a quarter GiB at scale 1."""
    rng = random.Random(1)
    os.makedirs(root)
    for i in range(8):
        write_random(f"{root}/video{i}.mp4", max(1, int(RANDOM_MIB * scale) // 8), rng)


WORDS = None


def text(rng, size):
    global WORDS
    if WORDS is None:
        words = random.Random(7)
        WORDS = ["".join(words.choices("abcdefghijklmnopqrstuvwxyz", k=words.randint(2, 11))) for _ in range(4000)]
    # Squaring the uniform number makes some words common, as in any language.
    return " ".join(WORDS[int(rng.random() ** 2 * 4000)] for _ in range(size // 7 + 1)).encode()[:size]


def small_size(rng):
    """Mostly a few KiB, some hundred, a few MiB-sized: like uploads, code and documents."""
    kind = rng.random()
    if kind < 0.80:
        return int(rng.expovariate(1 / 3000)) + 1
    if kind < 0.99:
        return int(rng.expovariate(1 / 20000)) + 4000
    return rng.randint(100_000, 1_000_000)


def make_tree_source(root, scale):
    rng = random.Random(2)
    paragraphs = [text(rng, 1 << 16) for _ in range(64)]
    made = 0
    while made < TREE_FILES * scale:
        folder = f"{root}/{made // 5000:03}/{made // 100:05}"
        os.makedirs(folder)
        for i in range(100):
            size = small_size(rng)
            if rng.random() < 0.4:
                body = rng.randbytes(size)
            else:
                source = rng.choice(paragraphs)
                at = rng.randrange(len(source))
                body = (b"%d %d " % (made, i) + (source[at:] + source) * (size // len(source) + 1))[:size]
            with open(f"{folder}/file{i:03}.dat", "wb") as out:
                out.write(body)
        made += 100


def change_one_percent(root):
    rng = random.Random(3)
    for folder, _, names in sorted(os.walk(root)):
        for name in sorted(names):
            path = f"{folder}/{name}"
            if os.path.getsize(path) > 64 << 20:
                with open(path, "r+b") as out:  # one per cent of a large file, in one place
                    size = os.path.getsize(path)
                    out.seek(rng.randrange(size - size // 100))
                    out.write(rng.randbytes(size // 100))
            elif rng.random() < 0.01:
                with open(path, "ab") as out:
                    out.write(rng.randbytes(100))


# --- tools ---------------------------------------------------------------------------------------------

def folder_bytes(path):
    return sum(os.path.getsize(f"{folder}/{name}") for folder, _, names in os.walk(path) for name in names)


class Tool:
    def __init__(self, name, work):
        self.name, self.work = name, work
        self.repos = [f"{work}/{name}-repo", f"{work}/{name}-repo2"]
        self.env = dict(os.environ, RESTIC_PASSWORD=PASSWORD, BORG_PASSPHRASE=PASSWORD,
                        BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK="yes", BORG_RELOCATED_REPO_ACCESS_IS_OK="yes",
                        XDG_CACHE_HOME=f"{work}/{name}-cache", BORG_BASE_DIR=f"{work}/{name}-base")

    def reset(self):
        for path in self.repos + [f"{self.work}/{self.name}-cache", f"{self.work}/{self.name}-base"]:
            shutil.rmtree(path, ignore_errors=True)

    def disk_bytes(self):
        return folder_bytes(self.repos[0])


class ResticLike(Tool):
    """restic's command line, which `sevenfold repo` shares. `server`: where the repositories are."""

    def __init__(self, name, command, work, server=None):
        super().__init__(name, work)
        self.command, self.server = command, server
        if server:
            self.env.update(server.env)

    def reset(self):
        super().reset()
        if self.server:
            self.server.reset(self.name)

    def base(self, i=0):
        if self.server:
            return self.command + self.server.arguments(self.name, self.repos[i])
        return self.command + ["-r", self.repos[i]]

    def disk_bytes(self):
        return self.server.stored(self.name, self.repos[0]) if self.server else folder_bytes(self.repos[0])

    def init(self, i=0):
        return self.base(i) + ["init"]

    def backup(self, source, i=0):
        return self.base(i) + ["backup", source]

    def restore(self, target):
        return self.base() + ["restore", "latest", "--target", target]


class Borg(Tool):
    def init(self, i=0):
        return ["borg", "init", "-e", "repokey-blake2", self.repos[i]]

    def backup(self, source, i=0):
        return ["borg", "create", "-C", "lz4", f"{self.repos[i]}::{time.time_ns()}", source]

    def restore(self, target):
        os.makedirs(target, exist_ok=True)
        last = subprocess.run(["borg", "list", "--short", "--last", "1", self.repos[0]], env=self.env, check=True,
                              capture_output=True, text=True).stdout.strip()
        return ["sh", "-c", f"cd {target} && exec borg extract {self.repos[0]}::{last}"]


class Sshd:
    """An SSH server of our own on loopback, with its own keys."""

    env = {}

    def __init__(self, work):
        self.dir = f"{work}/sshd"
        os.makedirs(self.dir)
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{self.dir}/{key}"], check=True)
        shutil.copy(f"{self.dir}/user.pub", f"{self.dir}/authorized")
        import socket
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        with open(f"{self.dir}/config", "w") as out:
            out.write(f"ListenAddress 127.0.0.1:{self.port}\nHostKey {self.dir}/host\nStrictModes no\nUsePAM no\n"
                      f"AuthorizedKeysFile {self.dir}/authorized\nPidFile none\nSubsystem sftp internal-sftp\n"
                      "PermitRootLogin prohibit-password\n")
        self.process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", f"{self.dir}/config"],
                                        stderr=subprocess.DEVNULL)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        sys.exit("the SSH server did not start")

    def arguments(self, _, repo):
        return ["-r", f"sftp:localhost:{repo}", "-o", "sftp.command=" + self.command()]

    def reset(self, _):
        pass

    def stored(self, _, repo):
        return folder_bytes(repo)

    def command(self):
        return (f"ssh -p {self.port} -i {self.dir}/user -o StrictHostKeyChecking=accept-new "
                f"-o UserKnownHostsFile={self.dir}/known -o BatchMode=yes 127.0.0.1 -s sftp")

    def stop(self):
        self.process.terminate()
        self.process.wait()


class S3:
    """A gateway of our own; every backup begins with an empty bucket on a new one, as memory is what it has."""

    env = {"AWS_ACCESS_KEY_ID": rgw.KEY, "AWS_SECRET_ACCESS_KEY": rgw.SECRET}

    def __init__(self, work):
        self.work, self.gateways = work, {}

    def reset(self, tool):
        if tool in self.gateways:
            self.gateways.pop(tool).stop()
        self.gateways[tool] = rgw.Rgw(f"{self.work}/rgw-{tool}", memory=6 << 30)
        self.gateways[tool].make_bucket("backups")

    def arguments(self, tool, _):
        return ["-r", f"s3:http://127.0.0.1:{self.gateways[tool].port}/backups/app"]

    def stored(self, tool, _):
        stats = json.loads(self.gateways[tool].tool("radosgw-admin", "bucket", "stats", "--bucket=backups"))
        return sum(usage["size"] for usage in stats["usage"].values())

    def stop(self):
        for gateway in self.gateways.values():
            gateway.stop()


class Serve:
    """`sevenfold serve` over TLS; every tool has a folder of its own there."""

    def __init__(self, work, binary):
        self.dir, self.env = f"{work}/serve", {"RESTIC_CACERT": f"{work}/serve/certificate"}
        os.makedirs(f"{self.dir}/data", exist_ok=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-days", "2", "-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", f"{self.dir}/key", "-out", f"{self.dir}/certificate"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.port = rgw.free_ports(1)[0]
        self.process = subprocess.Popen(
            [binary, "serve", "--path", f"{self.dir}/data", "--listen", f"127.0.0.1:{self.port}", "--no-auth",
             "--tls-cert", f"{self.dir}/certificate", "--tls-key", f"{self.dir}/key"], stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        if self.process.poll() is not None:
            sys.exit("`sevenfold serve` did not start")

    def reset(self, tool):
        shutil.rmtree(f"{self.dir}/data/{tool}", ignore_errors=True)

    def arguments(self, tool, _):
        return ["-r", f"rest:https://127.0.0.1:{self.port}/{tool}/"]

    def stored(self, tool, _):
        return folder_bytes(f"{self.dir}/data/{tool}")

    def stop(self):
        self.process.terminate()
        self.process.wait()


# --- measuring -----------------------------------------------------------------------------------------

def run(argv, env):
    start = time.monotonic()
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(argv, env=env, stdout=log, stderr=log)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            log.seek(0)
            sys.exit(f"{' '.join(argv)} failed with {child.returncode}:\n{log.read().decode(errors='replace')}")
    return {"wall": time.monotonic() - start, "cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss / 1024}


class Results:
    def __init__(self):
        self.rows = {}  # (step, tool) -> list of figures

    def add(self, step, tool, figures):
        self.rows.setdefault((step, tool), []).append(figures)

    def median(self, step, tool, key):
        return statistics.median(f[key] for f in self.rows[(step, tool)])

    def ratio(self, step, peer, key):
        pairs = zip(self.rows[(step, "sevenfold")], self.rows[(step, peer)])
        return statistics.median(a[key] / max(b[key], 1e-9) for a, b in pairs)

    def steps(self):
        return list(dict.fromkeys(step for step, _ in self.rows))

    def print(self):
        print(f"{'step':44} {'tool':10} {'wall s':>8} {'cpu s':>8} {'peak MiB':>9} {'repo MiB':>9}   ratio wall  cpu   size")
        for step in self.steps():
            for (s, tool), rows in self.rows.items():
                if s != step:
                    continue
                size = self.median(step, tool, "repo") if "repo" in rows[0] else None
                line = (f"{step:44} {tool:10} {self.median(step, tool, 'wall'):8.2f} {self.median(step, tool, 'cpu'):8.2f} "
                        f"{self.median(step, tool, 'rss'):9.0f} {'' if size is None else round(size):>9}")
                if tool != "sevenfold" and (step, "sevenfold") in self.rows:
                    line += f"   {self.ratio(step, tool, 'wall'):10.2f} {self.ratio(step, tool, 'cpu'):5.2f}"
                    if size:
                        line += f" {self.median(step, 'sevenfold', 'repo') / size:6.2f}"
                print(line)


def bench_source(name, source, tools, results, runs, work):
    """First backup, unchanged, restore, one per cent changed."""
    for _ in range(runs):
        for tool in tools:
            tool.reset()
            run(tool.init(), tool.env)
        for tool in tools:
            figures = run(tool.backup(source), tool.env)
            figures["repo"] = tool.disk_bytes() / (1 << 20)
            results.add(f"{name}: first backup", tool.name, figures)
        for tool in tools:
            results.add(f"{name}: unchanged", tool.name, run(tool.backup(source), tool.env))
        for tool in tools:
            target = f"{work}/restored"
            shutil.rmtree(target, ignore_errors=True)
            results.add(f"{name}: restore", tool.name, run(tool.restore(target), tool.env))
            shutil.rmtree(target, ignore_errors=True)
        change_one_percent(source)
        for tool in tools:
            results.add(f"{name}: 1 % changed", tool.name, run(tool.backup(source), tool.env))


def write_config(path, binary, work, source, places):
    folder = f"{work}/app{places}"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    lines = ['[app]', 'name = "bench"', f'state_dir = "{folder}/state"']
    for i in range(places):
        with open(f"{folder}/password{i}", "w") as out:
            out.write(PASSWORD)
        os.chmod(f"{folder}/password{i}", 0o600)
        lines += ['[[place]]', f'name = "place{i}"', f'url = "{folder}/repo{i}"', f'domain = "d{i}"',
                  f'password_file = "{folder}/password{i}"']
    lines += ['[[files]]', 'name = "source"', f'path = "{source}"', 'every = "1h"']
    with open(path, "w") as out:
        out.write("\n".join(lines) + "\n")
    os.chmod(path, 0o600)
    env = dict(os.environ, RESTIC_PASSWORD=PASSWORD)
    for i in range(places):
        more = [] if i == 0 else ["--from-repo", f"{folder}/repo0"]
        run([binary, "repo", "-r", f"{folder}/repo{i}", "init"] + more, env)


def bench_places(name, source, binary, results, runs, work):
    """One place against two, sevenfold alone: the ratio is two / one."""
    for _ in range(runs):
        for places in (1, 2):
            config = f"{work}/app{places}.toml"
            write_config(config, binary, work, source, places)
            figures = run([binary, "-c", config, "backup"], dict(os.environ))
            results.add(f"{name}: first backup, places", f"{places} place" + "s" * (places > 1), figures)
            shutil.rmtree(f"{work}/app{places}")


def print_places(results):
    for step in results.steps():
        if not step.endswith("places"):
            continue
        one, two = results.rows[(step, "1 place")], results.rows[(step, "2 places")]
        ratio = {k: statistics.median(b[k] / a[k] for a, b in zip(one, two)) for k in ("wall", "cpu")}
        print(f"{step}: two / one: wall {ratio['wall']:.2f}, cpu {ratio['cpu']:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("--binary", default=f"{here}/build/release/sevenfold")
    parser.add_argument("--work", help="a folder for sources and repositories (default: a temporary one)")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the sources, 1 = 2 GiB and 150,000 files")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", default="restic,borg")
    parser.add_argument("--only", choices=["random", "tree"], help="one of the sources")
    parser.add_argument("--sftp", action="store_true", help="also over SFTP on loopback (not borg)")
    parser.add_argument("--s3", action="store_true", help="also in a bucket of a gateway on loopback (not borg)")
    parser.add_argument("--serve", action="store_true", help="also on `sevenfold serve` on loopback (not borg)")
    parser.add_argument("--no-local", action="store_true", help="leave out the comparison in local folders")
    parser.add_argument("--no-places", action="store_true", help="leave out the comparison of one place with two")
    parser.add_argument("--json", help="write all figures to this file")
    options = parser.parse_args()
    work = options.work or tempfile.mkdtemp(prefix="sevenfold-bench-")
    os.makedirs(work, exist_ok=True)
    sources = {"random": make_random_source, "tree": make_tree_source}
    if options.only:
        sources = {options.only: sources[options.only]}
    for name, make in sources.items():
        if not os.path.isdir(f"{work}/{name}"):
            make(f"{work}/{name}", options.scale)
    binary = os.path.abspath(options.binary)
    results, servers = Results(), []
    peers = options.peers.split(",") if options.peers else []

    def restic_like(server=None):
        tools = [ResticLike("sevenfold", [binary, "repo"], work, server)]
        return tools + ([ResticLike("restic", ["restic"], work, server)] if "restic" in peers else [])

    try:
        tools = restic_like() + ([Borg("borg", work)] if "borg" in peers else [])
        for name in sources if not options.no_local else ():
            bench_source(f"{name}, local", f"{work}/{name}", tools, results, options.runs, work)
        for where, wanted, make in (("sftp", options.sftp, lambda: Sshd(work)), ("s3", options.s3, lambda: S3(work)),
                                    ("serve", options.serve, lambda: Serve(work, binary))):
            if not wanted:
                continue
            servers.append(make())
            for name in sources:
                bench_source(f"{name}, {where}", f"{work}/{name}", restic_like(servers[-1]), results, options.runs,
                             work)
        if not options.no_places:
            for name in sources:
                bench_places(name, f"{work}/{name}", binary, results, options.runs, work)
    finally:
        for server in servers:
            server.stop()
    results.print()
    print_places(results)
    if options.json:
        with open(options.json, "w") as out:
            json.dump([{"step": s, "tool": t, "runs": r} for (s, t), r in results.rows.items()], out, indent=1)
    if not options.work:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
