#include "database/mariadb/physical/backup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "database/layout.h"
#include "database/mariadb/physical/prepare.h"
#include "database/mariadb/server/scratch_server.h"
#include "database/testing/mariadb_server.h"
#include "database/testing/nasty_schema.h"
#include "database/testing/stored_base.h"
#include "os/file.h"

namespace sevenfold::database::mariadb {
namespace {

using repository::testing::MemoryRepo;
using ::testing::HasSubstr;

Id store(MemoryRepo& repo, const PhysicalOptions& options, PhysicalResult* result = nullptr) {
    return store_tree(repo, [&](repository::TreeWriter& tree) {
        PhysicalResult made = back_up_physical(options, tree);
        if (result) *result = std::move(made);
    });
}

// A base's data folder, restored.
std::string restore(MemoryRepo& repo, const Id& tree, const std::string& to) {
    auto repository = repo.open();
    os::make_dirs(to);
    extract(*repository, tree, to);
    return to + "/data";
}

uint64_t stored_bytes(MemoryRepo& repo) {
    uint64_t sum = 0;
    repo.backend()->list(storage::FileType::pack,
                         [&](const storage::FileInfo& file) { sum += file.size; });
    return sum;
}

// Every kind of table that has files of its own kind.
void make_tables(sql::MariadbConnection& connection, const std::string& elsewhere) {
    const std::string columns = "(id INT AUTO_INCREMENT PRIMARY KEY, t LONGTEXT)";
    const std::pair<const char*, std::string> tables[] = {
        {"`a`.`punched`", "PAGE_COMPRESSED=1"},
        {"`a`.`squeezed`", "ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=4"},
        {"`a`.`isam`", "ENGINE=MyISAM"},
        {"`a`.`aria`", "ENGINE=Aria"},
        {"`a`.`parts`", "PARTITION BY HASH (id) PARTITIONS 3"},
        {"`a`.`elsewhere`", "DATA DIRECTORY='" + elsewhere + "'"},
        {"`odd.na-me é/x`.`t/b.é\x22`", ""}};
    connection.execute("CREATE DATABASE a");
    connection.execute("CREATE DATABASE `odd.na-me é/x`");
    for (const auto& [name, how] : tables) {
        connection.execute(std::string("CREATE TABLE ") + name + columns + how);
        connection.execute(std::string("INSERT INTO ") + name +
                           " (t) SELECT REPEAT(CONCAT('row ', seq, ' '), 800) FROM "
                           "test.seq_1_to_200");
    }
}

std::string all_checksums(sql::MariadbConnection& connection) {
    return checksums(connection, {"nasty", "odd`name.%", "a", "odd.na-me é/x"});
}

// A program that stands in for the tool, or around it.
std::string script(storage::TestFolder& folder, const std::string& body) {
    std::string path = folder / "tool";
    os::write_file_atomically(path,
                              as_bytes("#!/bin/sh\ncase \"$1\" in --version) exec mariadb-backup "
                                       "--version;; esac\n" +
                                       body + "\n"),
                              0755);
    return path;
}

// The error of a backup that must fail; nothing may be stored as a base.
Error failure_of(const PhysicalOptions& options) {
    MemoryRepo repo;
    std::optional<Error> failure;
    Id tree = store_tree(repo, [&](repository::TreeWriter& writer) {
        try {
            back_up_physical(options, writer);
        } catch (const Error& error) {
            failure = error;
        }
    });
    if (!failure) throw std::runtime_error("the backup did not fail");
    auto repository = repo.open();
    EXPECT_THROW(load_file(*repository, tree, "base.json"), Error);
    return *failure;
}

TEST(PhysicalBackupTest, EveryKindOfTableComesBack) {
    TestServer source({.arguments = {"--innodb-undo-tablespaces=3"}});
    storage::TestFolder folder;
    std::filesystem::create_directory(folder / "elsewhere");
    auto connection = source.connect();
    connection->execute("CREATE DATABASE IF NOT EXISTS test");
    make_tables(*connection, folder / "elsewhere");
    make_nasty_schema(*connection);

    MemoryRepo repo;
    PhysicalResult made;
    Id tree = store(repo, {.login = source.login(), .chunk_size = 16 << 10}, &made);
    EXPECT_EQ(made.base.position.gtid, connection->value("SELECT @@gtid_binlog_pos").value_or(""));
    EXPECT_EQ(made.base.method, "physical");
    EXPECT_GT(made.base.to_lsn, 0u);
    EXPECT_GE(made.base.consistent_at, made.base.started);
    EXPECT_THAT(made.warnings, ::testing::ElementsAre(HasSubstr("DATA DIRECTORY")));
    auto repository = repo.open();
    EXPECT_EQ(decode_base(load_file(*repository, tree, "base.json")).position, made.base.position);

    std::string data = restore(repo, tree, folder / "restored");
    PrepareReport report = prepare({.data_dir = data, .user = "root"});
    EXPECT_EQ(report.moved_tables, std::vector<std::string>{"a/elsewhere"});
    // The source still runs: its own file of the moved table must not be touched.
    ScratchServer copy({.data_dir = data, .arguments = server_arguments(made.base)});
    EXPECT_EQ(all_checksums(*copy.connect()), all_checksums(*connection));
    EXPECT_EQ(copy.connect()->value("SELECT COUNT(*) FROM a.elsewhere"), "200");
    copy.connect()->execute("INSERT INTO a.elsewhere (t) VALUES ('only here')");
    EXPECT_EQ(connection->value("SELECT COUNT(*) FROM a.elsewhere"), "200");
    copy.stop();
}

TEST(PhysicalBackupTest, UnderLoadItIsExactlyItsPosition) {
    TestServer source;
    source.run("CREATE DATABASE a");
    constexpr int kWriters = 3;
    for (int i = 0; i < kWriters; ++i)
        source.run(
            fmt::format("CREATE TABLE a.t{} (id INT AUTO_INCREMENT PRIMARY KEY, t TEXT)", i));
    auto sequence = [](const std::string& gtid) { return std::stoll(gtid.substr(4)); };
    int64_t before = sequence(*source.connect()->value("SELECT @@gtid_binlog_pos"));
    MemoryRepo repo;
    PhysicalResult made;
    Id tree;
    {
        std::vector<std::jthread> writers;
        std::atomic<uint64_t> written{0};
        for (int i = 0; i < kWriters; ++i)
            writers.emplace_back([&, i](std::stop_token stop) {
                auto connection = source.connect();
                for (; !stop.stop_requested(); ++written)
                    connection->execute(
                        fmt::format("INSERT INTO a.t{} (t) VALUES (REPEAT('x', 300))", i));
            });
        while (written < 500) std::this_thread::yield();
        tree = store(repo, {.login = source.login()}, &made);
        uint64_t then = written;
        while (written < then + 100) std::this_thread::yield();
    }
    storage::TestFolder folder;
    std::string data = restore(repo, tree, folder / "restored");
    prepare({.data_dir = data, .user = "root"});
    ScratchServer copy({.data_dir = data});
    int64_t rows = 0;
    for (int i = 0; i < kWriters; ++i)
        rows += std::stoll(*copy.connect()->value(fmt::format("SELECT COUNT(*) FROM a.t{}", i)));
    // Every transaction wrote one row.
    EXPECT_EQ(rows, sequence(made.base.position.gtid) - before);
    EXPECT_GT(rows, 500);
}

// Backs up while tables of these engines are made, renamed, altered and dropped.
std::optional<Error> failure_while_tables_change(const std::vector<std::string>& engines) {
    TestServer source;
    source.run("CREATE DATABASE a");
    // Something to copy before the tables that change.
    source.run("CREATE TABLE a.t AS SELECT seq, REPEAT('x', 500) FROM a.seq_1_to_40000");
    MemoryRepo repo;
    Id tree;
    {
        std::atomic<int> rounds{0};
        std::jthread changer([&](std::stop_token stop) {
            auto connection = source.connect("a");
            for (; !stop.stop_requested(); ++rounds)
                for (const std::string& engine : engines) {
                    std::string name = fmt::format("{}{}", engine, rounds % 20);
                    for (const char* statement :
                         {"DROP TABLE IF EXISTS {0}",
                          "CREATE TABLE {0}_ (id INT, t TEXT) ENGINE={1}",
                          "INSERT INTO {0}_ VALUES (1, REPEAT('y', 1000))",
                          "RENAME TABLE {0}_ TO {0}", "ALTER TABLE {0} ADD COLUMN n INT DEFAULT 7",
                          "ALTER TABLE {0} FORCE"})
                        connection->execute(fmt::format(fmt::runtime(statement), name, engine));
                }
        });
        while (rounds < 10) std::this_thread::yield();
        try {
            tree = store(repo, {.login = source.login()});
        } catch (const Error& error) {
            return error;
        }
    }
    storage::TestFolder folder;
    std::string data = restore(repo, tree, folder / "restored");
    prepare({.data_dir = data, .user = "root"});
    ScratchServer copy({.data_dir = data});
    auto connection = copy.connect("a");
    size_t tables = 0;
    for (const sql::Row& row : connection->query("SHOW TABLES")) {
        for (const sql::Row& verdict : connection->query("CHECK TABLE " + sql::quote_name(*row[0])))
            EXPECT_EQ(verdict[3], "OK") << *row[0];
        ++tables;
    }
    EXPECT_GE(tables, 9 * engines.size());
    return std::nullopt;
}

// The tool then sends files again, renames and deletes what it has sent.
TEST(PhysicalBackupTest, TablesMayChangeMeanwhile) {
    std::optional<Error> failure = failure_while_tables_change({"InnoDB"});
    EXPECT_FALSE(failure) << failure->message();
}

// Some tables are lost then, by the tool of 10.11.19, of MyISAM seldom: which must be noticed.
TEST(PhysicalBackupTest, ATableThatTheToolLosesIsNoticed) {
    std::optional<Error> failure = failure_while_tables_change({"Aria", "MyISAM"});
    if (failure) {
        EXPECT_EQ(failure->kind(), ErrorKind::timeout) << failure->message();
        EXPECT_TRUE(is_temporary(failure->kind()));
    }
}

TEST(PhysicalBackupTest, ASecondBaseCostsAboutWhatChanged) {
    TestServer source;
    auto connection = source.connect();
    connection->execute("CREATE DATABASE a");
    connection->execute("CREATE TABLE a.t (id INT PRIMARY KEY, n INT, t TEXT)");
    connection->execute(
        "INSERT INTO a.t SELECT seq, 0, TO_BASE64(RANDOM_BYTES(600)) FROM a.seq_1_to_40000");
    // A clean stop writes every page: what the first base had from the log alone would be new to
    // the second.
    source.stop();
    source.start();
    connection = source.connect();
    MemoryRepo repo;
    store(repo, {.login = source.login(), .parallel = 2});
    uint64_t first = stored_bytes(repo);
    EXPECT_GT(first, 24u << 20);
    connection->execute("UPDATE a.t SET n = 1 WHERE id BETWEEN 1000 AND 1100");
    store(repo, {.login = source.login(), .parallel = 2});
    EXPECT_LT(stored_bytes(repo) - first, 4u << 20);
}

TEST(PhysicalBackupTest, AnIncrementalIsMergedIntoItsBase) {
    TestServer source;
    storage::TestFolder folder;
    auto connection = source.connect();
    make_nasty_schema(*connection);
    MemoryRepo repo;
    PhysicalResult full, second, third;
    Id full_tree = store(repo, {.login = source.login()}, &full);
    connection->execute("CREATE TABLE nasty.later (a INT PRIMARY KEY, b TEXT)");
    connection->execute("INSERT INTO nasty.later SELECT seq, seq FROM nasty.seq_1_to_5000");
    // A clean stop writes every page: the next base starts at a later LSN.
    source.stop();
    source.start();
    connection = source.connect();
    PhysicalOptions incremental{.login = source.login(), .since = {full.base}};
    Id second_tree = store(repo, incremental, &second);
    EXPECT_EQ(second.base.from_lsn, full.base.to_lsn);
    EXPECT_GT(second.base.to_lsn, full.base.to_lsn);
    EXPECT_LT(second.bytes, full.bytes);
    connection->execute("DROP TABLE nasty.later");
    connection->execute("CREATE TABLE nasty.last AS SELECT seq FROM nasty.seq_1_to_300");
    incremental.since = {full.base, second.base};
    Id third_tree = store(repo, incremental, &third);

    std::string data = restore(repo, full_tree, folder / "full");
    std::string d2 = restore(repo, second_tree, folder / "2");
    std::string d3 = restore(repo, third_tree, folder / "3");
    EXPECT_THROW(prepare({.data_dir = d2}), Error);  // no full base
    prepare({.data_dir = data, .incremental_dirs = {d2, d3}, .user = "root"});
    ScratchServer copy({.data_dir = data});
    EXPECT_EQ(checksums(*copy.connect()), checksums(*connection));
    copy.stop();
    // A gap in the chain is refused.
    data = restore(repo, full_tree, folder / "again");
    d3 = restore(repo, third_tree, folder / "3again");
    try {
        prepare({.data_dir = data, .incremental_dirs = {d3}, .user = "root"});
        ADD_FAILURE() << "prepared";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::corrupt) << error.message();
    }
}

TEST(PhysicalBackupTest, WhatGoesWrongIsAnErrorAndNeverABase) {
    TestServer source;
    storage::TestFolder folder;
    source.run("CREATE USER weak@localhost IDENTIFIED BY 'pa\"ss#\\\\w'");
    sql::MariadbOptions weak = source.login("weak");
    weak.password = Secret("wrong");
    EXPECT_EQ(failure_of({.login = weak}).kind(), ErrorKind::permission);
    weak.password = Secret("pa\"ss#\\w");
    Error rights = failure_of({.login = weak});
    EXPECT_EQ(rights.kind(), ErrorKind::permission) << rights.message();
    EXPECT_THAT(rights.hint(), HasSubstr("BINLOG MONITOR"));

    Error cut = failure_of({.login = source.login(),
                            .tool = script(folder, "mariadb-backup \"$@\" | head -c 3000000")});
    EXPECT_EQ(cut.kind(), ErrorKind::corrupt) << cut.message();
    Error killed =
        failure_of({.login = source.login(),
                    .tool = script(folder, "mariadb-backup \"$@\" | head -c 3000000; kill -9 $$")});
    EXPECT_EQ(killed.kind(), ErrorKind::io) << killed.message();
    EXPECT_THAT(killed.message(), HasSubstr("killed by signal 9"));
    Error silent = failure_of(
        {.login = source.login(), .tool = script(folder, "mariadb-backup \"$@\" 2>/dev/null")});
    EXPECT_EQ(silent.kind(), ErrorKind::io) << silent.message();
    Error changed = failure_of(
        {.login = source.login(),
         .tool = script(folder, "mariadb-backup \"$@\" | sed 's/mariadb-backup/mariadb-backuq/'")});
    EXPECT_EQ(changed.kind(), ErrorKind::corrupt) << changed.message();

    os::write_file_atomically(
        folder / "old", as_bytes("#!/bin/sh\necho based on MariaDB server 10.6.1-MariaDB x\n"),
        0755);
    EXPECT_EQ(failure_of({.login = source.login(), .tool = folder / "old"}).kind(),
              ErrorKind::unsupported);
    EXPECT_EQ(failure_of({.login = source.login(), .tool = folder / "none"}).kind(),
              ErrorKind::not_found);
    std::string path = std::getenv("PATH");
    setenv("PATH", "/nonexistent", 1);
    Error missing = failure_of({.login = source.login()});
    setenv("PATH", path.c_str(), 1);
    EXPECT_EQ(missing.kind(), ErrorKind::not_found);
    EXPECT_THAT(missing.hint(), HasSubstr("mariadb-backup"));
    EXPECT_EQ(failure_of({.login = source.login(), .temporary_folder = "/nonexistent"}).kind(),
              ErrorKind::not_found);
}

TEST(PhysicalBackupTest, StopsWhenAskedAndWhenTheServerDies) {
    TestServer source;
    Progress progress;
    std::stop_source stop;
    // One read a second, so that it is in the middle for long.
    PhysicalOptions options{.login = source.login(),
                            .parallel = 1,
                            .tool_arguments = {"--throttle=1"},
                            .progress = &progress,
                            .stop = stop.get_token()};
    auto when_under_way = [&](const std::function<void()>& act) {
        progress.bytes_done = 0;
        return std::jthread([&, act](std::stop_token end) {
            while (progress.bytes_done == 0 && !end.stop_requested()) std::this_thread::yield();
            act();
        });
    };
    {
        auto stopper = when_under_way([&] { stop.request_stop(); });
        EXPECT_EQ(failure_of(options).kind(), ErrorKind::interrupted);
    }
    options.stop = {};
    auto killer = when_under_way([&] { source.kill(); });
    Error died = failure_of(options);
    EXPECT_EQ(died.kind(), ErrorKind::io) << died.message();
}

}  // namespace
}  // namespace sevenfold::database::mariadb
