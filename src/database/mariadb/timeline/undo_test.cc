#include "database/mariadb/timeline/undo.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "database/testing/server_log.h"
#include "os/child_process.h"

namespace sevenfold::database::mariadb {
namespace {

const char* const kSchema[] = {
    "CREATE DATABASE t",
    "USE t",
    "CREATE TABLE parent (id INT PRIMARY KEY, code VARCHAR(10) UNIQUE, name VARCHAR(20), up INT, "
    "changed TIMESTAMP NOT NULL DEFAULT '2020-01-01' ON UPDATE CURRENT_TIMESTAMP, "
    "size INT AS (LENGTH(name)) VIRTUAL, twice INT AS (id * 2) STORED, "
    "FOREIGN KEY (up) REFERENCES parent (id) ON DELETE SET NULL)",
    "CREATE TABLE child (a INT, b CHAR(5), p INT, f FLOAT, PRIMARY KEY (b, a), "
    "FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE)",
    "CREATE TABLE grandchild (id INT PRIMARY KEY, a INT, b CHAR(5), t TEXT, "
    "FOREIGN KEY (b, a) REFERENCES child (b, a) ON DELETE CASCADE ON UPDATE CASCADE)",
    "CREATE TABLE note (id INT PRIMARY KEY, code VARCHAR(10), j JSON, "
    "FOREIGN KEY (code) REFERENCES parent (code) ON DELETE SET NULL ON UPDATE SET NULL)",
    "CREATE TABLE heap (x INT, y DECIMAL(10,3), z VARCHAR(10))",
    "CREATE TABLE types (id BIGINT UNSIGNED PRIMARY KEY, d DOUBLE, e ENUM('a','b','ü'), "
    "s SET('x','y'), bits BIT(12), g GEOMETRY, u UUID, i INET6, bin BINARY(4), bl BLOB, "
    "l VARCHAR(20) CHARACTER SET latin1, t TIME(3), dt DATETIME(6), y YEAR)",
};
// Rows for the rules of foreign keys to work on.
const char* const kFamilies[] = {
    "INSERT IGNORE INTO parent (id, code, name) SELECT seq, CONCAT('Code', seq), 'n' FROM "
    "seq_0_to_12",
    "INSERT IGNORE INTO child SELECT seq, 'B0', seq, seq * 1.1 FROM seq_0_to_12",
    "INSERT IGNORE INTO grandchild SELECT seq, seq, 'B0', 't' FROM seq_0_to_12",
    "INSERT IGNORE INTO note SELECT seq, CONCAT('Code', seq), '[]' FROM seq_0_to_12",
};
const char* const kContents[] = {
    "SELECT * FROM t.parent ORDER BY id",     "SELECT *, f + 0e0 FROM t.child ORDER BY b, a",
    "SELECT * FROM t.grandchild ORDER BY id", "SELECT * FROM t.note ORDER BY id",
    "SELECT * FROM t.heap ORDER BY x, y, z",  "SELECT * FROM t.types ORDER BY id",
};

using Rng = std::mt19937_64;
uint64_t up_to(Rng& random, uint64_t most) {
    return std::uniform_int_distribution<uint64_t>(0, most)(random);
}

std::string types_values(Rng& random, uint64_t id) {
    return fmt::format(
        "({}, {}, {}, {}, {}, POINT({}, 2), '123e4567-e89b-12d3-a456-{:012}', '2001::{}', "
        "X'41{:02x}', "
        "X'00{:02x}27', _latin1 X'e4{:02x}', '-{:02}:01:02.345', '2026-11-{:02} 01:02:03.000456', "
        "{})",
        id, id * 0.1, up_to(random, 1) + 1, up_to(random, 3), up_to(random, 4095), up_to(random, 9),
        up_to(random, 9999), up_to(random, 9999), up_to(random, 255), up_to(random, 255),
        32 + up_to(random, 90), up_to(random, 99), 1 + up_to(random, 27), 1950 + up_to(random, 60));
}

std::string statement(Rng& random) {
    uint64_t id = up_to(random, 12), other = up_to(random, 12);
    switch (up_to(random, 15)) {
        case 0:
            return fmt::format(
                "INSERT INTO parent (id, code, name, up) VALUES ({}, 'Code{}', 'n\\\\''ä{}', {})",
                id, id, other, other < 6 ? "NULL" : fmt::format("{}", other));
        case 1:
            return fmt::format("INSERT INTO child VALUES ({}, 'B{}', {}, {}.1)", id, other % 3,
                               other, id);
        case 2:
            return fmt::format(
                "INSERT INTO grandchild SELECT {}, a, b, REPEAT('z', {}) FROM child LIMIT 1", id,
                other);
        case 3:
            return fmt::format("INSERT INTO note VALUES ({}, 'Code{}', '[{}]')", id, other, id);
        case 4:
            return fmt::format("INSERT INTO heap VALUES ({}, {}.125, NULL), ({}, 1, 'A')", other,
                               id, other);
        case 5:
            return fmt::format("DELETE FROM parent WHERE id = {}", id);
        case 6:
            return fmt::format("UPDATE parent SET name = CONCAT('x{} ', id) WHERE id >= {}", other,
                               id);
        case 7:
            return fmt::format("UPDATE parent SET id = {} WHERE id = {}", id + 20, id);
        case 8:
            return fmt::format("UPDATE parent SET code = LOWER(code) WHERE id < {}", id);
        case 9:
            return fmt::format("UPDATE child SET f = f * 1.1, p = {} WHERE a = {}", other, id);
        case 10:
            return fmt::format("DELETE FROM child WHERE a = {}", id);
        case 11:
            return fmt::format("UPDATE heap SET y = y + 1 WHERE x = {}", id);
        case 12:
            return fmt::format("DELETE FROM heap WHERE x = {}", id);
        case 13:
            return "REPLACE INTO types VALUES " + types_values(random, id);
        case 14:
            return fmt::format("UPDATE parent SET code = NULL WHERE id = {}", id);
        default:
            return fmt::format("DELETE FROM types WHERE id > {}", id);
    }
}

// A server, and one that stands at the moment just before the last transaction.
class UndoTest : public testing::Test {
  protected:
    UndoTest() {
        now_ = server_.connect();
        before_ = scratch_.connect();
        for (const char* sql : kSchema) both(sql);
    }
    void pin_time() {  // both servers write the same
        now_->execute("SET timestamp=1700000000");
        before_->execute("SET timestamp=1700000000");
    }
    void both(const std::string& sql) {
        pin_time();
        now_->execute(sql);
        before_->execute(sql);
    }
    void both_or_neither(const std::string& sql) {
        pin_time();
        try {
            now_->execute(sql);
        } catch (const sql::ServerError&) {
            return;
        }
        before_->execute(sql);
    }
    // On the server alone; what it refuses is left out.
    void run(const std::vector<std::string>& statements) {
        now_->execute("SET timestamp=DEFAULT");
        now_->execute("BEGIN");
        for (const std::string& sql : statements) {
            try {
                now_->execute(sql);
            } catch (const sql::ServerError&) {
            }
        }
        now_->execute("COMMIT");
    }
    UndoPlan plan(RowHistory* history, UndoOptions options = {}) {
        auto archive = archive_log(server_, folder_.path());
        TransactionReader reader(*archive);
        Transaction last;
        for (Transaction t; reader.next(t);) last = t;
        ServerSchema schemas(*now_);
        return plan_undo(*archive, last, schemas, history, options);
    }
    // CHECKSUM TABLE would not do: it differs between equal tables with virtual columns.
    static std::vector<std::vector<sql::Row>> contents(sql::MariadbConnection& connection) {
        std::vector<std::vector<sql::Row>> all;
        for (const char* query : kContents) all.push_back(connection.query(query));
        return all;
    }
    std::string position() { return now_->value("SELECT @@gtid_binlog_pos").value_or(""); }

