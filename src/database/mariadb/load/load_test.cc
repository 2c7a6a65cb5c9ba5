#include "database/mariadb/load/load.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "database/layout.h"
#include "database/mariadb/dump/dump.h"
#include "database/mariadb/load/late_keys.h"
#include "database/testing/mariadb_server.h"
#include "database/testing/nasty_schema.h"
#include "database/testing/stored_base.h"
#include "os/child_process.h"
#include "os/file.h"

namespace sevenfold::database::mariadb {
namespace {

using repository::testing::MemoryRepo;

std::string dumped_by_the_stock_tool(const TestServer& server) {
    os::CommandOutput output = os::run_command(
        {.argv = {"mariadb-dump", "--no-defaults", "--socket=" + server.socket(), "--user=root",
                  "--databases", "nasty", "odd`name.%", "--routines", "--events", "--triggers",
                  "--skip-dump-date", "--skip-comments", "--hex-blob", "--order-by-primary"}});
    EXPECT_TRUE(output.status.ok()) << output.errors;
    return std::string(as_text(output.output));
}

Id store_dump(MemoryRepo& repo, DumpOptions options, DumpResult* result = nullptr) {
    return store_tree(repo, [&](repository::TreeWriter& tree) {
        DumpResult made = dump(options, tree);
        if (result) *result = std::move(made);
    });
}

class LoadTest : public ::testing::TestWithParam<RowFormat> {};
INSTANTIATE_TEST_SUITE_P(Formats, LoadTest, ::testing::Values(RowFormat::tsv, RowFormat::sql),
                         [](const auto& p) { return p.param == RowFormat::tsv ? "tsv" : "sql"; });

TEST_P(LoadTest, EverythingComesBackAsTheStockToolSeesIt) {
    TestServer source, target;
    make_nasty_schema(*source.connect());
    MemoryRepo repo;
    DumpResult made;
    Id tree =
        store_dump(repo, {.login = source.login(), .format = GetParam(), .users = false}, &made);
    EXPECT_EQ(made.warnings, std::vector<std::string>());
    EXPECT_EQ(made.base.position.gtid,
              source.connect()->value("SELECT @@gtid_binlog_pos").value_or(""));
    auto repository = repo.open();
    LoadResult loaded = load({.login = target.login()}, *repository, tree);
    EXPECT_EQ(loaded.tables, made.base.tables.size());
    EXPECT_EQ(loaded.verified_tables, loaded.tables);
    EXPECT_EQ(checksums(*target.connect()), checksums(*source.connect()));
    EXPECT_EQ(dumped_by_the_stock_tool(target), dumped_by_the_stock_tool(source));
    EXPECT_EQ(target.connect("nasty")->value("SELECT COUNT(*) FROM history FOR SYSTEM_TIME ALL"),
              "3");
    // The target's binlog got none of it.
    EXPECT_EQ(target.connect()->value("SELECT @@gtid_binlog_pos"), "");
}

TEST_P(LoadTest, TheStockClientLoadsIt) {
    TestServer source, target;
    make_nasty_schema(*source.connect());
    MemoryRepo repo;
    Id tree = store_dump(repo, {.login = source.login(), .format = GetParam()});
    storage::TestFolder folder;
    auto repository = repo.open();
    extract(*repository, tree, folder.path());
    os::CommandOutput output = os::run_command(
        {.argv = {"sh", "-c",
                  "cd \"$1\" && exec mariadb --no-defaults --socket=\"$2\" --user=root "
                  "--comments --local-infile=1 --max-allowed-packet=1G < load.sql",
                  "sh", folder.path(), target.socket()}});
    EXPECT_TRUE(output.status.ok()) << output.errors;
    EXPECT_EQ(dumped_by_the_stock_tool(target), dumped_by_the_stock_tool(source));
}

TEST(LoadOneTableTest, UnderAnotherNameBesideTheOriginal) {
    TestServer server;
    make_nasty_schema(*server.connect());
    MemoryRepo repo;
    Id tree = store_dump(repo, {.login = server.login()});
    auto repository = repo.open();
    LoadOptions options{.login = server.login(),
                        .tables = {"nasty.child", "nasty.types"},
                        .rename = {{"nasty", "nasty_then"}}};
    LoadResult loaded = load(options, *repository, tree);
    EXPECT_EQ(loaded.tables, 2u);
    auto connection = server.connect();
    EXPECT_EQ(connection->query("CHECKSUM TABLE nasty_then.types")[0][1],
              connection->query("CHECKSUM TABLE nasty.types")[0][1]);
    storage::expect_error(ErrorKind::exists, [&] { load(options, *repository, tree); });
    // A sequence that gives a default comes along.
    options = {.login = server.login(), .tables = {"nasty.select"}, .rename = {{"nasty", "third"}}};
    load(options, *repository, tree);
    connection->execute("INSERT INTO third.`select` (`from`) VALUES (9)");
    EXPECT_EQ(connection->query("SHOW TABLES FROM third").size(), 2u);
    options.tables = {"nasty.nothing"};
    storage::expect_error(ErrorKind::not_found, [&] { load(options, *repository, tree); });
}

// A base whose file was replaced by another one.
Id with_other_rows(MemoryRepo& repo, const TestServer& server, std::string_view rows) {
    return store_tree(repo, [&](repository::TreeWriter& tree) {
        dump({.login = server.login()}, tree);
        ASSERT_TRUE(tree.remove("data/d/t/000000.tsv"));
        tree.add("data/d/t/000000.tsv", as_bytes(rows), {});
    });
}

TEST(LoadErrorTest, WhatArrivesMustBeWhatTheBaseSays) {
    TestServer server, target;
    for (const char* statement :
         {"CREATE DATABASE d", "CREATE TABLE d.t (a INT PRIMARY KEY, b INT)",
          "INSERT INTO d.t VALUES (1, 10), (2, 20)"})
        server.run(statement);
    for (const char* rows : {"1\t10\n", "1\t10\n2\t21\n", "1\t10\n2\tx\n"}) {
        MemoryRepo repo;
        Id tree = with_other_rows(repo, server, rows);
        auto repository = repo.open();
        try {
            load({.login = target.login()}, *repository, tree);
            ADD_FAILURE() << rows;
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::corrupt) << error.message();
            EXPECT_NE(error.message().find("table d.t"), std::string::npos) << error.message();
        }
        target.run("DROP DATABASE d");
    }
    MemoryRepo repo;
    Id tree = with_other_rows(repo, server, "1\t10\n2\t20\n");
    auto repository = repo.open();
    target.run("SET GLOBAL local_infile=0");
    try {
        load({.login = target.login()}, *repository, tree);
        ADD_FAILURE() << "loaded";
    } catch (const Error& error) {
        EXPECT_NE(error.hint().find("local_infile"), std::string::npos) << error.message();
    }
}

TEST(DumpTest, WhatIsUnchangedIsTheSameAgain) {
    TestServer server;
    make_nasty_schema(*server.connect());
    MemoryRepo repo;
    DumpOptions options{.login = server.login(), .piece_bytes = 1};
    Id first = store_dump(repo, options), second = store_dump(repo, options);
    auto repository = repo.open();
    auto nodes = repository->load_tree(first), again = repository->load_tree(second);
    ASSERT_EQ(nodes.size(), again.size());
    for (size_t i = 0; i < nodes.size(); ++i) {
        bool same = nodes[i].content == again[i].content && nodes[i].subtree == again[i].subtree;
        EXPECT_EQ(same, nodes[i].name != "base.json") << nodes[i].name;  // it alone has times
    }
}

TEST(DumpTest, ManyPiecesTakeEveryRowOnce) {
    TestServer server, target;
    auto connection = server.connect();
    connection->execute("CREATE DATABASE d");
    connection->execute("USE d");
    connection->execute("SET foreign_key_checks=0");
    connection->execute(
        "CREATE TABLE d.n (id BIGINT PRIMARY KEY, v CHAR(200), w INT DEFAULT (id + 1), g INT AS (w "
        "MOD 10) VIRTUAL, KEY (v), UNIQUE KEY u (w, v(10)), KEY (g), FULLTEXT KEY (v), FOREIGN KEY "
        "(id) REFERENCES d.n (id)) ENGINE=InnoDB");
    connection->execute(
        "INSERT INTO d.n (id, v) SELECT CAST(seq AS SIGNED) * 3 - 6000, REPEAT('x', 200) FROM "
        "seq_1_to_5000");
    connection->execute("CREATE TABLE d.h (id CHAR(32) PRIMARY KEY, v CHAR(200))");
    connection->execute("INSERT INTO d.h SELECT MD5(seq), REPEAT('y', 200) FROM seq_1_to_5000");
    connection->execute("INSERT INTO d.h VALUES ('', ''), ('zz', ''), ('ü', '')");
    connection->execute("ANALYZE TABLE d.n, d.h");
    MemoryRepo repo;
    DumpResult made;
    Id tree =
        store_dump(repo, {.login = server.login(), .threads = 4, .piece_bytes = 100 << 10}, &made);
    ASSERT_EQ(made.base.tables.size(), 2u);
    EXPECT_GT(made.base.tables[0].files.size(), 8u);
    EXPECT_LT(made.base.tables[0].files.size(), 64u);
    EXPECT_GT(made.base.tables[1].files.size(), 8u);
    EXPECT_EQ(made.base.tables[0].rows, 5003u);
    EXPECT_EQ(made.base.tables[1].rows, 5000u);
    auto repository = repo.open();
    EXPECT_EQ(load({.login = target.login(), .threads = 3}, *repository, tree).rows, 10003u);
    EXPECT_EQ(target.connect("d")->value("SELECT COUNT(*) FROM n USE INDEX (u) WHERE w > 0"),
              connection->value("SELECT COUNT(*) FROM n USE INDEX (u) WHERE w > 0"));
    EXPECT_EQ(target.connect()->query("SHOW CREATE TABLE d.n").at(0).at(1)->size(),
              connection->query("SHOW CREATE TABLE d.n").at(0).at(1)->size());
}

TEST(DumpTest, WritersDoNotDisturbTheMoment) {
    TestServer server, target;
    auto connection = server.connect();
    for (const char* statement :
         {"CREATE DATABASE bank", "USE bank", "CREATE TABLE bank.a (id INT PRIMARY KEY, n INT)",
          "INSERT INTO bank.a SELECT seq, 100 FROM seq_1_to_500", "CREATE TABLE bank.b LIKE bank.a",
          "INSERT INTO bank.b SELECT * FROM bank.a",
          "CREATE TABLE bank.log (id INT PRIMARY KEY AUTO_INCREMENT, x INT) ENGINE=MyISAM"})
        connection->execute(statement);
    std::atomic<bool> stop{false};
    std::atomic<int> transfers{0};
    std::vector<std::jthread> writers;
    for (int w = 0; w < 3; ++w)
        writers.emplace_back([&, w] {
            auto session = server.connect("bank");
            for (int i = w; !stop; i += 7) {
                session->execute("BEGIN");
                session->execute(fmt::format("UPDATE a SET n=n-1 WHERE id={}", i % 500 + 1));
                session->execute(fmt::format("UPDATE b SET n=n+1 WHERE id={}", i * 3 % 500 + 1));
                session->execute("COMMIT");
                session->execute("INSERT INTO log (x) VALUES (1)");
                ++transfers;
            }
        });
    while (transfers < 50) std::this_thread::yield();
    MemoryRepo repo;
    DumpResult made;
    Id tree = store_dump(repo, {.login = server.login(), .threads = 4}, &made);
    stop = true;
    writers.clear();
    EXPECT_GT(made.commits_blocked.count(), 0);
    auto repository = repo.open();
    load({.login = target.login()}, *repository, tree);
    auto loaded = target.connect("bank");
    EXPECT_EQ(loaded->value("SELECT (SELECT SUM(n) FROM a) + (SELECT SUM(n) FROM b)"), "100000");
    // Every transfer moved one from a to b, and the position in the binlog says how many there
    // were.
    std::string events = fmt::format(
        "SELECT {} - 0", made.base.position.gtid.substr(made.base.position.gtid.rfind('-') + 1));
    uint64_t transactions = std::stoull(*loaded->value(events));
    uint64_t in_a = 50000 - std::stoull(*loaded->value("SELECT SUM(n) FROM a"));
    uint64_t in_log = std::stoull(*loaded->value("SELECT COUNT(*) FROM log"));
    EXPECT_EQ(transactions, 6 + in_a + in_log);
}

TEST(DumpTest, AMissingRightIsAnErrorAndNeverASmallerDump) {
    TestServer server;
    auto root = server.connect();
    make_nasty_schema(*root);
    root->execute("CREATE USER backup@localhost");
    const std::vector<std::string> rights = {"SELECT", "SHOW VIEW", "TRIGGER", "EVENT"};
    for (const std::string& missing : rights) {
        root->execute("REVOKE ALL PRIVILEGES, GRANT OPTION FROM backup@localhost");
        for (const std::string& right : rights)
            if (right != missing) root->execute("GRANT " + right + " ON *.* TO backup@localhost");
        MemoryRepo repo;
        try {
            store_dump(repo, {.login = server.login("backup")});
            // Without SELECT it sees no database at all, or is refused.
            ADD_FAILURE() << "a dump without " << missing;
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::permission) << missing << ": " << error.message();
        }
    }
    root->execute("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON *.* TO backup@localhost");
    root->execute("GRANT LOCK TABLES ON *.* TO backup@localhost");
    MemoryRepo repo;
    DumpResult made;
    store_dump(repo, {.login = server.login("backup")}, &made);  // one session, as RELOAD lacks
    EXPECT_EQ(made.warnings.size(), 1u);
    EXPECT_EQ(made.base.position.gtid, root->value("SELECT @@gtid_binlog_pos"));
    root->execute("GRANT RELOAD ON *.* TO backup@localhost");
    store_dump(repo, {.login = server.login("backup")}, &made);
    EXPECT_EQ(made.warnings.size(), 0u);
}

