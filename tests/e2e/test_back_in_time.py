"""The stream, the timeline, and back to any transaction: a bad DELETE, and every way out of it."""
import os
import re
import signal
import unittest

import app
import mariadb
import program

from test_database import SHOP

SEMI_SYNC = ["--rpl-semi-sync-master-enabled=1", "--rpl-semi-sync-master-wait-point=AFTER_SYNC"]
STREAM = ['stream = true', 'stream_user = "streamer"', 'stream_second = "far"', 'seal = "1s"',
          'method = "logical"', 'base = "1d"']


class BackInTimeTest(program.Case):
    def setUp(self):
        super().setUp()
        self.server = mariadb.Mariadb(self, "mariadb", *SEMI_SYNC)
        self.server.sql(SHOP)
        self.server.sql("CREATE USER streamer@localhost; "
                        "GRANT REPLICATION SLAVE ON *.* TO streamer@localhost")
        self.app = app.App(self)
        self.app.add_database(self.server, *STREAM)

    def start_stream(self):
        """Running, and the server waits for its word."""
        return self.app.start_stream(self.server)

    def transaction(self, sql):
        """Its GTID."""
        return self.server.sql(f"{sql}; SELECT @@last_gtid").splitlines()[-1]

    def restored(self, name, *arguments):
        """The server on a new data folder, restored with these arguments."""
        folder = self.path(name)
        line = self.app("--json", "db", "restore", "--data-dir", folder, *arguments).json()[-1]
        server = mariadb.Mariadb(self, name + "-server", "--skip-log-bin", data_dir=folder)
        return server, line

    def kinds(self):
        return {line["kind"] for line in self.app("--json", "backup", "main").json()}

    def test_a_new_base_before_replaying_takes_too_long_or_is_uncertain(self):
        self.start_stream()
        self.assertEqual(self.kinds(), {"base"})
        self.server.sql("CREATE TABLE shop.more (id INT PRIMARY KEY, text TEXT)")
        self.assertEqual(self.kinds(), {"point"})
        self.server.sql("ALTER TABLE shop.item ADD COLUMN note TEXT")
        lines = self.app("--json", "backup", "main").json()
        self.assertEqual({line["kind"] for line in lines}, {"base"})
        self.assertIn("changed a table's form: ALTER TABLE shop.item", lines[0]["reason"])
        self.assertEqual(self.kinds(), {"point"})
        # Three megabytes of log take longer than two seconds by the cautious rate.
        with open(self.app.config, "a", encoding="utf-8") as config:
            config.write('\n[recovery]\nrto = "2s"\n')
        self.assertEqual(self.kinds(), {"point"})
        self.server.sql("USE shop; INSERT INTO more SELECT seq, REPEAT(MD5(seq), 90) FROM seq_1_to_1000")
        self.assertSays(self.app("status", code=20), "a restore is predicted to take")
        lines = self.app("--json", "backup", "main").json()
        self.assertEqual({line["kind"] for line in lines}, {"base"})
        self.assertIn("a restore would take", lines[0]["reason"])

    def test_what_builds_on_a_transaction_that_is_left_out(self):
        self.start_stream()
        self.app("backup", "main")
        bad = self.transaction("UPDATE shop.customer SET name = 'bad' WHERE id = 7")
        first = self.transaction("UPDATE shop.customer SET name = CONCAT(name, '!') WHERE id = 7")
        self.transaction("UPDATE shop.item SET price = 3 WHERE id = 5")
        other = self.transaction("UPDATE shop.customer SET name = 'other' WHERE id = 8")
        second = self.transaction("DELETE FROM shop.customer WHERE id = 7")
        self.app("backup", "main")
        refused = self.app("db", "restore", "--skip", bad, "--data-dir", self.path("no"), code=1)
        self.assertFailsWell(refused, 1, "2 later transactions build on what is left out",
                             "--with-dependents")
        self.assertFalse(os.path.exists(self.path("no")))
        self.assertSays(refused, first, second, "row: shop.customer id=7")
        self.assertNotIn(other + " ", refused.out)
        # Some tables only, though the log has changes of others.
        target = mariadb.Mariadb(self, "target", server_id=9)
        self.app("db", "restore", "--to", other, "--tables", "shop.customer", "--server",
                 target.socket, "--server-user", "root")
        self.assertEqual(target.sql("SHOW TABLES FROM shop"), "customer")
        self.assertEqual(target.sql("SELECT name FROM shop.customer WHERE id IN (7, 8) "
                                    "ORDER BY id"), "bad!\nother")
        # What comes after the goal does not count.
        self.app("db", "restore", "--skip", bad, "--to", bad, "--data-dir", self.path("short"))
        server, line = self.restored("without", "--skip", bad, "--with-dependents")
        self.assertEqual(server.sql("SELECT name FROM shop.customer WHERE id IN (7, 8) "
                                    "ORDER BY id"), "name 7\nother")
        # When told so, they are replayed as the log has them.
        server, line = self.restored("tried", "--skip", bad, "--yes", "--to", first)
        self.assertEqual(server.sql("SELECT name FROM shop.customer WHERE id = 7"), "bad!")
        self.server.stop()
        alone = self.app("db", "restore", "--skip", bad, "--data-dir", self.path("no"), code=1)
        self.assertFailsWell(alone, 1, "does not answer", "--yes")

    def test_a_bad_delete(self):
        stream = self.start_stream()
        self.assertEqual({line["kind"] for line in
                          self.app("--json", "backup", "main").json()}, {"base"})
        self.server.sql("INSERT INTO shop.customer (name) VALUES ('late')")
        before = self.server.checksums("shop")
        bad = self.transaction("DELETE FROM shop.customer WHERE id <= 100")
        self.server.sql("INSERT INTO shop.item (customer, price) VALUES (200, 1), (201, 2)")
        after = self.server.checksums("shop")

        # An hourly point costs almost nothing, and says that all of it is at both places.
        for line in self.app("--json", "backup", "main").json():
            self.assertEqual((line["kind"], line["saved"]), ("point", True))
            self.assertEqual(line["gtid"], self.server.gtid())
            self.assertLess(line["data_added"], 10000)
        self.assertSays(self.app("status", code=20), "rule 2 holds", "any transaction from")

        # Found: by what it did.
        found = self.app("--json", "db", "timeline", "--delete", "--rows", "50").json()
        self.assertEqual([line["gtid"] for line in found], [bad])
        self.assertEqual(found[0]["tables"], [{"name": "shop.customer", "inserted": 0,
                                               "updated": 0, "deleted": 100}])
        self.assertIn("DELETE FROM shop.customer", found[0]["text"])
        rows = [line for line in self.app("--json", "db", "show", bad).json()
                if line["type"] == "change"]
        self.assertEqual(len(rows), 100)
        self.assertEqual(rows[0]["values"]["name"], {"before": "name 1"})

        # To just before it; to the end without it; and to the end.
        server, line = self.restored("before", "--before", bad)
        self.assertEqual(server.checksums("shop"), before)
        server.stop()
        server, line = self.restored("skipped", "--skip", bad)
        self.assertEqual(line["gtid"], self.server.gtid())
        self.assertEqual(server.sql("SELECT COUNT(*) FROM shop.customer"), "501")
        self.assertEqual(server.sql("SELECT COUNT(*) FROM shop.item"), "3002")
        server.stop()
        server, line = self.restored("end", "--place", "far")
        self.assertEqual(server.checksums("shop"), after)
        server.stop()

        # Beside the present tables, under another name.
        self.app("db", "restore", "--before", bad, "--as", "shop=shop_then", "--server",
                 self.server.socket, "--server-user", "root")
        self.assertEqual(self.server.sql("SELECT COUNT(*) FROM shop_then.customer"), "501")

        # Taken back in place: what the foreign key took away comes back, too.
        script = self.app("db", "undo", bad)
        self.assertSays(script, "INSERT INTO `shop`.`customer`", "INSERT INTO `shop`.`item`")
        self.assertEqual(self.server.sql("SELECT COUNT(*) FROM shop.customer"), "401")
        self.app("db", "undo", bad, "--apply", "--user", "root")
        self.assertEqual(self.server.sql("SELECT COUNT(*) FROM shop.customer"), "501")
        self.assertEqual(self.server.sql("SELECT COUNT(*) FROM shop.item"), "3002")
        self.assertFailsWell(self.app("db", "undo", bad, "--apply", "--user", "root", code=1), 1,
                             "Duplicate entry")
        self.assertEqual(self.server.sql("SELECT COUNT(*) FROM shop.customer"), "501")

        exported = self.path("customer.tsv")
        self.app("db", "export", "shop.customer", "--at", bad, "-o", exported)
        with open(exported, encoding="utf-8") as file:
            self.assertEqual(len(file.readlines()), 401)
        stream.send(2)
        self.assertEqual(stream.finish().code, 0)
        self.app.restic("near")("check")

    def test_the_restored_server_is_left_running(self):
        self.start_stream()
        self.app("backup", "main")
        before = self.server.checksums("shop")
        bad = self.transaction("DELETE FROM shop.customer WHERE id <= 100")
        self.app("backup", "main")  # waits for the stream
        folder = self.path("new")
        line = self.app("--json", "db", "restore", "--before", bad, "--data-dir", folder,
                        "--start").json()[-1]
        process = line["process"]
        self.addCleanup(lambda: self.is_server(process, folder) and os.kill(process, signal.SIGKILL))
        # The program has ended; its server has not.
        self.assertTrue(self.is_server(process, folder))
        left = mariadb.Mariadb(self, "left", data_dir=folder, start=False)
        left.socket = line["socket"]
        self.assertEqual(left.checksums("shop"), before)
        self.assertEqual(left.sql("SELECT @@skip_networking, @@event_scheduler"), "1\tOFF")
        left.sql("INSERT INTO shop.customer (name) VALUES ('after')")
        self.assertEqual(left.sql("SELECT user FROM mysql.user WHERE user LIKE 'sevenfold-%'"), "")
        # Nobody writes into its folder meanwhile.
        self.assertFailsWell(self.app("db", "restore", "--data-dir", folder, code=1), 1,
                             "is not empty")
        os.kill(process, signal.SIGTERM)
        program.wait_for(lambda: not self.is_server(process, folder), "the server to stop")
        again = self.path("again")
        said = self.app("db", "restore", "--data-dir", again, "--start")
        self.assertSays(said, r"the server runs: process \d+, socket " + again)
        process = int(re.search(r"process (\d+)", said.text)[1])
        self.addCleanup(lambda: self.is_server(process, again) and os.kill(process, signal.SIGKILL))
        self.assertTrue(self.is_server(process, again))

    @staticmethod
    def is_server(process, folder):
        """A process id can be given anew: it must be the server of this folder."""
        try:
            with open(f"/proc/{process}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except FileNotFoundError:
            return False
        return f"--datadir={folder}".encode() in words

    def test_other_statements_in_the_place_of_a_transaction(self):
        self.start_stream()
        self.app("backup", "main")
        price = "SELECT SUM(price) FROM shop.item WHERE customer = 99"
        old_price = float(self.server.sql(price))
        bad = self.transaction("DELETE FROM shop.item WHERE customer <= 100")
        also_bad = self.transaction("ALTER TABLE shop.item ADD COLUMN wrong INT")
        self.server.sql("INSERT INTO shop.customer (name) VALUES ('later')")
        self.app("backup", "main")
        better = self.write("better.sql", """
-- What was meant; it's not the end; of the file
USE shop;
DELETE FROM item WHERE customer = 100;
/* and; more */ UPDATE item SET price = price + 1 WHERE customer = 99;
INSERT INTO customer VALUES (1001, 'a;b''c\\';'' -- d'), (1002, "e;f")
""")
        ddl = self.write("ddl.sql", "ALTER TABLE shop.item ADD COLUMN right_one INT DEFAULT 7;\n")
        replace = ["--replace", f"{bad}={better}", "--replace", f"{also_bad}={ddl}"]
        unclear = self.app("db", "restore", "--data-dir", self.path("c"), *replace, code=1)
        self.assertFailsWell(unclear, 1, "cannot be told", "--yes")
        server, line = self.restored("replaced", *replace, "--yes")
        self.assertEqual(line["gtid"], self.server.gtid())
        self.assertEqual(server.sql("SELECT COUNT(*), SUM(right_one) FROM shop.item"), "2994\t20958")
        self.assertEqual(server.sql("SELECT name FROM shop.customer WHERE id > 500 ORDER BY id"),
                         "later\na;b'c';' -- d\ne;f")
        self.assertAlmostEqual(float(server.sql(price)), old_price + 6)
        # What cannot run is said with its transaction, and what cannot be a replacement beforehand.
        broken = self.write("broken.sql", "DELETE FROM shop.nothing;")
        failed = self.app("db", "restore", "--data-dir", self.path("a"), "--yes", "--replace",
                          f"{bad}={broken}", code=1)
        self.assertFailsWell(failed, 1, bad, "shop.nothing")
        for text in ("COMMIT", "", "-- nothing\n", "DELETE FROM shop.item; DROP TABLE shop.item"):
            file = self.write("wrong.sql", text)
            refused = self.app("db", "restore", "--data-dir", self.path("b"), "--yes",
                               "--replace", f"{bad}={file}", code=None)
            self.assertNotEqual(refused.code, 0)
            self.assertFailsWell(refused, refused.code, f"replacement of {bad}")
            self.assertFalse(os.path.exists(self.path("b")), text)

    def test_diff_of_two_moments(self):
        self.start_stream()
        self.app("backup", "main")
        first = self.transaction("INSERT INTO shop.customer (id, name) VALUES (1000, 'a')")
        self.server.sql("UPDATE shop.customer SET name='b' WHERE id=1000")
        self.server.sql("UPDATE shop.customer SET name='x' WHERE id=7")
        self.server.sql("DELETE FROM shop.customer WHERE id=8")
        last = self.transaction("UPDATE shop.customer SET name='c' WHERE id=1000")
        self.app("backup", "main")  # waits for the stream
        rows = {line["key"][0]: line["values"] for line in
                self.app("--json", "db", "diff", "shop.customer", first, last).json()}
        self.assertEqual(rows, {"1000": {"name": {"before": "a", "after": "c"}},
                                "7": {"name": {"before": "name 7", "after": "x"}},
                                "8": {"id": {"before": "8"}, "name": {"before": "name 8"}}})


if __name__ == "__main__":
    unittest.main()
