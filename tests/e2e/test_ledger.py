"""The ledger: what clients were told is stored is never missing, whatever is killed.

Writers note every commit that the server acknowledged. Meanwhile server, receiver and place are
killed in turn (kill -9; a place is taken away). At every death of the server, and at the end, all
noted commits must be in the spool; at the end in the repository of each place, read by restic.

SEVENFOLD_LEDGER_ROUNDS: how many kills, 50 unless set.
"""
import os
import random
import re
import subprocess
import threading
import unittest

import app
import mariadb
import program

ROUNDS = int(os.environ.get("SEVENFOLD_LEDGER_ROUNDS", "50"))
SEMI_SYNC = ["--rpl-semi-sync-master-enabled=1", "--rpl-semi-sync-master-wait-point=AFTER_SYNC",
             "--rpl-semi-sync-master-timeout=120000"]


class Writer(threading.Thread):
    """Commits rows one by one; `noted` holds those that were acknowledged."""

    def __init__(self, server, number):
        super().__init__(daemon=True)
        self.server, self.number = server, number
        self.noted, self.next, self.ending = [], 0, False
        self.away = threading.Event()

    def client(self):
        return subprocess.Popen(
            ["mariadb", "--no-defaults", "--user=root", f"--socket={self.server.socket}",
             "--batch", "--skip-column-names", "--unbuffered", "ledger"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=self.server.case.env)

    def run(self):
        while not self.ending:
            client = self.client()
            try:
                self.write_rows(client)
            except OSError:  # the server went away, and the client with it
                pass
            client.kill()
            client.wait()
            client.stdout.close()
            try:
                client.stdin.close()
            except OSError:  # what it did not read
                pass
            self.away.wait(0.05)  # the server is: not so many tries

    def write_rows(self, client):
        while not self.ending:
            name = f"entry-{self.number}-{self.next};"
            self.next += 1
            client.stdin.write(f"INSERT INTO entry (name) VALUES ('{name}'); SELECT 'done';\n"
                               .encode())
            client.stdin.flush()
            if client.stdout.readline() != b"done\n":
                return
            self.noted.append(name)


def entries_in(folder):
    found = set()
    for where, _, names in os.walk(folder):
        for name in names:
            if re.fullmatch(r"bin\.\d+", name):
                with open(os.path.join(where, name), "rb") as file:
                    found.update(re.findall(rb"entry-\d+-\d+;", file.read()))
    return {name.decode() for name in found}


class LedgerTest(program.Case):
    def setUp(self):
        super().setUp()
        self.seed = int(os.environ.get("SEVENFOLD_LEDGER_SEED", random.randrange(1 << 32)))
        self.random = random.Random(self.seed)
        self.server = mariadb.Mariadb(self)
        self.server.sql("CREATE DATABASE ledger; CREATE TABLE ledger.entry "
                        "(id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40)); "
                        "CREATE USER streamer@localhost; "
                        "GRANT REPLICATION SLAVE ON *.* TO streamer@localhost")
        self.app = app.App(self)
        self.app.add_database(self.server, 'stream = true', 'stream_user = "streamer"',
                              'stream_second = "far"', 'seal = "1s"')
        self.app("backup", "main", "--base")
        self.spool = os.path.join(self.app.dir, "state", "stream", "main")
        # From here on a commit waits for the stream, also when there is none.
        self.server.stop()
        self.server.arguments += SEMI_SYNC
        self.server.start()

    def start_stream(self):
        self.stream = self.app.start("stream", "run")
        self.addCleanup(self.stream.stop)

    def noted(self):
        return {name for writer in self.writers for name in list(writer.noted)}

    def wait_for_progress(self, count=5):
        goal = {writer: len(writer.noted) + count for writer in self.writers}
        program.wait_for(lambda: all(len(w.noted) >= n for w, n in goal.items()),
                         f"commits go on (seed {self.seed})", 120)

    def kill_server(self):
        self.server.kill()
        noted = self.noted()  # what clients know by now
        missing = noted - entries_in(self.spool)
        self.assertEqual(missing, set(), f"acknowledged but not in the spool (seed {self.seed})")
        self.server.start()

    def kill_receiver(self):
        self.stream.send(9)
        self.stream.finish()
        self.start_stream()

    def take_place_away(self):
        place = os.path.join(self.app.dir, self.random.choice(["near", "far"]))
        os.rename(place, place + ".away")
        self.wait_for_progress(2)
        os.rename(place + ".away", place)

    def test_nothing_acknowledged_is_lost(self):
        self.start_stream()
        self.writers = [Writer(self.server, number) for number in range(4)]
        for writer in self.writers:
            writer.start()
        kills = {}
        try:
            for _ in range(ROUNDS):
                self.wait_for_progress(self.random.randrange(1, 12))
                victim = self.random.choices(
                    [self.kill_server, self.kill_receiver, self.take_place_away], [5, 4, 1])[0]
                kills[victim.__name__] = kills.get(victim.__name__, 0) + 1
                victim()
            self.wait_for_progress()
        finally:
            for writer in self.writers:
                writer.ending = True
        for writer in self.writers:
            writer.join(60)
        noted = self.noted()
        print(f"{len(noted)} commits acknowledged, {kills}, seed {self.seed}", flush=True)
        self.assertGreater(len(noted), ROUNDS)
        self.stream.send(2)  # seals what came last
        self.assertEqual(self.stream.finish().code, 0)
        table = set(self.server.sql("SELECT name FROM ledger.entry").splitlines())
        self.assertEqual(noted - table, set())
        for place in self.app.places:
            target = self.path("restored-" + place)
            restic = self.app.restic(place)
            for snapshot in restic.snapshots():
                if snapshot["paths"] == ["/sevenfold/database/main/binlog"]:
                    restic("restore", snapshot["id"], "--target", f"{target}/{snapshot['id']}")
            stored = entries_in(target)
            self.assertEqual(noted - stored, set(), f"missing at {place} (seed {self.seed})")
            # What was never acknowledged may be there, but only if the server has it, too.
            self.assertEqual(stored - table, set(), f"unexplained at {place} (seed {self.seed})")


if __name__ == "__main__":
    unittest.main()