TEST(DumpTest, LargeValues) {
    const std::vector<std::string> large = {"--max-allowed-packet=512M",
                                            "--innodb-log-file-size=256M"};
    // Rows do not come as statements: the other server's max_allowed_packet is no limit.
    TestServer server({.arguments = large}), target({.arguments = {large[1]}});
    auto connection = server.connect();
    connection->execute("CREATE DATABASE d");
    connection->execute("CREATE TABLE d.t (id INT PRIMARY KEY, b LONGBLOB)");
    connection->execute("INSERT INTO d.t VALUES (1, REPEAT(X'005C0A41', 16000000)), (2, '')");
    MemoryRepo repo;
    Id tree = store_dump(repo, {.login = server.login()});
    auto repository = repo.open();
    load({.login = target.login()}, *repository, tree);
    EXPECT_EQ(target.connect()->query("CHECKSUM TABLE d.t")[0][1],
              connection->query("CHECKSUM TABLE d.t")[0][1]);
}

TEST(LateKeysTest, KeysComeLaterButTheCounterKeepsItsOwn) {
    SplitTable split = split_table(
        "CREATE TABLE `t` (\n  `a` int(11) NOT NULL,\n  `n` int(11) NOT NULL AUTO_INCREMENT,\n"
        "  `s` text DEFAULT 'x,\\n  KEY `z`',\n  PRIMARY KEY (`a`,`n`),\n  KEY `n` (`n`),\n"
        "  UNIQUE KEY `u` (`s`(20)),\n  FULLTEXT KEY `f` (`s`),\n"
        "  CONSTRAINT `c` FOREIGN KEY (`a`) REFERENCES `p` (`id`)\n) ENGINE=InnoDB COMMENT='('");
    EXPECT_EQ(split.create,
              "CREATE TABLE `t` (\n  `a` int(11) NOT NULL,\n  `n` int(11) NOT NULL "
              "AUTO_INCREMENT,\n  `s` text DEFAULT 'x,\\n  KEY `z`',\n  PRIMARY KEY (`a`,`n`),\n"
              "  KEY `n` (`n`)\n) ENGINE=InnoDB COMMENT='('");
    EXPECT_EQ(split.keys, std::vector<std::string>{"ADD UNIQUE KEY `u` (`s`(20))"});
    EXPECT_EQ(split.full_text, std::vector<std::string>{"ADD FULLTEXT KEY `f` (`s`)"});
    EXPECT_EQ(
        split.foreign_keys,
        std::vector<std::string>{"ADD CONSTRAINT `c` FOREIGN KEY (`a`) REFERENCES `p` (`id`)"});
}

TEST(SqlFileTest, StatementsComeBackWhateverTheyHold) {
    std::vector<std::string> statements = {"SELECT ';;'", "a\nb", "x;;;\ny", ""};
    EXPECT_EQ(split_statements(render(statements)), statements);
    storage::expect_error(ErrorKind::corrupt, [] { split_statements("SELECT 1;"); });
    std::string cut = render(statements);
    storage::expect_error(ErrorKind::corrupt,
                          [&] { split_statements(cut.substr(0, cut.size() - 20)); });
}

}  // namespace
}  // namespace sevenfold::database::mariadb
