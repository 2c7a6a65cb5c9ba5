#include "database/mariadb/replay/replay.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "core/random.h"
#include "database/mariadb/source/source.h"
#include "database/testing/binlogs.h"
#include "os/file.h"

namespace sevenfold::database::mariadb {
namespace {

using source::Stop;

TestServerOptions big_packets(uint32_t server_id, bool binlog = true) {
    return {.arguments = {"--max-allowed-packet=64M", "--innodb-log-file-size=128M"},
            .server_id = server_id,
            .binlog = binlog,
            .tcp = binlog};
}

class ReplayTest : public testing::Test {
  protected:
    // From an empty server on, unless said otherwise.
    ReplayResult run(const TestServer& target, const LogArchive& archive,
                     const source::PlanOptions& plan = {}) {
        options.archive = &archive;
        options.plan = plan;
        options.patience = std::chrono::seconds(30);
        return replay(options, target.login());
    }
    static std::string value(const TestServer& server, const std::string& statement) {
        return server.connect()->value(statement).value_or("NULL");
    }

    storage::TestFolder folder;
    ReplayOptions options;
};

class ReplayedWorkload : public ReplayTest {
  protected:
    void SetUp() override {
        run_workload(origin, {});
        auto connection = origin.connect("load");
        connection->execute("CREATE TABLE big (id INT PRIMARY KEY, data LONGBLOB)");
        connection->execute("INSERT INTO big VALUES (1, REPEAT('x', 17 * 1024 * 1024))");
        // A packet that is full to the last byte is followed by an empty one.
        for (int i = 0; i < 3; ++i)
            connection->execute(fmt::format("INSERT INTO big VALUES ({}, REPEAT('y', {}))", i + 2,
                                            0xffffff - 60 + i * 7));
        run_workload(origin, {.transactions = 40, .seed = 2});
        archive = archive_binlogs(origin, folder / "log");
    }

    // What the target must be: the same by the origin's own replication.
    std::unique_ptr<TestServer> oracle(const std::string& until) {
        auto server = std::make_unique<TestServer>(big_packets(77, false));
        auto connection = server->connect();
        connection->execute(
            fmt::format("CHANGE MASTER TO master_host='127.0.0.1', master_port={}, "
                        "master_user='replica', master_password='secret', "
                        "master_use_gtid=slave_pos",
                        origin.port()));
        connection->execute(fmt::format("START SLAVE UNTIL master_gtid_pos='{}'", until));
        EXPECT_EQ(connection->value(fmt::format("SELECT MASTER_GTID_WAIT('{}', 60)", until)), "0");
        return server;
    }

    void let_replicas_in() {
        auto connection = origin.connect();
        connection->execute("SET sql_log_bin=0");
        connection->execute("GRANT REPLICATION SLAVE ON *.* TO replica@'%' IDENTIFIED BY 'secret'");
    }

