#include "database/mariadb/dump/dump.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <semaphore>
#include <set>
#include <thread>

#include "database/layout.h"
#include "database/mariadb/dump/privileges.h"
#include "database/mariadb/load/load.h"
#include "database/testing/mariadb_server.h"
#include "database/testing/stored_base.h"
#include "os/child_process.h"
#include "repository/walk.h"

namespace sevenfold::database::mariadb {
namespace {

using repository::testing::MemoryRepo;

Id store_dump(MemoryRepo& repo, DumpOptions options, DumpResult* result = nullptr) {
    return store_tree(repo, [&](repository::TreeWriter& tree) {
        DumpResult made = dump(options, tree);
        if (result) *result = std::move(made);
    });
}

void run_all(const TestServer& server, const std::vector<std::string>& statements) {
    auto connection = server.connect("mysql");  // seq_1_to_9 is found in a database only
    for (const std::string& statement : statements) connection->execute(statement);
}

std::string stock_dump(const TestServer& server, const std::vector<std::string>& databases) {
    std::vector<std::string> argv = {
        "mariadb-dump",       "--no-defaults", "--socket=" + server.socket(),
        "--user=root",        "--routines",    "--events",
        "--triggers",         "--force",       "--skip-dump-date",
        "--skip-comments",    "--hex-blob",    "--single-transaction",
        "--order-by-primary", "--databases"};
    argv.insert(argv.end(), databases.begin(), databases.end());
    os::CommandOutput output = os::run_command({.argv = argv});
    EXPECT_TRUE(output.status.ok()) << output.errors;
    return std::string(as_text(output.output));
}

size_t files_of(const DumpResult& result, const std::string& table) {
    for (const TableContent& content : result.base.tables)
        if (content.name == table) return content.files.size();
    return 0;
}

struct KeyCase {
    std::string name, columns, values;  // of the key, from seq
    bool is_cut = true;
};

TEST(DumpKeysTest, AnyKeyIsCutSoThatEveryRowIsInOnePiece) {
    const KeyCase cases[] = {
        {"unicode", "a VARCHAR(60) COLLATE utf8mb4_unicode_ci", "CONCAT('ž', seq, 'Ä''\\\\')"},
        {"latin", "a VARCHAR(60) CHARACTER SET latin1", "CONCAT('ü', MD5(seq))"},
        {"utf16", "a VARCHAR(60) CHARACTER SET utf16", "CONCAT('漢', seq)"},
        {"uuids", "a CHAR(36) CHARACTER SET ascii", "UUID()"},
        {"bytes", "a BINARY(16)", "UNHEX(MD5(seq))"},
        {"days", "a DATE", "DATE'1001-01-01' + INTERVAL seq DAY"},
        {"moments", "a DATETIME(3)", "TIMESTAMP'2020-01-01 00:00:00' + INTERVAL seq*1000.5 SECOND"},
        {"stamps", "a TIMESTAMP", "FROM_UNIXTIME(seq * 10000)"},
        {"decimals", "a DECIMAL(20,4)", "(CAST(seq AS SIGNED) - 2000) / 7"},
        {"negative", "a BIGINT", "CAST(seq AS SIGNED) * 5 - 9000"},
        {"huge", "a BIGINT UNSIGNED", "18446744073709551615 - seq"},
        {"tenants", "a TINYINT, b VARCHAR(40)", "seq MOD 3, CONCAT('user', seq)"},
        {"three", "a DATE, b INT, c BINARY(8)",
         "DATE'2020-01-01' + INTERVAL seq MOD 2 DAY, seq MOD 5, UNHEX(LEFT(MD5(seq), 16))"},
        {"listed", "a ENUM('z','a','m'), b INT", "1 + seq MOD 3, seq", false},
        {"prefix", "a TEXT", "MD5(seq)", false},
    };
    TestServer server, target;
    run_all(server, {"CREATE DATABASE k"});
    for (const KeyCase& one : cases) {
        std::string names = one.name == "prefix" ? "a(32)" : "a";
        for (const char* more : {" b ", " c "})
            if ((" " + one.columns).find(std::string(",") + more) != std::string::npos)
                names += std::string(",") + more;
        run_all(server,
                {fmt::format("CREATE TABLE k.{} ({}, v CHAR(200), PRIMARY KEY ({}), KEY (v(3)))",
                             one.name, one.columns, names),
                 fmt::format("INSERT INTO k.{} SELECT {}, REPEAT('x', 200) FROM seq_1_to_3000",
                             one.name, one.values),
                 fmt::format("ANALYZE TABLE k.{}", one.name)});
    }
    MemoryRepo repo;
    DumpResult made, again;
    DumpOptions options{.login = server.login(), .threads = 4, .piece_bytes = 64 << 10};
    Id tree = store_dump(repo, options, &made), second = store_dump(repo, options, &again);
    for (const KeyCase& one : cases)
        if (one.is_cut)
            EXPECT_GT(files_of(made, one.name), 3u) << one.name;
        else
            EXPECT_EQ(files_of(made, one.name), 1u) << one.name;
    EXPECT_EQ(made.base.tables, again.base.tables);
    auto repository = repo.open();
    EXPECT_EQ(repository::find_subtree(*repository, tree, "data"),
              repository::find_subtree(*repository, second, "data"));
    LoadResult loaded = load({.login = target.login()}, *repository, tree);
    EXPECT_EQ(loaded.rows, 3000 * std::size(cases));
    EXPECT_EQ(loaded.warnings, std::vector<std::string>());
}

TEST(DumpKeysTest, SettingsOfTheServerCutNothingOff) {
    TestServer server(
        {.arguments = {"--sql-mode=ANSI", "--default-time-zone=+05:00"}, .binlog = false}),
        target;
    run_all(server, {"CREATE DATABASE k", "CREATE TABLE k.t (a INT PRIMARY KEY, s TIMESTAMP)",
                     "INSERT INTO k.t SELECT seq, FROM_UNIXTIME(seq) FROM seq_1_to_100",
                     "SET GLOBAL sql_select_limit=3", "SET GLOBAL max_statement_time=100",
                     "SET GLOBAL idle_transaction_timeout=1"});
    MemoryRepo repo;
    DumpResult made;
    Id tree = store_dump(repo, {.login = server.login()}, &made);
    EXPECT_EQ(made.base.tables.at(0).rows, 100u);
    EXPECT_EQ(made.base.position, Position());  // it writes no binlog
    auto repository = repo.open();
    EXPECT_EQ(load({.login = target.login()}, *repository, tree).rows, 100u);
    EXPECT_EQ(target.connect()->value("SELECT UNIX_TIMESTAMP(s) FROM k.t WHERE a=77"), "77");
}

TEST(DumpChangesTest, ASchemaThatChangesGivesAWholeDumpOrAnError) {
    TestServer server, target;
    run_all(server, {"CREATE DATABASE d", "CREATE TABLE d.keep (a INT PRIMARY KEY, b CHAR(100))",
                     "INSERT INTO d.keep SELECT seq, 'x' FROM seq_1_to_20000"});
    std::atomic<bool> stop{false};
    std::counting_semaphore<1000> breath{0};
    std::jthread migrations([&] {
        auto session = server.connect("d");
        for (int i = 0; !stop; ++i) {
            session->execute("CREATE TABLE extra (a INT PRIMARY KEY, b INT)");
            session->execute("INSERT INTO extra VALUES (1, 2)");
            session->execute("ALTER TABLE extra ADD c INT DEFAULT 3, DROP b");
            session->execute("ALTER TABLE keep COMMENT 'x" + std::to_string(i) + "'");
            session->execute("TRUNCATE TABLE extra");
            session->execute("DROP TABLE extra");
            // Now and then a dump comes between.
            if (i % 3 == 0) breath.acquire();
        }
    });
    int whole = 0;
    for (int i = 0; i < 6; ++i) {
        breath.release();
        MemoryRepo repo;
        DumpResult made;
        try {
            Id tree = store_dump(
                repo, {.login = server.login(), .threads = 2, .attempts = i % 2 ? 1U : 20U}, &made);
            ++whole;
            auto repository = repo.open();
            std::string name = fmt::format("d{}", i);
            LoadResult loaded =
                load({.login = target.login(), .rename = {{"d", name}}}, *repository, tree);
            EXPECT_EQ(loaded.tables, made.base.tables.size());
            EXPECT_EQ(target.connect()->value("SELECT COUNT(*) FROM " + name + ".keep"), "20000");
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::timeout) << error.message();
            EXPECT_EQ(i % 2, 1) << "the migrations pause, and a dump comes between";
        }
    }
    stop = true;
    breath.release();
    migrations.join();
    EXPECT_GE(whole, 3);
}

TEST(DumpRightsTest, ADatabaseThatTheAccountDoesNotSeeIsAnError) {
    TestServer server;
    run_all(server,
            {"CREATE DATABASE one", "CREATE DATABASE two", "CREATE TABLE one.t (a INT PRIMARY KEY)",
             "CREATE USER backup@localhost", "CREATE ROLE reader",
             "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON one.* TO reader",
             "GRANT SELECT ON mysql.* TO reader", "GRANT reader TO backup@localhost",
             "SET DEFAULT ROLE reader FOR backup@localhost"});
    auto attempt = [&](std::vector<std::string> databases) {
        MemoryRepo repo;
        DumpResult made;
        store_dump(repo, {.login = server.login("backup"), .selection = {databases, {}}}, &made);
        return made.base.tables.size();
    };
    storage::expect_error(ErrorKind::permission, [&] { attempt({}); });
    storage::expect_error(ErrorKind::permission, [&] { attempt({"o*"}); });
    storage::expect_error(ErrorKind::permission, [&] { attempt({"two"}); });
    EXPECT_EQ(attempt({"one"}), 1u);  // by its role
    run_all(server, {"REVOKE TRIGGER ON one.* FROM reader"});
    storage::expect_error(ErrorKind::permission, [&] { attempt({"one"}); });
}

TEST(DumpRightsTest, OfPatternsThatMatchOnlyWhatAllGiveIsCertain) {
    Privileges rights({"GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*1'",
                       "GRANT SELECT, TRIGGER ON `app%`.* TO `a`@`%`",
                       "GRANT SELECT ON `app1`.* TO `a`@`%`",
                       "GRANT EVENT ON `app1`.* TO `role ON x`",
                       "GRANT SELECT (`a ON b`), INSERT ON `d`.`t` TO `a`@`%`",
                       "GRANT ALL PRIVILEGES ON `odd``.* TO x`.* TO `a`@`%` WITH GRANT OPTION"});
    EXPECT_TRUE(rights.has("SELECT", "app1"));
    EXPECT_FALSE(rights.has("TRIGGER", "app1"));
    EXPECT_TRUE(rights.has("TRIGGER", "app2"));
    EXPECT_TRUE(rights.has("EVENT", "app1"));
    EXPECT_FALSE(rights.has("INSERT", "d"));
    EXPECT_TRUE(rights.has("DROP", "odd`.* TO x"));
    EXPECT_FALSE(rights.has("SELECT"));
    EXPECT_FALSE(rights.may_grant());
}

const std::vector<std::string> kPrograms = {
    "CREATE DATABASE p CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
    "CREATE TABLE p.t (id INT PRIMARY KEY AUTO_INCREMENT, s VARCHAR(20) DEFAULT 'p.t `p`.`t`', "
    "n INT(6) ZEROFILL, f FLOAT(10,2), d DOUBLE(12,3), e YEAR)",
    "INSERT INTO p.t (n, f, d, e) VALUES (42, 12345678.91, 1.0005, 2001)",
    "CREATE SEQUENCE p.s MAXVALUE 3 CYCLE", "CREATE SEQUENCE p.down START -1 INCREMENT -1",
    "CREATE SEQUENCE p.used_up MAXVALUE 2", "SELECT NEXTVAL(p.used_up), NEXTVAL(p.down)",
    "SELECT NEXTVAL(p.used_up)", "CREATE TABLE p.with_default (a INT DEFAULT NEXTVAL(p.s), b INT)",
    "CREATE TABLE p.m1 (a INT) ENGINE=MyISAM", "CREATE TABLE p.m2 (a INT) ENGINE=MyISAM",
    "INSERT INTO p.m1 VALUES (1)", "INSERT INTO p.m2 VALUES (2)",
    "CREATE TABLE p.both_m (a INT) ENGINE=MERGE UNION=(p.m1,p.m2)",
    "CREATE TABLE p.memory (a INT PRIMARY KEY) ENGINE=MEMORY", "INSERT INTO p.memory VALUES (7)",
    "CREATE TABLE p.by_transaction (a INT PRIMARY KEY, s BIGINT UNSIGNED GENERATED ALWAYS AS ROW "
    "START, e BIGINT UNSIGNED GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH "
    "SYSTEM VERSIONING",
    "INSERT INTO p.by_transaction (a) VALUES (1), (2)", "DELETE FROM p.by_transaction WHERE a=2",
    "CREATE TABLE p.own_period (a INT PRIMARY KEY, b INT WITHOUT SYSTEM VERSIONING, s TIMESTAMP(6) "
    "GENERATED ALWAYS AS ROW START, e TIMESTAMP(6) GENERATED ALWAYS AS ROW END, PERIOD FOR "
    "SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING",
    "INSERT INTO p.own_period (a, b) VALUES (1, 1), (2, 2)",
    "UPDATE p.own_period SET a=3 WHERE a=1",
    "CREATE TABLE p.old_parts (a INT PRIMARY KEY) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME "
    "LIMIT 2 (PARTITION h1 HISTORY, PARTITION h2 HISTORY, PARTITION c CURRENT)",
    "INSERT INTO p.old_parts VALUES (1), (2), (3), (4)", "DELETE FROM p.old_parts WHERE a < 3",
    "DELETE FROM p.old_parts WHERE a = 3",
    "CREATE TABLE p.checked (a INT CHECK (a > 0), b INT, CONSTRAINT both_ CHECK (a < b))",
    "SET check_constraint_checks=0", "INSERT INTO p.checked VALUES (-1, -2)",
    "SET check_constraint_checks=1",
    "CREATE TABLE p.booked (a INT, f DATE, u DATE, PERIOD FOR stay (f, u), UNIQUE (a, stay WITHOUT "
    "OVERLAPS))",
    "INSERT INTO p.booked VALUES (1, '2020-01-01', '2020-02-01')",
    "CREATE TABLE p.long_key (a INT, b TEXT, UNIQUE (b), FOREIGN KEY (a) REFERENCES p.t (id))",
    "INSERT INTO p.long_key VALUES (1, REPEAT('z', 5000))",
    "CREATE TABLE p.`line\nbreak /.. ü` (`a\tb` INT)",
    "INSERT INTO p.`line\nbreak /.. ü` VALUES (5)", "CREATE DATABASE `x[1]*`",
    "CREATE TABLE `x[1]*`.`?` (a INT)", "INSERT INTO `x[1]*`.`?` VALUES (8)",
    // programs
    "CREATE FUNCTION p.f(a VARCHAR(20)) RETURNS VARCHAR(20) DETERMINISTIC RETURN UPPER(a)",
    "ALTER DATABASE p COLLATE utf8mb4_czech_ci", "SET NAMES latin1",
    "CREATE PROCEDURE p.old_client() SELECT '\xe4\xf6 p.t', id FROM p.t", "SET NAMES utf8mb4",
    "SET sql_mode='ANSI_QUOTES,PIPES_AS_CONCAT'",
    "CREATE PROCEDURE p.ansi() SELECT \"id\" || 'x' AS \"y\" FROM \"p\".\"t\"",
    "SET sql_mode='ORACLE'", "CREATE PACKAGE p.pack AS FUNCTION one RETURN INT; END",
    "CREATE PACKAGE BODY p.pack AS FUNCTION one RETURN INT AS BEGIN RETURN 1; END; END",
    "SET sql_mode=''",
    "CREATE TRIGGER p.tr BEFORE INSERT ON p.t FOR EACH ROW SET NEW.n = (SELECT COUNT(*) FROM p.m1)",
    "CREATE EVENT p.ev ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 00:00:00' ENABLE COMMENT 'it''s' "
    "DO INSERT INTO p.m1 VALUES (1)",
    // views
    "CREATE USER ghost@localhost", "GRANT ALL ON *.* TO ghost@localhost",
    "CREATE DEFINER=ghost@localhost VIEW p.a_last AS SELECT id, f(s) AS s FROM p.t",
    "CREATE DEFINER=ghost@localhost VIEW p.b AS SELECT * FROM p.a_last WHERE s <> 'p.t' WITH CHECK "
    "OPTION",
    "CREATE VIEW p.a_first AS SELECT b.id, 'x`p`.`b`' AS s FROM p.b UNION SELECT 1, "
    "'`p`.`a_first`'",
    "CREATE TABLE p.gone (a INT)", "CREATE VIEW p.dangling AS SELECT a FROM p.gone",
    "DROP TABLE p.gone"};

// Everything must come to a server that does not know the definers.
TEST(DumpProgramsTest, ProgramsAndViewsComeBackWithoutTheirDefiners) {
    TestServer source, target;
    {
        auto connection = source.connect("");
        connection->execute("CREATE DATABASE IF NOT EXISTS p");
        connection->execute("DROP DATABASE p");
        for (const std::string& statement : kPrograms) {
            connection->execute(statement);
            if (statement.starts_with("CREATE DATABASE p ")) connection->execute("USE p");
        }
    }
    MemoryRepo repo;
    DumpResult made;
    Id tree = store_dump(repo, {.login = source.login(), .users = false}, &made);
    ASSERT_EQ(made.warnings.size(), 2u);
    EXPECT_NE(made.warnings[0].find("p.by_transaction"), std::string::npos);
    EXPECT_NE(made.warnings[1].find("p.dangling"), std::string::npos);
    auto repository = repo.open();
    LoadResult loaded = load({.login = target.login()}, *repository, tree);
    EXPECT_EQ(loaded.verified_tables, made.base.tables.size());
    EXPECT_EQ(loaded.warnings.size(), 1u);  // the dangling view
    auto now = target.connect("p"), then = source.connect("p");
    then->execute("DROP VIEW dangling");
    // The numbers of transactions are the server's own.
    for (auto* connection : {now.get(), then.get()})
        connection->execute("DROP TABLE by_transaction");
    // With the definer there, the views work as before.
    now->execute("GRANT ALL ON *.* TO ghost@localhost IDENTIFIED BY ''");
    EXPECT_EQ(stock_dump(target, {"p", "x[1]*"}), stock_dump(source, {"p", "x[1]*"}));
    EXPECT_EQ(now->value("SELECT COUNT(*) FROM both_m"), "2");
    EXPECT_EQ(now->value("SELECT NEXTVAL(down)"), then->value("SELECT -1001"));
    EXPECT_THROW(now->value("SELECT NEXTVAL(used_up)"), Error);
    for (const char* table : {"own_period", "old_parts"}) {
        std::string all = fmt::format("SELECT * FROM {} FOR SYSTEM_TIME ALL ORDER BY 1", table);
        EXPECT_EQ(now->query(all), then->query(all)) << table;
    }
    EXPECT_EQ(now->query("SELECT * FROM a_first"), then->query("SELECT * FROM a_first"));
}

TEST(DumpProgramsTest, UnderANewNameNothingPointsToTheOldOne) {
    TestServer server;
    {
        auto connection = server.connect();
        for (const std::string& statement : kPrograms) {
            connection->execute(statement);
            if (statement.starts_with("CREATE DATABASE p ")) connection->execute("USE p");
        }
    }
    MemoryRepo repo;
    Id tree = store_dump(repo, {.login = server.login()});
    auto repository = repo.open();
    LoadOptions options{.login = server.login(), .databases = {"p"}, .rename = {{"p", "p then"}}};
    load(options, *repository, tree);
    auto connection = server.connect();
    connection->execute("DROP DATABASE p");
    connection->execute("USE `p then`");
    EXPECT_EQ(connection->query("SELECT * FROM a_first").size(), 2u);
    EXPECT_EQ(connection->value("SELECT COUNT(*) FROM both_m"), "2");
    connection->execute("INSERT INTO t (e) VALUES (2002)");
    connection->execute("INSERT INTO with_default (b) VALUES (1)");
    EXPECT_EQ(connection->value("SELECT n FROM t WHERE e=2002"), "000001");
    EXPECT_EQ(connection->query("CALL ansi()").at(0).at(0), "1x");
    EXPECT_EQ(connection->query("CALL old_client()").size(), 2u);
    EXPECT_THROW(connection->execute("INSERT INTO long_key VALUES (99, '')"), Error);
}

std::multiset<std::string> all_grants(const TestServer& server) {
    auto connection = server.connect();
    std::multiset<std::string> out;
    for (const sql::Row& row : connection->query(
             "SELECT user, host, is_role FROM mysql.user WHERE user NOT IN ('mariadb.sys') "
             "ORDER BY user, host")) {
        std::string account = *row[0] == "PUBLIC" ? "PUBLIC"
                              : *row[2] == "Y"
                                  ? sql::quote_name(*row[0])
                                  : sql::quote_text(*row[0]) + "@" + sql::quote_text(*row[1]);
        for (const sql::Row& grant : connection->query("SHOW GRANTS FOR " + account))
            out.insert(*grant[0]);
        if (*row[2] != "Y") out.insert(*connection->value("SHOW CREATE USER " + account));
    }
    return out;
}

TEST(DumpUsersTest, AccountsRolesAndGrantsComeBack) {
    TestServer source, target;
    run_all(source, {"CREATE DATABASE my_db", "CREATE TABLE my_db.t (a INT PRIMARY KEY, b INT)",
                     "CREATE PROCEDURE my_db.pr() SELECT 1", "CREATE ROLE `two words`",
                     "CREATE ROLE inner_", "GRANT inner_ TO `two words`",
                     "GRANT SELECT ON `my\\_db`.* TO `two words`",
                     "CREATE USER plain@'10.%' IDENTIFIED BY 'se''cret' REQUIRE SSL WITH "
                     "MAX_USER_CONNECTIONS 3 PASSWORD EXPIRE NEVER ACCOUNT LOCK",
                     "CREATE USER ''@localhost", "CREATE USER 'odd`\\'name'@'%'",
                     "GRANT `two words` TO plain@'10.%' WITH ADMIN OPTION",
                     "SET DEFAULT ROLE `two words` FOR plain@'10.%'",
                     "GRANT SELECT (a), UPDATE (b) ON my_db.t TO 'odd`\\'name'@'%'",
                     "GRANT EXECUTE ON PROCEDURE my_db.pr TO plain@'10.%' WITH GRANT OPTION",
                     "GRANT PROCESS ON *.* TO plain@'10.%' WITH GRANT OPTION",
                     "GRANT SELECT ON my_db.* TO PUBLIC",
                     "CREATE DEFINER=plain@'10.%' VIEW my_db.v AS SELECT * FROM my_db.t"});
    MemoryRepo repo;
    DumpResult made;
    Id tree = store_dump(repo, {.login = source.login()}, &made);
    auto repository = repo.open();
    LoadResult loaded = load({.login = target.login(), .users = true}, *repository, tree);
    EXPECT_EQ(loaded.warnings, std::vector<std::string>());
    EXPECT_EQ(all_grants(target), all_grants(source));
}

TEST(DumpStopTest, AStopIsNotHeldUpByALargeTable) {
    TestServer server;
    run_all(server, {"CREATE DATABASE d", "CREATE TABLE d.t (a INT PRIMARY KEY, b CHAR(250))",
                     "INSERT INTO d.t SELECT seq, 'x' FROM seq_1_to_200000"});
    MemoryRepo repo;
    Progress progress;
    std::stop_source stop;
    std::jthread stopper([&](std::stop_token own) {
        while (progress.bytes_done == 0 && !own.stop_requested()) std::this_thread::yield();
        stop.request_stop();
    });
    storage::expect_error(ErrorKind::interrupted, [&] {
        store_dump(repo,
                   {.login = server.login(), .progress = &progress, .stop = stop.get_token()});
    });
    server.run("DROP TABLE d.t");  // nothing holds it any more
}

}  // namespace
}  // namespace sevenfold::database::mariadb
