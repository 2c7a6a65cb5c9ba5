"""A server that encrypts its files and its binlog: bases of both kinds, the stream, and restores."""
import os
import secrets

import app
import mariadb
import program

from test_back_in_time import SEMI_SYNC, STREAM
from test_database import SHOP

MORE = """USE shop;
CREATE TABLE hidden (id INT PRIMARY KEY, text VARCHAR(100)) ENCRYPTED=YES ENCRYPTION_KEY_ID=2;
CREATE TABLE packed (id INT PRIMARY KEY, text TEXT) PAGE_COMPRESSED=1;
CREATE TABLE old (id INT PRIMARY KEY, text TEXT) ENGINE=Aria;
INSERT INTO hidden SELECT seq, CONCAT('plain-mark-', seq) FROM seq_1_to_2000;
INSERT INTO packed SELECT seq, REPEAT('plain-mark-', 50) FROM seq_1_to_500;
INSERT INTO old SELECT seq, CONCAT('plain-mark-', seq) FROM seq_1_to_500;
"""


class EncryptedServerTest(program.Case):
    def setUp(self):
        super().setUp()
        self.keys = self.path("keys")
        self.write(self.keys, f"1;{secrets.token_hex(32)}\n2;{secrets.token_hex(32)}\n")
        self.key_options = ["--plugin-load-add=file_key_management",
                            f"--file-key-management-filename={self.keys}"]
        self.server = mariadb.Mariadb(
            self, "mariadb", *SEMI_SYNC, *self.key_options, "--innodb-encrypt-tables=FORCE",
            "--innodb-encrypt-log=ON", "--encrypt-binlog=ON", "--aria-encrypt-tables=ON",
            "--log-bin-compress=ON", "--innodb-encryption-threads=2")
        self.server.sql(SHOP + MORE)
        self.server.sql("CREATE USER streamer@localhost; GRANT REPLICATION SLAVE ON *.* TO "
                        "streamer@localhost; CREATE USER backup@localhost; GRANT RELOAD, PROCESS, "
                        "BINLOG MONITOR, LOCK TABLES ON *.* TO backup@localhost")
        self.app = app.App(self)
        self.app.add_database(self.server, *STREAM)
        self.stream = self.app.start("--json", "stream", "run")
        program.wait_for(lambda: self.server.sql("SHOW STATUS LIKE 'Rpl_semi_sync_master_clients'")
                         .endswith("\t1"), "the stream to connect")

    def holds_plain(self, folder):
        """Files below it in which something of the tables can be read."""
        found = []
        for where, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(where, name)
                if os.path.isfile(path) and b"plain-mark-" in self.read(path):
                    found.append(os.path.relpath(path, folder))
        return found

    def base_and_more(self, method):
        """Its base, a bad transaction after it, and one more; the GTID of the bad one, and the
        checksums of before and after."""
        self.app("backup", "main", "--base", "--method", method)
        self.server.sql("INSERT INTO shop.hidden VALUES (9000, 'plain-mark-late')")
        before = self.server.checksums("shop")
        bad = self.server.sql("DELETE FROM shop.hidden; SELECT @@last_gtid").splitlines()[-1]
        self.server.sql("INSERT INTO shop.packed VALUES (9000, 'plain-mark-late')")
        self.app("backup", "main")  # waits for the stream
        return bad, before, self.server.checksums("shop")

    def restored(self, name, *arguments):
        folder = self.path(name)
        self.app("db", "restore", "--data-dir", folder, *arguments)
        self.assertEqual(self.holds_plain(folder), [], "what was encrypted stays so")
        server = mariadb.Mariadb(self, name + "-server", *self.key_options, "--skip-log-bin",
                                 data_dir=folder)
        sums = server.checksums("shop")
        server.stop()
        return sums

    def test_a_logical_base_and_replay(self):
        self.assertEqual(self.holds_plain(self.server.data), [], "the test's own server encrypts")
        bad, before, after = self.base_and_more("logical")
        self.assertEqual([line["tables"][0]["name"] for line in
                          self.app("--json", "db", "timeline", "--delete").json()], ["shop.hidden"])
        target = mariadb.Mariadb(self, "target", *self.key_options, server_id=7)
        for moment, expected in ([], after), (["--before", bad], before):
            target.sql("DROP DATABASE IF EXISTS shop; RESET MASTER; SET GLOBAL gtid_slave_pos=''")
            self.app("db", "restore", *moment, "--server", target.socket, "--server-user", "root")
            self.assertEqual(target.checksums("shop"), expected)
        # Without the keys: a table that asks for them by name is said, and nothing is left out.
        refused = self.app("db", "restore", "--data-dir", self.path("plain"), code=1)
        self.assertFailsWell(refused, 1, "hidden", "ENCRYPT")

    def test_a_physical_base_prepared_and_restored(self):
        bad, before, after = self.base_and_more("physical")
        self.assertIn("prepared", self.app.snapshots("near")[1]["tags"] +
                      self.app.snapshots("near")[2]["tags"])
        self.assertEqual(self.restored("before", "--before", bad), before)
        self.assertEqual(self.restored("after", "--place", "far"), after)
        # Left running, it reads its tables, too.
        line = self.app("--json", "db", "restore", "--data-dir", self.path("left"), "--start").json()[-1]
        self.addCleanup(os.kill, line["process"], 9)
        left = mariadb.Mariadb(self, "left-server", data_dir=self.path("left"), start=False)
        left.socket = line["socket"]
        self.assertEqual(left.checksums("shop"), after)
        # Keys are not in the base: without them nothing works, and it says so.
        os.rename(self.keys, self.keys + ".away")
        for arguments in (["db", "restore", "--data-dir", self.path("no-keys")],):
            self.assertFailsWell(self.app(*arguments, code=1), 1, "keys in [^\n]*, which is missing",
                                 "Put the server's file of keys there")
        os.rename(self.keys + ".away", self.keys)


if __name__ == "__main__":
    app.main()