    TestServer origin{big_packets(1)};
    std::unique_ptr<LogArchive> archive;
};

TEST_F(ReplayedWorkload, EndsAsTheOrigin) {
    TestServer target(big_packets(99, false));
    unsigned reports = 0;
    options.progress = [&](const ReplayProgress& progress) {
        ++reports;
        EXPECT_LE(progress.transactions, progress.transactions_total);
    };
    ReplayResult result = run(target, *archive);
    EXPECT_EQ(result.reached.display(), value(origin, "SELECT @@gtid_binlog_pos"));
    EXPECT_EQ(checksums(target), checksums(origin));
    EXPECT_GT(archive->segments().size(), 4u);
    EXPECT_GT(result.transactions, 1500u);
    EXPECT_GT(result.bytes, 60u << 20);
    EXPECT_GT(reports, 0u);
    EXPECT_EQ(value(target, "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit"), "1");
    EXPECT_EQ(value(target, "SELECT @@GLOBAL.slave_parallel_threads"), "0");
    EXPECT_TRUE(target.connect()->query("SHOW ALL SLAVES STATUS").empty());
    // Once more has nothing to do.
    options.resume = true;
    EXPECT_EQ(replay(options, target.login()).transactions, 0u);
}

// The other way to replay, through one client. Only printed: machines differ.
TEST_F(ReplayedWorkload, EndsAsTheClientsReplay) {
    TestServer piped(big_packets(98, false)), target(big_packets(99, false));
    auto begin = std::chrono::steady_clock::now();
    std::string command = "mariadb-binlog --no-defaults " + (folder / "log/0001-a/bin.0*") +
                          " | mariadb --no-defaults --max-allowed-packet=64M -u root -S " +
                          piped.socket();
    os::CommandOutput output = os::run_command({.argv = {"bash", "-o", "pipefail", "-c", command}});
    ASSERT_TRUE(output.status.ok()) << output.errors;
    double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    ReplayResult result = run(target, *archive);
    EXPECT_EQ(checksums(target), checksums(piped));
    fmt::print("{} transactions: one client {:.2f} s, replay {:.2f} s\n", result.transactions,
               seconds, result.seconds);
}

TEST_F(ReplayedWorkload, StopsWhereTheOriginsReplicaStops) {
    let_replicas_in();
    SplitMix64 random(std::random_device{}());
    uint64_t last = std::stoull(value(origin, "SELECT SUBSTRING_INDEX(@@gtid_binlog_pos,'-',-1)"));
    for (int i = 0; i < 3; ++i) {
        Gtid stop{0, 1, 2 + random.below(last - 2)};
        SCOPED_TRACE(stop.display());
        TestServer target(big_packets(99, false));
        ReplayResult result = run(target, *archive, {.stop = {Stop::Where::after, stop}});
        EXPECT_EQ(result.reached.display(), stop.display());
        EXPECT_EQ(result.transactions, stop.sequence);
        EXPECT_EQ(checksums(target), checksums(*oracle(stop.display())));
        // The rest, from there on.
        ReplayOptions rest = options;
        rest.plan = {.start = result.reached};
        EXPECT_EQ(replay(rest, target.login()).transactions, last - stop.sequence);
        EXPECT_EQ(checksums(target), checksums(origin));
    }
}

TEST_F(ReplayedWorkload, GoesOnAfterTheTargetWasKilled) {
    TestServer target(big_packets(99, false));
    SplitMix64 random(std::random_device{}());
    unsigned kills = 0;
    uint64_t until = 0;
    options.window_bytes = 1 << 20;
    options.progress = [&](const ReplayProgress& progress) {
        if (kills < 3 && progress.transactions > until) {
            ++kills;
            until += 1 + random.below(100);
            target.kill();
        }
    };
    for (;;) {
        try {
            run(target, *archive);
            break;
        } catch (const Error& error) {
            ASSERT_FALSE(target.running()) << error.message();
            target.start();
            options.resume = true;
            until = 0;
        }
    }
    EXPECT_EQ(kills, 3u);
    EXPECT_EQ(checksums(target), checksums(origin));
    EXPECT_EQ(value(target, "SELECT @@gtid_slave_pos"), value(origin, "SELECT @@gtid_binlog_pos"));
}

TEST_F(ReplayTest, AppliesIndependentDomainsAlsoAfterAKill) {
    TestServer origin;
    run_workload(origin, {.domains = 3});
    auto archive = archive_binlogs(origin, folder / "log");
    TestServer target({.server_id = 99, .binlog = false});
    bool killed = false;
    options.progress = [&](const ReplayProgress& progress) {
        if (!std::exchange(killed, true) && progress.transactions > 0) target.kill();
    };
    options.window_bytes = 50 << 10;
    try {
        run(target, *archive);
    } catch (const Error& error) {
        ASSERT_FALSE(target.running()) << error.message() << "\n" << error.hint();
        target.start();
        options.resume = true;
        run(target, *archive);
    }
    EXPECT_EQ(checksums(target), checksums(origin));
    EXPECT_EQ(value(target, "SELECT @@gtid_slave_pos"), value(origin, "SELECT @@gtid_binlog_pos"));
}

// A copy of a stopped server, which brings the replication that server had.
TEST_F(ReplayTest, StartsFromACopyOfTheServersFolder) {
    namespace fs = std::filesystem;
    TestServer origin;
    run_workload(origin, {.writers = 2, .transactions = 50});
    origin.run("CHANGE MASTER 'old' TO master_host='192.0.2.1', master_user='nobody'");
    std::string base = value(origin, "SELECT @@gtid_binlog_pos");
    origin.stop();
    fs::copy(origin.data_dir(), folder / "copy", fs::copy_options::recursive);
    origin.start();
    run_workload(origin, {.writers = 2, .transactions = 50, .seed = 2});
    for (const auto& entry : fs::directory_iterator(folder / "copy"))
        if (entry.path().filename().string().starts_with("bin.")) fs::remove(entry.path());
    auto archive = archive_binlogs(origin, folder / "log");
    TestServer target({.arguments = {"--skip-slave-start"},
                       .server_id = 99,
                       .binlog = false,
                       .data_dir = folder / "copy"});
    ReplayResult result = run(target, *archive, {.start = Position::parse(base)});
    EXPECT_EQ(result.reached.display(), value(origin, "SELECT @@gtid_binlog_pos"));
    EXPECT_EQ(checksums(target), checksums(origin));
    EXPECT_TRUE(target.connect()->query("SHOW ALL SLAVES STATUS").empty());
}

// The server dies while it writes; what it had not written whole never happened.
TEST_F(ReplayTest, LeavesOutWhatACrashTore) {
    TestServer origin;
    auto connection = origin.connect();
    connection->execute("CREATE DATABASE shop");
    connection->execute("CREATE TABLE shop.item (id INT PRIMARY KEY) ENGINE=Aria");
    connection->execute("INSERT INTO shop.item VALUES (1)");
    connection->execute("INSERT INTO shop.item VALUES (2)");
    origin.kill();
    std::string log = origin.data_dir() + "/bin.000001";
    std::filesystem::resize_file(log, std::filesystem::file_size(log) - 20);
    origin.start();
    origin.run("REPLACE INTO shop.item VALUES (3)");
    auto archive = archive_binlogs(origin, folder / "log");
    TestServer target({.server_id = 99, .binlog = false});
    ReplayResult result = run(target, *archive);
    EXPECT_EQ(result.reached.display(), "0-1-4");
    EXPECT_EQ(result.transactions, 4u);
    EXPECT_EQ(value(target, "SELECT GROUP_CONCAT(id) FROM shop.item"), "1,3");
}

TEST_F(ReplayTest, SaysWhatHoldsItUp) {
    TestServer origin;
    run_workload(origin, {.writers = 1, .transactions = 20, .ddl = false});
    auto archive = archive_binlogs(origin, folder / "log");
    TestServer target({.server_id = 99, .binlog = false});
    options.archive = archive.get();
    options.plan.stop = {Stop::Where::after, {0, 1, 5}};
    replay(options, target.login());
    options.plan = {.start = Position::parse("0-1-5")};
    auto locker = target.connect("load");
    locker->execute("LOCK TABLES t0 READ, t1 READ, t2 READ, t3 READ");
    options.allowed.clients = true;
    options.patience = std::chrono::seconds(2);
    try {
        replay(options, target.login());
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::timeout);
        EXPECT_NE(error.message().find("Waiting for table metadata lock"), std::string::npos)
            << error.message();
    }
    std::stop_source stop;
    options.cancel = stop.get_token();
    options.progress = [&](const ReplayProgress&) { stop.request_stop(); };
    try {
        replay(options, target.login());
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::interrupted);
    }
    locker.reset();
    options.cancel = {};
    EXPECT_GT(replay(options, target.login()).transactions, 5u);
    EXPECT_EQ(checksums(target), checksums(origin));
}

