#include "database/mariadb/timeline/conflicts.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "database/mariadb/timeline/timeline.h"
#include "database/testing/server_log.h"

namespace sevenfold::database::mariadb {
namespace {

class ConflictsTest : public testing::Test {
  protected:
    ConflictsTest() {
        server_.run("CREATE DATABASE t");
        connection_ = server_.connect("t");
        run("CREATE TABLE customer (id INT PRIMARY KEY, mail VARCHAR(50) UNIQUE, x INT)");
        run("CREATE TABLE orders (id INT PRIMARY KEY, customer INT, x INT, CONSTRAINT fk_customer "
            "FOREIGN KEY (customer) REFERENCES customer (id) ON DELETE CASCADE)");
        run("CREATE TABLE heap (x INT, y INT)");
        run("INSERT INTO customer VALUES (1,'one@x',0),(2,'two@x',0),(3,'three@x',0)");
        run("INSERT INTO orders VALUES (10,1,0),(20,2,0)");
        run("INSERT INTO heap VALUES (1,1),(2,2)");
    }
    void run(std::string_view sql) { connection_->execute(sql); }
    // Runs it and remembers its transaction.
    void bad(std::string_view sql) {
        run(sql);
        gtid_ = parse_gtid(*connection_->value("SELECT @@gtid_binlog_pos"));
    }
    ConflictReport report(ConflictOptions options = {}) {
        auto archive = archive_log(server_, folder_.path());
        ServerSchema schemas(*connection_);
        TransactionReader reader(*archive);
        for (Transaction t; reader.next(t);)
            if (t.gtid == gtid_) return find_conflicts(*archive, t, schemas, options);
        throw Error(ErrorKind::not_found, "the transaction");
    }
    // "row t.customer PRIMARY id=1" of every collision.
    std::vector<std::string> shown() {
        std::vector<std::string> out;
        for (const Conflict& conflict : report().conflicts)
            for (const Collision& c : conflict.collisions)
                out.push_back(fmt::format("{} {}.{} {} {}", name(c.kind), c.database, c.table,
                                          c.key, c.rows));
        return out;
    }