    TestServer server_, scratch_;
    storage::TestFolder folder_;
    std::unique_ptr<sql::MariadbConnection> now_, before_;
};

TEST_F(UndoTest, AnyTransactionIsTakenBackExactly) {
    uint64_t seed = std::random_device()();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Rng random(seed);
    ServerHistory history(*before_);
    size_t statements = 0, by_rules = 0;
    for (int round = 0; round < 25; ++round) {
        for (const char* sql : kFamilies) both(sql);
        for (int i = 0; i < 8; ++i) both_or_neither(statement(random));
        auto content = contents(*now_);
        ASSERT_TRUE(content == contents(*before_));
        std::string start = position();
        std::vector<std::string> work;
        for (uint64_t i = up_to(random, 7); i-- > 0;) work.push_back(statement(random));
        if (round % 3 != 0)
            work.push_back(fmt::format("DELETE FROM parent WHERE id = {}", up_to(random, 12)));
        work.push_back(statement(random));
        run(work);
        if (position() == start) continue;  // nothing happened
        UndoPlan undo = plan(&history);
        statements += undo.statements.size();
        for (const UndoStatement& s : undo.statements)
            by_rules += s.comment.find(" by ON ") != std::string::npos ? 1 : 0;
        auto connection = server_.connect();
        if (round % 2 == 0) {
            apply_undo(*connection, undo);
        } else {
            for (const std::string& sql : undo.session) connection->execute(sql);
            connection->execute(render_block(undo));
        }
        auto content_after = contents(*now_);
        ASSERT_TRUE(content_after == content) << render(undo);
    }
    EXPECT_GT(statements, 50u);
    EXPECT_GT(by_rules, 5u);
}

TEST_F(UndoTest, ChildrenComeBack) {
    both("INSERT INTO parent (id, code, name) VALUES (1, 'A', 'one'), (2, 'B', 'two')");
    both("INSERT INTO child VALUES (1, 'x', 1, 1.5), (2, 'x', 1, 2.5), (3, 'x', 2, 3.5)");
    both("INSERT INTO grandchild VALUES (1, 1, 'x', 'deep')");
    both("INSERT INTO note VALUES (1, 'A', '[]')");
    auto content = contents(*now_);
    run({"DELETE FROM parent WHERE id = 1"});
    EXPECT_EQ(now_->value("SELECT COUNT(*) FROM child"), "1");
    Error error = storage::expect_error(ErrorKind::refused, [&] { plan(nullptr); });
    EXPECT_FALSE(error.hint().empty());
    EXPECT_EQ(plan(nullptr, {.leave_out_cascades = true}).statements.size(), 1u);
    ServerHistory history(*before_);
    UndoPlan undo = plan(&history);
    EXPECT_EQ(undo.statements.size(), 5u);  // parent, two children, grandchild, note
    // The script as people run it.
    std::string script = folder_ / "undo.sql";
    std::ofstream(script) << "USE t;\n" << render(undo);
    auto client = os::run_command({.argv = {"sh", "-c",
                                            "exec mariadb --no-defaults --user=root --socket='" +
                                                server_.socket() + "' <'" + script + "'"}});
    EXPECT_TRUE(client.status.ok()) << client.errors << render(undo);
    EXPECT_EQ(contents(*now_), content);
}

TEST_F(UndoTest, ARowThatWasChangedSinceStopsEverything) {
    both("INSERT INTO parent (id, code, name) VALUES (1, 'A', 'one'), (2, 'B', 'two')");
    run({"UPDATE parent SET name = 'lost'"});
    UndoPlan undo = plan(nullptr);
    EXPECT_EQ(undo.statements.size(), 2u);
    now_->execute("UPDATE parent SET name = 'LOST' WHERE id = 1");  // equal to its collation
    auto connection = server_.connect();
    storage::expect_error(ErrorKind::refused, [&] { apply_undo(*connection, undo); });
    EXPECT_THROW(connection->execute(render_block(undo)), sql::ServerError);
    EXPECT_EQ(now_->value("SELECT GROUP_CONCAT(name ORDER BY id) FROM parent"), "LOST,lost");
}

TEST_F(UndoTest, LaterChildrenAreNotTakenAlong) {
    run({"INSERT INTO parent (id, code, name) VALUES (1, 'A', 'one')"});
    UndoPlan undo = plan(nullptr);
    now_->execute("INSERT INTO child VALUES (1, 'x', 1, 1.5)");
    auto connection = server_.connect();
    storage::expect_error(ErrorKind::refused, [&] { apply_undo(*connection, undo); });
    EXPECT_EQ(now_->value("SELECT COUNT(*) FROM child"), "1");
    now_->execute("DELETE FROM child");
    apply_undo(*connection, undo);
    EXPECT_EQ(now_->value("SELECT COUNT(*) FROM parent"), "0");
}

TEST_F(UndoTest, WhatTheLogDoesNotHoldIsRefused) {
    auto expect_unsupported = [&] {
        Error error = storage::expect_error(ErrorKind::unsupported, [&] { plan(nullptr); });
        EXPECT_FALSE(error.hint().empty()) << error.message();
    };
    now_->execute("ALTER TABLE heap ADD w INT");
    expect_unsupported();
    now_->execute("SET STATEMENT binlog_format=STATEMENT FOR INSERT INTO heap VALUES (1,1,'',1)");
    expect_unsupported();
    now_->execute("SET STATEMENT binlog_row_image=MINIMAL FOR UPDATE parent SET name = ''");
    now_->execute("INSERT INTO parent (id) VALUES (1)");
    now_->execute("SET STATEMENT binlog_row_image=MINIMAL FOR DELETE FROM parent");
    expect_unsupported();
    now_->execute("INSERT INTO heap VALUES (1,1,'',1), (2,1,'',1)");
    storage::expect_error(ErrorKind::unsupported, [&] { plan(nullptr, {.max_rows = 1}); });
    EXPECT_EQ(plan(nullptr).notes.size(), 1u);  // no primary key
    now_->execute("CREATE TABLE versions (id INT PRIMARY KEY) WITH SYSTEM VERSIONING");
    now_->execute("INSERT INTO versions VALUES (1)");
    expect_unsupported();
    now_->execute("INSERT INTO heap VALUES (3,1,'',1)");
    auto archive = archive_log(server_, folder_.path());
    now_->execute("ALTER TABLE heap DROP w");
    storage::expect_error(ErrorKind::unsupported, [&] { plan(nullptr); });  // the DDL itself
    TransactionReader reader(*archive);
    Transaction last;
    for (Transaction t; reader.next(t);) last = t;
    ServerSchema schemas(*now_);
    storage::expect_error(ErrorKind::refused, [&] { plan_undo(*archive, last, schemas, nullptr); });
}

}  // namespace
}  // namespace sevenfold::database::mariadb