TEST_F(ReplayTest, LeavesOutAndReplaces) {
    TestServer origin;
    auto connection = origin.connect();
    connection->execute("CREATE DATABASE shop");                                       // 0-1-1
    connection->execute("CREATE TABLE shop.item (id INT PRIMARY KEY, name TEXT)");     // 2
    connection->execute("INSERT INTO shop.item VALUES (1, 'a'), (2, 'b'), (3, 'c')");  // 3
    connection->execute("DELETE FROM shop.item");                                      // 4
    connection->execute("INSERT INTO shop.item VALUES (4, 'd')");                      // 5
    connection->execute("CREATE TABLE shop.other (id INT PRIMARY KEY)");               // 6
    connection->execute("DROP TABLE shop.other");                                      // 7
    connection->execute("INSERT INTO shop.item VALUES (5, 'e')");                      // 8
    connection->execute("INSERT INTO shop.item VALUES (6, 'f')");                      // 9
    auto archive = archive_binlogs(origin, folder / "log");
    source::PlanOptions plan;
    plan.drop = {{0, 1, 4}, {0, 1, 7}};
    plan.replace[{0, 1, 8}] = {
        {"INSERT INTO item VALUES (50, 'é')", "UPDATE item SET name=CONCAT(name, '!') WHERE id=1"},
        "shop"};
    plan.replace[{0, 1, 9}] = {{"ALTER TABLE shop.other ADD COLUMN extra INT"}, ""};
    TestServer target({.server_id = 99, .binlog = false});
    ReplayResult result = run(target, *archive, plan);
    EXPECT_EQ(result.reached.display(), "0-1-9");
    EXPECT_EQ(result.transactions, 9u);
    EXPECT_EQ(result.edited.size(), 4u);
    EXPECT_EQ(value(target, "SELECT GROUP_CONCAT(id, name ORDER BY id) FROM shop.item"),
              "1a!,2b,3c,4d,50é");
    EXPECT_EQ(value(target, "SELECT COUNT(extra) FROM shop.other"), "0");
    plan.drop.insert({0, 1, 10});
    EXPECT_THROW(source::make_plan(*archive, plan), Error);
}

