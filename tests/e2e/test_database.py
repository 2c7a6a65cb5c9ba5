"""A database in two places: bases, what they hold, and what goes wrong."""
import os
import unittest

import app
import mariadb
import program

SHOP = """CREATE DATABASE shop; USE shop;
CREATE TABLE customer (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(50), KEY (name));
CREATE TABLE item (id INT AUTO_INCREMENT PRIMARY KEY, customer INT, price DECIMAL(10,2),
                   FOREIGN KEY (customer) REFERENCES customer (id) ON DELETE CASCADE);
INSERT INTO customer (name) SELECT CONCAT('name ', seq) FROM seq_1_to_500;
INSERT INTO item (customer, price) SELECT 1 + seq % 500, seq / 7 FROM seq_1_to_3000;
CREATE VIEW dear AS SELECT * FROM item WHERE price > 400;
"""


class DatabaseTest(program.Case):
    def setUp(self):
        super().setUp()
        self.server = mariadb.Mariadb(self)
        self.server.sql(SHOP)
        self.app = app.App(self)
        self.app.add_database(self.server)

    def test_a_base_at_both_places_comes_back_in_an_empty_server(self):
        done = self.app("--json", "backup", "main")
        self.assertEqual({line["place"] for line in done.json()}, {"near", "far"})
        for line in done.json():
            self.assertEqual((line["kind"], line["method"], line["saved"]),
                             ("base", "logical", True))
            self.assertEqual(line["gtid"], self.server.gtid())
        target = mariadb.Mariadb(self, "target")
        for place in "near", "far":
            target.sql("DROP DATABASE IF EXISTS shop")
            restored = self.app("--json", "db", "restore", "--place", place, "--server",
                                target.socket, "--server-user", "root").json()[-1]
            self.assertEqual((restored["tables"], restored["rows"]), (2, 3500))
            self.assertEqual(target.checksums("shop"), self.server.checksums("shop"))
            self.assertEqual(target.sql("SELECT COUNT(*) FROM shop.dear"),
                             self.server.sql("SELECT COUNT(*) FROM shop.dear"))

    def test_a_physical_base_becomes_a_data_folder(self):
        self.server.sql("GRANT RELOAD, PROCESS, BINLOG MONITOR, LOCK TABLES ON *.* TO "
                        "backup@localhost")
        self.back_up_physically()
        self.app("--json", "db", "restore", "--data-dir", self.path("new"), "--place", "far")
        restored = mariadb.Mariadb(self, "restored", data_dir=self.path("new"))
        self.assertEqual(restored.checksums("shop"), self.server.checksums("shop"))
        again = self.app("db", "restore", "--data-dir", self.path("new"), code=1)
        self.assertFailsWell(again, 1, "is not empty")

    def back_up_physically(self, code=0):
        lines = self.app("--json", "backup", "main", "--method", "physical", code=code).json()
        for line in lines:
            if line["message_type"] == "summary":
                self.assertEqual((line["kind"], line["method"], line["saved"]),
                                 ("base", "physical", True))
                self.assertEqual(line["gtid"], self.server.gtid())
        return lines

    def give_physical_rights(self):
        self.server.sql("GRANT RELOAD, PROCESS, BINLOG MONITOR, LOCK TABLES ON *.* TO "
                        "backup@localhost")

    def test_a_physical_base_is_prepared_before_it_is_needed(self):
        self.give_physical_rights()
        lines = self.back_up_physically()
        prepared = [line for line in lines if line["message_type"] == "prepared"]
        self.assertEqual([line["was_ready"] for line in prepared], [False])
        tags = [snapshot["tags"] for snapshot in self.app.snapshots("near")]
        self.assertEqual(["prepared" in t for t in tags], [False, True])
        self.assertSays(self.app("db", "prepare"), "is prepared already")
        self.assertFalse(os.path.exists(self.path("app", "state", "restore")) and
                         os.listdir(self.path("app", "state", "restore")), "nothing is left")
        # A restore takes the prepared one, and gives it to a server as it is.
        line = self.app("--json", "db", "restore", "--data-dir", self.path("new")).json()[-1]
        newest = self.app.snapshots("near")[-1]
        self.assertIn("prepared", newest["tags"])
        self.assertEqual(line["base"], newest["id"])
        restored = mariadb.Mariadb(self, "restored", data_dir=self.path("new"))
        self.assertEqual(restored.checksums("shop"), self.server.checksums("shop"))

    def test_a_physical_base_that_no_server_can_use_is_found_before_it_is_needed(self):
        self.give_physical_rights()
        self.app.edit('user = "backup"', 'user = "backup"\nprepare = false')
        self.back_up_physically()
        # What a prepared copy of it would be made with lies about the redo log.
        tool = self.path("tool")
        self.write(tool, "#!/bin/sh\ncase \"$*\" in *--prepare*) echo broken >&2; exit 1;; esac\n"
                         "exec mariadb-backup \"$@\"\n")
        os.chmod(tool, 0o755)
        self.app.edit('prepare = false', f'backup_tool = "{tool}"')
        self.assertFailsWell(self.app("db", "prepare", code=1), 1, "prepare failed")
        failed = self.app("backup", "main", "--method", "physical", code=1)
        self.assertFailsWell(failed, 1, "the base is stored, but preparing it failed")
        self.assertFalse([s for s in self.app.snapshots("near") if "prepared" in s["tags"]])

    def test_only_changed_pages_after_a_whole_physical_base(self):
        self.give_physical_rights()
        self.app.edit('user = "backup"', 'user = "backup"\nprepare = false\nincremental = true')
        whole = self.back_up_physically()
        self.server.sql("UPDATE shop.item SET price = price + 1 WHERE id < 50; "
                        "INSERT INTO shop.customer (name) VALUES ('later')")
        self.back_up_physically()
        files = [snapshot["size"] for snapshot in self.app.snapshots("far")]
        self.assertEqual(len(files), 2)
        self.assertLess(files[1], files[0] / 2)
        self.assertTrue(whole)
        for name, more in ("raw", []), ("prepared", ["prepare"]):
            if more:
                self.app("db", *more)
            self.app("db", "restore", "--data-dir", self.path(name), "--place", "far")
            self.assertFalse(os.path.exists(self.path(name + ".increment")))
            restored = mariadb.Mariadb(self, name + "-server", data_dir=self.path(name))
            self.assertEqual(restored.checksums("shop"), self.server.checksums("shop"))
            restored.stop()
        # Without the whole one it is worth nothing, and is not counted.
        far = self.app.snapshots("far")
        self.app.restic("far")("forget", far[0]["id"],
                               *[s["id"] for s in far if "prepared" in s["tags"]])
        self.assertSays(self.app("status", code=20), "has only what changed", "rule 2 does not hold")
        none = self.app("db", "restore", "--data-dir", self.path("no"), "--place", "far", code=1)
        self.assertFailsWell(none, 1, "no base")
        self.app.restic("far")("forget", far[1]["id"])
        # Another data folder has other pages, whatever their numbers say.
        copy = mariadb.Mariadb(self, "copy", data_dir=self.path("prepared"))
        self.app.edit(f'socket = "{self.server.socket}"', f'socket = "{copy.socket}"')
        self.server, old = copy, self.server
        self.back_up_physically()
        newest = self.app.snapshots("far")[-1]
        self.assertGreater(newest["size"], files[0] / 2)
        self.assertEqual(copy.checksums("shop"), old.checksums("shop"))

    def test_a_narrow_account_is_asked_for(self):
        self.app.edit('user = "backup"', 'user = "root"')
        refused = self.app("backup", "main", code=1)
        self.assertFailsWell(refused, 1, "may change data", "db grants")
        self.app("backup", "main", "--allow-privileged")
        self.app.edit('user = "root"', 'user = "backup"')
        self.server.sql("REVOKE TRIGGER ON *.* FROM backup@localhost")
        refused = self.app("backup", "main", code=1)
        self.assertFailsWell(refused, 1, "TRIGGER")

    def test_printed_grants_are_what_it_needs(self):
        for statement in self.app("--json", "db", "grants", "--feature", "dump").json():
            self.server.sql(statement["sql"].replace("CHANGE-ME", "s3cret"))
        self.app.edit('user = "backup"', 'user = "sevenfold_dump"\npassword_file = "secrets/db"')
        self.write(self.path("app", "secrets", "db"), "s3cret\n")
        os.chmod(self.path("app", "secrets", "db"), 0o600)
        self.assertSays(self.app("db", "grants", "--test", "--feature", "dump"),
                        "has what it needs and no more")
        self.app("backup", "main")

    def test_the_server_is_gone(self):
        self.server.stop()
        self.assertFailsWell(self.app("backup", "main", code=1), 1, "connect to socket", "running")
        self.server.start()
        self.app("backup", "main")


if __name__ == "__main__":
    unittest.main()
