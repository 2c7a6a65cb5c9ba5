#!/usr/bin/env python3
"""`sevenfold serve` over TLS under many clients, and whether its memory stays where it is.

    bench/serve_load.py [--build DIR] [--work DIR] [--clients 200] [--seconds 30] [--rounds 1]

Needs `ninja -C build/release sevenfold benchmarks`. Each round is a run of serve_load_bench: its table, and the
server's resident memory, descriptors and threads after it. Many rounds are a soak.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "support"))
from compare import Serve  # noqa: E402


def state(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        fields = dict(line.rstrip().split(":\t", 1) for line in status)
    return (int(fields["VmRSS"].split()[0]) / 1024, int(fields["VmHWM"].split()[0]) / 1024,
            len(os.listdir(f"/proc/{pid}/fd")), int(fields["Threads"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("--build", default=f"{here}/build/release")
    parser.add_argument("--work")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    work = options.work or tempfile.mkdtemp(prefix="sevenfold-load-")
    os.makedirs(work, exist_ok=True)
    server = Serve(work, f"{options.build}/sevenfold")
    code = 0
    try:
        print("before: %.0f MiB (at most %.0f), %d descriptors, %d threads" % state(server.process.pid))
        for number in range(options.rounds):
            server.reset("load")
            code |= subprocess.run(
                [f"{options.build}/serve_load_bench", f"rest:https://127.0.0.1:{server.port}/load/",
                 str(options.clients), str(options.seconds), server.env["RESTIC_CACERT"]], check=False).returncode
            print(f"round {number + 1}: " + "%.0f MiB (at most %.0f), %d descriptors, %d threads"
                  % state(server.process.pid), flush=True)
    finally:
        server.stop()
        if not options.work:
            shutil.rmtree(work)
    sys.exit(code)


if __name__ == "__main__":
    main()