TEST_F(ReplayTest, AHalfOfAnXaTransactionTakesTheOtherWithIt) {
    TestServer origin;
    auto connection = origin.connect();
    connection->execute("CREATE DATABASE shop");
    connection->execute("CREATE TABLE shop.item (id INT PRIMARY KEY)");
    for (int i = 1; i <= 3; ++i) {
        connection->execute(fmt::format("XA START 'x{}','b',7", i));
        connection->execute(fmt::format("INSERT INTO shop.item VALUES ({})", i));
        connection->execute(fmt::format("XA END 'x{}','b',7", i));
        connection->execute(fmt::format("XA PREPARE 'x{}','b',7", i));  // 0-1-3, 5, 7
        connection->execute(fmt::format("XA COMMIT 'x{}','b',7", i));   // 0-1-4, 6, 8
    }
    auto archive = archive_binlogs(origin, folder / "log");
    TestServer target({.server_id = 99, .binlog = false});
    ReplayResult result = run(target, *archive, {.drop = {{0, 1, 3}, {0, 1, 8}}});
    EXPECT_EQ(result.edited, (std::set<Gtid>{{0, 1, 3}, {0, 1, 4}, {0, 1, 8}}));
    EXPECT_EQ(value(target, "SELECT GROUP_CONCAT(id) FROM shop.item"), "2");
    EXPECT_TRUE(target.connect()->query("XA RECOVER").empty());
}

TEST_F(ReplayTest, ReportsWhatCannotBeApplied) {
    TestServer origin;
    auto connection = origin.connect();
    connection->execute("CREATE DATABASE shop");
    connection->execute("CREATE TABLE shop.item (id INT PRIMARY KEY)");
    connection->execute("INSERT INTO shop.item VALUES (1)");  // 0-1-3
    auto archive = archive_binlogs(origin, folder / "log");
    connection->execute("INSERT INTO shop.item VALUES (2)");
    connection->execute("INSERT INTO shop.item VALUES (3)");
    auto longer = archive_binlogs(origin, folder / "log");
    TestServer target({.server_id = 99, .binlog = false});
    run(target, *archive);
    target.run("INSERT INTO shop.item VALUES (2)");
    options.plan.start = Position::parse("0-1-3");
    try {
        run(target, *longer, options.plan);
        FAIL();
    } catch (const ApplierError& error) {
        EXPECT_EQ(error.number, 1062u) << error.message();
        ASSERT_TRUE(error.transaction) << error.message();
        EXPECT_EQ(error.transaction->display(), "0-1-4");
        EXPECT_EQ(error.table, "shop.item");
    }
    EXPECT_EQ(value(target, "SELECT @@gtid_slave_pos"), "0-1-3");
    options.skip_if_failing = {{0, 1, 4}};
    ReplayResult result = run(target, *longer, options.plan);
    EXPECT_EQ(result.skipped.size(), 1u);
    EXPECT_EQ(result.reached.display(), "0-1-5");
    EXPECT_EQ(value(target, "SELECT GROUP_CONCAT(id) FROM shop.item"), "1,2,3");
}

TEST_F(ReplayTest, RefusesTargetsThatAreInUse) {
    TestServer origin;
    origin.run("CREATE DATABASE shop");
    auto archive = archive_binlogs(origin, folder / "log");
    auto refusal = [&](const TestServer& target) -> std::string {
        try {
            run(target, *archive);
            return "nothing";
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::refused);
            return error.message();
        }
    };
    EXPECT_EQ(refusal(origin),
              "the target server has server_id 1, which ran archived transactions");
    TestServer own({.server_id = 5});
    own.run("CREATE DATABASE mine");
    EXPECT_EQ(refusal(own), "the target server has executed transactions of its own, up to 0-5-1");
    TestServer filtered({.arguments = {"--replicate-do-db=x"}, .server_id = 5, .binlog = false});
    EXPECT_EQ(refusal(filtered), "the target server has replicate_do_db set");
    TestServer target({.server_id = 1, .binlog = false});
    {
        auto client = target.connect();
        EXPECT_EQ(refusal(target).substr(0, 42), "the target server has other clients: root@");
    }
    target.run("SET GLOBAL event_scheduler=ON");
    EXPECT_EQ(refusal(target), "the target server runs events");
    target.run("SET GLOBAL event_scheduler=OFF");
    target.run("SET GLOBAL gtid_slave_pos='0-1-5'");
    options.allowed.server_id = true;
    EXPECT_EQ(refusal(target), "the target server is at 0-1-5, the base at ");
    options.allowed.position = true;
    EXPECT_EQ(run(target, *archive).reached.display(), "0-1-1");
    EXPECT_EQ(value(target, "SELECT @@GLOBAL.server_id"), "1");
}

}  // namespace
}  // namespace sevenfold::database::mariadb
