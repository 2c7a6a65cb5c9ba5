"""A database in two places: bases, what they hold, and what goes wrong."""
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


if __name__ == "__main__":
    unittest.main()
