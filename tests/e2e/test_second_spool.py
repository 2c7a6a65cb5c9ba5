"""The stream's second spool: what it alone saves, and that it stays small; places that hang."""
import os
import shutil
import socket
import unittest

import app
import mariadb
import program
import servers

from test_back_in_time import SEMI_SYNC
from test_database import SHOP


class StreamCase(program.Case):
    def setUp(self):
        super().setUp()
        self.server = mariadb.Mariadb(self, "mariadb", *SEMI_SYNC)
        self.server.sql(SHOP)
        self.server.sql("CREATE USER streamer@localhost; "
                        "GRANT REPLICATION SLAVE ON *.* TO streamer@localhost")
        self.app = app.App(self)
        self.spool = os.path.join(self.app.dir, "state", "stream", "main")
        self.second = os.path.join(self.app.dir, "far-spool", "main")

    def add_database(self, *lines):
        self.app.add_database(self.server, 'stream = true', 'stream_user = "streamer"',
                              'method = "logical"', *lines)

    def start_stream(self):
        """Running, and the server waits for its word."""
        return self.app.start_stream(self.server)

    def end(self, stream):
        stream.send(2)
        self.assertCode(stream.finish(), 0)

    def insert(self, name):
        """Acknowledged when this returns: the GTID."""
        return self.server.sql(f"INSERT INTO shop.customer (name) VALUES ('{name}'); "
                               "SELECT @@last_gtid")

    def restored(self, name, *arguments):
        folder = self.path(name)
        line = self.app("--json", "db", "restore", "--data-dir", folder, *arguments).json()[-1]
        server = mariadb.Mariadb(self, name + "-server", "--skip-log-bin", data_dir=folder)
        return server, line

    def recoverable(self):
        """place -> the last GTID of its newest interval."""
        lines = self.app("--json", "status", code=20).json()
        copies = [copy for line in lines if line.get("type") == "source" and line.get("rule") == 2
                  for copy in line["copies"]]
        return {copy["place"]: copy["recoverable"][-1]["to_gtid"] for copy in copies}


class SecondSpoolTest(StreamCase):
    def lose_the_machine(self):
        """All but the places: what was acknowledged before a seal is in the second spool only."""
        stream = self.start_stream()
        self.app("backup", "main", "--base")
        self.insert("first")
        program.wait_for(lambda: self.server.sql("SHOW STATUS LIKE 'Rpl_semi_sync_master_status'")
                         .endswith("\tON"), "commits wait")
        last = [self.insert(f"late {n}") for n in range(20)][-1]
        expected = self.server.checksums("shop")
        stream.send(9)
        stream.finish()
        self.server.kill()
        shutil.rmtree(self.spool)
        return last, expected

    def assert_recovers(self, last, expected):
        server, line = self.restored("all")
        self.assertEqual(line["gtid"], last)
        self.assertEqual(server.checksums("shop"), expected)
        server.stop()
        newest = self.app("--json", "db", "timeline").json()
        self.assertIn(last, [line["gtid"] for line in newest])
        ends = self.recoverable()
        self.assertEqual(ends["far"], last)
        self.assertNotEqual(ends["near"], last)

    def test_the_last_commits_come_from_it_alone(self):
        self.add_database('stream_second = "far"', 'seal = "1h"')
        last, expected = self.lose_the_machine()
        self.assert_recovers(last, expected)
        server, _ = self.restored("before", "--before", last)
        self.assertEqual(server.sql("SELECT COUNT(*) FROM shop.customer WHERE name LIKE 'late%'"),
                         "19")
        server.stop()
        # A torn end, as a machine that fails leaves it, costs no whole transaction before it.
        parts = [os.path.join(where, name) for where, _, names in os.walk(self.second)
                 for name in names]
        with open(max(parts), "ab") as part:
            part.write(b"SFS1\x00\x10")
        server, line = self.restored("torn")
        self.assertEqual(line["gtid"], last)
        server.stop()
        # It was the second spool indeed.
        shutil.rmtree(self.second)
        server, line = self.restored("without")
        self.assertNotEqual(line["gtid"], last)

    def test_on_a_host(self):
        self.add_database('stream_second = "far"', 'seal = "1h"')
        servers.Sshd(self).use(self.app, "far")
        last, expected = self.lose_the_machine()
        self.assert_recovers(last, expected)

    def test_it_keeps_only_what_places_lack(self):
        self.add_database('stream_second = "far"', 'seal = "1s"')
        stream = self.start_stream()
        self.app("backup", "main", "--base")
        for n in range(6):
            self.server.sql("FLUSH BINARY LOGS")
            last = self.insert(f"row {n}")
        self.app("backup", "main")  # a point: all places have all of it
        self.end(stream)
        kept = {name for _, _, names in os.walk(self.second) for name in names}
        logs = {".".join(name.split(".")[:2]) for name in kept}
        self.assertEqual(logs, {"bin.000006", "bin.000007"})
        # The stream goes on in it, and all can be had.
        self.start_stream()
        last = self.insert("after")
        server, line = self.restored("end")
        self.assertEqual(line["gtid"], last)
        self.assertEqual(server.checksums("shop"), self.server.checksums("shop"))


    def test_another_machine_goes_on_where_the_places_end(self):
        self.add_database('stream_second = "far"', 'seal = "1s"')
        stream = self.start_stream()
        self.app("backup", "main", "--base")
        self.insert("one")
        self.app("backup", "main")
        stream.send(9)
        stream.finish()
        self.insert("while nobody receives")
        shutil.rmtree(self.spool)
        stream = self.start_stream()
        self.insert("two")
        # No new base: the places' logs lead from the old one to here.
        self.assertEqual({line["kind"] for line in self.app("--json", "backup", "main").json()},
                         {"point"})
        self.assertEqual(sorted(name[:4] for name in os.listdir(self.spool)
                                if "-server" in name), ["0002"])
        shutil.rmtree(self.second)
        server, line = self.restored("end", "--place", "near")
        self.assertEqual(line["gtid"], self.server.gtid())
        self.assertEqual(server.checksums("shop"), self.server.checksums("shop"))
        server.stop()
        gtids = [line["gtid"] for line in self.app("--json", "db", "timeline").json()]
        self.assertEqual(len(gtids), len(set(gtids)))