    TestServer server_;
    storage::TestFolder folder_;
    std::unique_ptr<sql::MariadbConnection> connection_;
    Gtid gtid_;
};
using Texts = std::vector<std::string>;

TEST_F(ConflictsTest, TheSameRow) {
    bad("UPDATE customer SET x = 1 WHERE id = 1");
    run("UPDATE customer SET x = 2 WHERE id = 2");
    run("UPDATE customer SET x = 2 WHERE id = 1");
    run("UPDATE heap SET y = 5");
    EXPECT_EQ(shown(), Texts{"row t.customer PRIMARY id=1"});
    ConflictReport all = report();
    EXPECT_EQ(all.rows, 1u);
    EXPECT_EQ(all.scanned, 3u);
    EXPECT_EQ(all.conflicting, 1u);
    EXPECT_EQ(all.conflicts[0].transaction.text, "UPDATE customer SET x = 2 WHERE id = 1");
    EXPECT_EQ(report({.until_transactions = 1}).conflicting, 0u);
}

TEST_F(ConflictsTest, UniqueValuesThatWereFreedOrTaken) {
    bad("DELETE FROM customer WHERE id = 3");
    run("INSERT INTO customer VALUES (4, 'THREE@X', 0)");
    run("INSERT INTO customer VALUES (5, 'five@x', 0)");
    EXPECT_EQ(shown(), Texts{"unique key t.customer mail mail=THREE@X"});
}

TEST_F(ConflictsTest, ForeignKeysBothWays) {
    bad("INSERT INTO customer VALUES (7, 'seven@x', 0)");
    run("INSERT INTO orders VALUES (70, 7, 0)");
    run("INSERT INTO orders VALUES (71, 1, 0)");
    EXPECT_EQ(shown(), Texts{"foreign key t.orders fk_customer customer=7"});
    bad("INSERT INTO orders VALUES (72, 2, 0)");
    run("INSERT INTO orders VALUES (73, 2, 0)");  // two children do not disturb each other
    run("UPDATE customer SET x = 8 WHERE id = 2");
    run("DELETE FROM customer WHERE id = 2");
    EXPECT_EQ(shown(), Texts{"foreign key t.customer fk_customer id=2"});
}

TEST_F(ConflictsTest, TablesWithoutAKeyAndDdl) {
    bad("UPDATE heap SET y = 9 WHERE x = 1");
    run("INSERT INTO heap VALUES (3, 3)");
    run("DELETE FROM heap WHERE x = 1");
    run("ALTER TABLE customer ADD z INT");
    run("ALTER TABLE heap ADD z INT");
    run("SET STATEMENT binlog_format=STATEMENT FOR UPDATE customer SET x = 3 WHERE id = 1");
    EXPECT_EQ(shown(), (Texts{"row t.heap  x=1, y=9", "ddl t.heap  ",
                              "unknown .  SET STATEMENT binlog_format=STATEMENT FOR UPDATE "
                              "customer SET x = 3 WHERE id = 1"}));
    EXPECT_EQ(report().tables_without_key, Texts{"t.heap"});
}

TEST_F(ConflictsTest, RowsThatARuleDeletedCountToo) {
    // Stands before the bad transaction.
    TestServer scratch({.binlog = false});
    scratch.run("CREATE DATABASE t");
    auto before = scratch.connect("t");
    before->execute("CREATE TABLE orders (id INT PRIMARY KEY, customer INT, x INT)");
    before->execute("INSERT INTO orders VALUES (10,1,0),(20,2,0)");
    bad("DELETE FROM customer WHERE id = 1");
    run("INSERT INTO orders VALUES (10, 2, 0)");  // the order that was deleted without being logged
    EXPECT_EQ(shown(), Texts{});
    EXPECT_EQ(report().notes.size(), 1u);
    auto archive = archive_log(server_, folder_.path());
    ServerSchema schemas(*connection_);
    ServerHistory history(*before);
    TransactionReader reader(*archive);
    Transaction found;
    while (reader.next(found) && found.gtid != gtid_) {
    }
    ConflictReport all = find_conflicts(*archive, found, schemas, {}, &history);
    EXPECT_TRUE(all.notes.empty());
    ASSERT_EQ(all.conflicting, 1u);
    EXPECT_EQ(all.conflicts[0].collisions[0],
              (Collision{CollisionKind::row, "t", "orders", "PRIMARY", "id=10"}));
}

TEST_F(ConflictsTest, CountsAllAndListsSome) {
    bad("UPDATE customer SET x = 1");
    for (int i = 0; i < 5; ++i) run(fmt::format("UPDATE customer SET x = {}", 10 + i));
    ConflictReport some = report({.max_conflicts = 2});
    EXPECT_EQ(some.conflicting, 5u);
    EXPECT_EQ(some.conflicts.size(), 2u);
    EXPECT_EQ(some.conflicts[0].count, 3u);
    storage::expect_error(ErrorKind::unsupported, [&] { report({.max_keys = 2}); });
    bad("ALTER TABLE heap ADD z INT");
    storage::expect_error(ErrorKind::unsupported, [&] { report(); });
}

TEST_F(ConflictsTest, NamesComeFromTheSchemaWhenTheLogHasNone) {
    run("SET GLOBAL binlog_row_metadata=NO_LOG");
    connection_ = server_.connect("t");
    run("CREATE TABLE m (id INT UNSIGNED PRIMARY KEY, e ENUM('it''s','b,c'), l VARCHAR(9) "
        "CHARACTER SET latin1)");
    bad("INSERT INTO m VALUES (4000000000, 'b,c', _latin1 X'e4')");
    auto archive = archive_log(server_, folder_.path());
    ServerSchema schemas(*connection_);
    TransactionReader reader(*archive);
    Transaction last;
    for (Transaction t; reader.next(t);) last = t;
    size_t rows = 0;
    auto look = [&](SchemaSource* source, const std::string& expected) {
        visit_changes(*archive, last, source, [&](const ChangedRow& change) {
            ++rows;
            EXPECT_EQ(display_columns(change.table, change.row.after, {0, 1, 2}), expected);
            EXPECT_EQ(change.statement, "INSERT INTO m VALUES (4000000000, 'b,c', _latin1 X'e4')");
            return true;
        });
    };
    look(&schemas, "id=4000000000, e=b,c, l=ä");
    look(nullptr, "@1=-294967296, @2=2, @3=0xe4");
    EXPECT_EQ(rows, 2u);
    run("UPDATE m SET e = 1");
    EXPECT_EQ(shown(), Texts{"row t.m PRIMARY id=4000000000"});
    EXPECT_EQ(parse_members("enum('it''s','b,c','')"), (Texts{"it's", "b,c", ""}));
    EXPECT_EQ(parse_members("int(10)"), Texts{});
}

}  // namespace
}  // namespace sevenfold::database::mariadb