class FailoverTest(StreamCase):
    def test_the_promoted_replica_needs_no_base(self):
        self.server.stop()
        self.server.port = servers.free_port()
        self.server.arguments.append("--log-slave-updates")
        self.server.start()
        self.server.sql("CREATE USER repl@'%' IDENTIFIED BY 'r'; "
                        "GRANT REPLICATION SLAVE ON *.* TO repl@'%'")
        self.add_database('stream_second = "far"', 'seal = "1s"')
        replica = mariadb.Mariadb(self, "replica", "--log-slave-updates", *SEMI_SYNC, server_id=2)
        replica.sql(f"CHANGE MASTER TO master_host='127.0.0.1', master_port={self.server.port}, "
                    "master_user='repl', master_password='r', master_use_gtid=slave_pos; "
                    "START SLAVE")
        stream = self.start_stream()
        self.app("backup", "main", "--base")
        last = self.insert("on the first")
        program.wait_for(lambda: replica.gtid() == last, "the replica has it")
        self.server.kill()
        replica.sql("STOP SLAVE; RESET SLAVE ALL")
        self.end(stream)
        self.app.edit(self.server.socket, replica.socket)
        self.server = replica
        stream = self.start_stream()
        second = self.insert("on the second")
        self.assertEqual({line["kind"] for line in self.app("--json", "backup", "main").json()},
                         {"point"})
        self.end(stream)
        self.assertNotIn("gap", stream.finish().text)
        shutil.rmtree(self.spool)
        shutil.rmtree(self.second)
        server, line = self.restored("end", "--place", "near")
        self.assertEqual(line["gtid"], self.server.gtid())
        self.assertEqual(server.checksums("shop"), self.server.checksums("shop"))
        server.stop()
        server, line = self.restored("before", "--before", second)
        self.assertEqual(line["gtid"], last)
        server.stop()
        gtids = [line["gtid"] for line in self.app("--json", "db", "timeline").json()]
        self.assertEqual(len(gtids), len(set(gtids)))
        self.assertIn(second, gtids)


class StreamPlacesTest(StreamCase):
    def snapshots(self, place):
        return set(os.listdir(os.path.join(self.app.repository(place), "snapshots")))

    def test_a_place_that_hangs_delays_no_other(self):
        self.add_database('seal = "1s"')
        self.end(self.start_stream())
        sshd = servers.Sshd(self)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            sshd.use(self.app, "far", silent.getsockname()[1])
            stream = self.start_stream()
            for n in range(3):
                before = self.snapshots("near")
                self.insert(f"row {n}")
                program.wait_for(lambda: self.snapshots("near") - before, "near is sealed", 20)
            self.assertTrue(stream.alive())
            stream.send(2)
            stream.finish()

    def test_a_narrow_account_is_asked_for(self):
        self.add_database('stream_second = "far"')
        self.app.edit('stream_user = "streamer"', 'stream_user = "root"')
        refused = self.app("stream", "run", code=1)
        self.assertFailsWell(refused, 1, "may do everything", "db grants")
        stream = self.app.start("stream", "run", "--allow-privileged")
        self.addCleanup(stream.stop)
        program.wait_for(lambda: self.server.sql("SHOW STATUS LIKE 'Rpl_semi_sync_master_clients'")
                         .endswith("\t1"), "the stream to connect")
        self.end(stream)

    def test_the_canary_has_its_table_and_right(self):
        self.add_database('canary = true')
        self.server.sql("DROP USER streamer@localhost")
        for statement in self.app("--json", "db", "grants", "--feature", "stream").json():
            self.server.sql(statement["sql"].replace("CHANGE-ME", "s3cret"))
        self.app.edit('stream_user = "streamer"', 'stream_user = "sevenfold_stream"\n'
                      'stream_password_file = "secrets/db"')
        self.write(self.path("app", "secrets", "db"), "s3cret\n")
        os.chmod(self.path("app", "secrets", "db"), 0o600)
        self.assertSays(self.app("db", "grants", "--test", "--feature", "stream"),
                        "has what it needs and no more")
        stream = self.start_stream()
        program.wait_for(lambda: self.server.sql("SELECT COUNT(*) FROM sevenfold.canary") == "1",
                         "the canary")
        self.end(stream)
        self.server.sql("DROP TABLE sevenfold.canary")
        self.assertSays(self.app("db", "grants", "--test", "--feature", "stream", code=20),
                        "lacks rights", "sevenfold.canary")


if __name__ == "__main__":
    unittest.main()
