#include "database/mariadb/source/source.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <filesystem>
#include <thread>

#include "core/random.h"
#include "database/mariadb/source/wire.h"
#include "database/testing/binlogs.h"
#include "os/file.h"

namespace sevenfold::database::mariadb::source {
namespace {

using std::chrono::milliseconds;

os::UniqueFd dial(uint16_t port) {
    os::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        throw errno_error("connect");
    return fd;
}

template <class Condition>
bool eventually(Condition condition) {
    for (int i = 0; i < 600; ++i) {
        if (condition()) return true;
        ::poll(nullptr, 0, 50);
    }
    return false;
}

class SourceTest : public testing::Test {
  protected:
    void connect(const TestServer& target, const ReplicationSource& source,
                 const std::string& more = {}) {
        target.run(fmt::format(
            "CHANGE MASTER TO master_host='127.0.0.1', master_port={}, master_user='{}', "
            "master_password='{}', master_use_gtid=slave_pos, master_connect_retry=1{}",
            source.port(), source.user(), source.password().reveal(), more));
        target.run("START SLAVE");
    }
    std::string status(const TestServer& target) {
        std::string out;
        for (const auto& row : target.connect()->query("SHOW SLAVE STATUS"))
            for (const auto& field : row) out += field.value_or("NULL") + " | ";
        return out;
    }
    // Everything that the archive has reaches a new server.
    void expect_replicated(const LogArchive& archive, const TestServer& origin,
                           const PlanOptions& options = {}) {
        ReplicationSource source(archive, options);
        TestServer target(
            {.arguments = {"--slave-parallel-threads=4"}, .server_id = 99, .binlog = false});
        connect(target, source);
        EXPECT_EQ(target.connect()->value(fmt::format("SELECT MASTER_GTID_WAIT('{}', 30)",
                                                      source.plan().end.display())),
                  "0")
            << status(target);
        EXPECT_EQ(checksums(target), checksums(origin));
    }
    void fill(const TestServer& origin) {
        auto connection = origin.connect();
        connection->execute("CREATE DATABASE shop");
        connection->execute("CREATE TABLE shop.item (id INT PRIMARY KEY, name TEXT)");
        for (int i = 0; i < 20; ++i) {
            connection->execute(
                fmt::format("INSERT INTO shop.item VALUES ({}, REPEAT('name ', 100))", i));
            if (i % 8 == 5) connection->execute("FLUSH BINARY LOGS");
        }
    }

    storage::TestFolder folder;
};

TEST_F(SourceTest, ServesFilesWithoutChecksums) {
    TestServer origin({.arguments = {"--binlog-checksum=NONE"}});
    fill(origin);
    origin.run("SET GLOBAL binlog_checksum=CRC32");  // from the next file on
    origin.run("INSERT INTO shop.item VALUES (100, 'x')");
    PlanOptions options;
    options.replace[{0, 1, 22}] = {{"INSERT INTO shop.item VALUES (19, REPEAT('name ', 100))"}, ""};
    expect_replicated(*archive_binlogs(origin, folder / "log"), origin, options);
}

TEST_F(SourceTest, ServesCompressedAndStatementEvents) {
    TestServer origin({.arguments = {"--log-bin-compress=1", "--log-bin-compress-min-len=10",
                                     "--binlog-format=MIXED"}});
    fill(origin);
    auto connection = origin.connect("shop");
    connection->execute("SET @a='o''clock', @b=7");
    connection->execute("INSERT INTO item VALUES (200 + @b, CONCAT(@a, RAND()))");
    connection->execute("SET SESSION binlog_format=STATEMENT");
    connection->execute("UPDATE item SET name=CONCAT(name, @a) WHERE id < 10");
    connection->execute("CREATE TEMPORARY TABLE aside AS SELECT * FROM item WHERE id < 5");
    connection->execute("INSERT INTO item SELECT id+1000, name FROM aside");
    connection->execute("CREATE TABLE aria (id INT) ENGINE=Aria");
    connection->execute("INSERT INTO aria VALUES (1), (2)");
    expect_replicated(*archive_binlogs(origin, folder / "log"), origin);
}

TEST_F(SourceTest, ServesSeveralDomains) {
    TestServer origin;
    fill(origin);
    std::vector<std::jthread> writers;
    for (int domain = 1; domain <= 3; ++domain)
        writers.emplace_back([&origin, domain] {
            auto connection = origin.connect("shop");
            connection->execute(fmt::format("SET gtid_domain_id={}", domain));
            connection->execute(fmt::format("CREATE TABLE d{} (id INT PRIMARY KEY)", domain));
            for (int i = 0; i < 50; ++i) {
                connection->execute(fmt::format("INSERT INTO d{} VALUES ({})", domain, i));
                if (i == 20 + domain) connection->execute("FLUSH BINARY LOGS");
            }
        });
    writers.clear();
    auto archive = archive_binlogs(origin, folder / "log");
    EXPECT_EQ(make_plan(*archive, {}).end.display(), "0-1-22,1-1-51,2-1-51,3-1-51");
    expect_replicated(*archive, origin);
}

TEST_F(SourceTest, RefusesEncryptedFiles) {
    os::write_file_atomically(folder / "keys", as_bytes("1;" + std::string(64, 'a') + "\n"));
    TestServer origin({.arguments = {"--plugin-load-add=file_key_management",
                                     "--file-key-management-filename=" + (folder / "keys"),
                                     "--encrypt-binlog=1"}});
    fill(origin);
    auto archive = archive_binlogs(origin, folder / "log");
    try {
        make_plan(*archive, {});
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::unsupported);
        EXPECT_EQ(error.message(), "0001-a/bin.000001 at 256: the server encrypts its log files");
    }
}

TEST_F(SourceTest, StopsAtDamage) {
    TestServer origin;
    fill(origin);
    auto archive = archive_binlogs(origin, folder / "log");
    ReplicationSource early(*archive, {});  // damage comes after the plan
    std::string path = folder / "log/0001-a/bin.000002";
    Bytes content = os::read_file(path);
    size_t at = content.size() * 3 / 4;
    content[at] ^= 1;
    os::write_file_atomically(path, content);
    try {
        make_plan(*archive, {});
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::corrupt);
        EXPECT_TRUE(error.message().starts_with("0001-a/bin.000002 at ")) << error.message();
    }
    EXPECT_EQ(make_plan(*archive, {.stop = {Stop::Where::after, {0, 1, 9}}}).transactions, 9u);
    TestServer target({.server_id = 99, .binlog = false});
    connect(target, early);
    ASSERT_TRUE(eventually([&] { return early.failure().has_value(); })) << status(target);
    EXPECT_NE(early.failure()->message().find("bin.000002 at "), std::string::npos);
    EXPECT_TRUE(eventually([&] {
        return status(target).find("bin.000002 at ") != std::string::npos;
    })) << status(target);
    EXPECT_LT(early.stats().last->sequence, 17u);
}

TEST_F(SourceTest, NamesGapsInTheLog) {
    TestServer origin;
    fill(origin);
    auto archive = archive_binlogs(origin, folder / "log");
    auto message = [](auto action) -> std::string {
        try {
            action();
            return "nothing";
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::refused);
            return error.message();
        }
    };
    EXPECT_EQ(message([&] { make_plan(*archive, {.start = Position::parse("0-1-23")}); }),
              "the archived logs do not hold 0-1-23: they begin with the first transaction");
    EXPECT_EQ(message([&] { make_plan(*archive, {.start = Position::parse("0-2-7")}); }),
              "the archived logs do not hold 0-2-7: they begin with the first transaction");
    EXPECT_EQ(message([&] {
                  make_plan(*archive, {.start = Position::parse("0-1-7"),
                                       .stop = {Stop::Where::after, {0, 1, 5}}});
              }),
              "0-1-5 is not in the log between 0-1-7 and 0-1-7");
    EXPECT_EQ(make_plan(*archive, {.start = Position::parse("0-1-7"),
                                   .stop = {Stop::Where::before, {0, 1, 12}}})
                  .transactions,
              4u);
    std::filesystem::remove(folder / "log/0001-a/bin.000002");
    auto holed = open_log_folder(folder / "log");
    EXPECT_EQ(message([&] { make_plan(*holed, {}); }),
              "log 0001-a/bin.000003: begins after 0-1-16, but what is before it ends with 0-1-8");
    std::filesystem::remove(folder / "log/0001-a/bin.000001");
    auto late = open_log_folder(folder / "log");
    EXPECT_EQ(message([&] { make_plan(*late, {}); }),
              "log bin.000003 begins after 0-1-16, and nothing before it is archived");
}

// A server that was restored to a point in the first one's history goes on from there.
TEST_F(SourceTest, JoinsIncarnations) {
    TestServer first;
    fill(first);
    archive_binlogs(first, folder / "log", "0001-first");
    TestServer second({.server_id = 2});
    {
        auto archive = open_log_folder(folder / "log");
        ReplicationSource source(*archive, {.stop = {Stop::Where::after, {0, 1, 12}}});
        connect(second, source);
        ASSERT_EQ(second.connect()->value("SELECT MASTER_GTID_WAIT('0-1-12', 30)"), "0");
        second.run("STOP SLAVE");
    }
    second.run("INSERT INTO shop.item VALUES (500, 'second')");
    second.run("INSERT INTO shop.item VALUES (501, 'second')");
    auto archive = archive_binlogs(second, folder / "log", "0002-second");
    EXPECT_THROW(make_plan(*archive, {}), Error);
    PlanOptions options{.series = {{"0001-first", Gtid{0, 1, 12}}, {"0002-second", {}}}};
    Plan plan = make_plan(*archive, options);
    EXPECT_EQ(plan.end.display(), "0-2-14");
    EXPECT_EQ(plan.transactions, 14u);
    EXPECT_EQ(plan.servers, (std::set<uint32_t>{1, 2}));
    expect_replicated(*archive, second, options);
    options.start = Position::parse("0-2-13");
    EXPECT_EQ(make_plan(*archive, options).transactions, 1u);
}

TEST_F(SourceTest, FindsTheStateAtATime) {
    TestServer origin;
    auto connection = origin.connect();
    connection->execute("CREATE DATABASE shop");
    for (int second : {2000, 2001, 2001, 2005, 2003, 2006}) {
        connection->execute(fmt::format("SET timestamp={}", second));
        connection->execute(
            fmt::format("CREATE TABLE shop.t{} (id INT)", second * 10 + second % 7));
        connection->execute("CREATE OR REPLACE TABLE shop.t (id INT)");
        if (second == 2001) connection->execute("DROP TABLE shop.t20016");
    }
    auto archive = archive_binlogs(origin, folder / "log");
    PlanOptions from{.start = Position::parse("0-1-1")};
    PositionAtTime before = position_at(*archive, from, {.seconds = 1999});
    EXPECT_EQ(before.position.display(), "0-1-1");
    EXPECT_FALSE(before.last);
    PositionAtTime at = position_at(*archive, from, {.seconds = 2004});
    EXPECT_EQ(at.position.display(), "0-1-9");
    EXPECT_EQ(at.late, 2u);
    EXPECT_EQ(position_at(*archive, from, {.seconds = 3000}).position.display(), "0-1-15");
}

TEST_F(SourceTest, KeepsAnIdleReplicaAndFollowsItsWindow) {
    TestServer origin;
    run_workload(origin, {.writers = 2, .transactions = 1500, .ddl = false});
    auto archive = archive_binlogs(origin, folder / "log");
    ReplicationSource source(*archive, {}, 300 << 10);
    TestServer target({.server_id = 99, .binlog = false});
    connect(target, source, ", master_heartbeat_period=0.2");
    std::string end = source.plan().end.display();
    // Nothing tells the source what was applied: it stops where the window ends.
    ASSERT_TRUE(eventually([&] { return source.stats().bytes > 200 << 10; }))
        << source.stats().bytes << status(target);
    EXPECT_EQ(target.connect()->value(fmt::format("SELECT MASTER_GTID_WAIT('{}', 1)", end)), "-1");
    EXPECT_LT(source.stats().bytes, source.plan().bytes);
    auto connection = target.connect();
    ASSERT_TRUE(eventually([&] {
        source.applied(Position::parse(*connection->value("SELECT @@gtid_slave_pos")));
        return connection->value("SELECT @@gtid_slave_pos") == end;
    })) << status(target);
    uint64_t beats =
        std::stoull(*connection->query("SHOW STATUS LIKE 'Slave_received_heartbeats'").at(0).at(1));
    EXPECT_TRUE(eventually([&] {
        return std::stoull(
                   *connection->query("SHOW STATUS LIKE 'Slave_received_heartbeats'").at(0).at(1)) >
               beats + 3;
    }));
    EXPECT_EQ(source.stats().dumps, 1u);
    EXPECT_EQ(checksums(target), checksums(origin));
}

TEST_F(SourceTest, LetsNobodyElseIn) {
    TestServer origin;
    fill(origin);
    auto archive = archive_binlogs(origin, folder / "log");
    ReplicationSource source(*archive, {});
    sql::MariadbOptions login{.host = "127.0.0.1",
                              .port = source.port(),
                              .user = source.user(),
                              .password = Secret("wrong")};
    EXPECT_THROW(sql::MariadbConnection{login}, sql::ServerError);
    login.password = source.password();
    EXPECT_EQ(sql::MariadbConnection(login).value("SELECT @@GLOBAL.server_id"),
              fmt::to_string(source.server_id()));
    login.user = "root";
    EXPECT_THROW(sql::MariadbConnection{login}, sql::ServerError);
    EXPECT_FALSE(source.failure());
    TestServer target({.server_id = 99, .binlog = false});
    connect(target, source, ", master_password='wrong'");
    EXPECT_TRUE(eventually([&] {
        return status(target).find("access denied") != std::string::npos;
    })) << status(target);
}

TEST_F(SourceTest, SurvivesGarbage) {
    TestServer origin;
    fill(origin);
    auto archive = archive_binlogs(origin, folder / "log");
    ReplicationSource source(*archive, {});
    uint64_t seed = std::random_device{}();
    SCOPED_TRACE(seed);
    SplitMix64 random(seed);
    for (int i = 0; i < 300; ++i) {
        os::UniqueFd fd = dial(source.port());
        Bytes bytes(random.below(300));
        for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.next());
        if (random.below(2) == 0 && bytes.size() > 4) {  // a packet of the right length
            put_le32(bytes.data(), static_cast<uint32_t>(bytes.size() - 4));
            bytes[3] = 1;
        }
        (void)::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }
    // Clients that say nothing do not keep a replica out for long.
    std::vector<os::UniqueFd> silent;
    for (int i = 0; i < 8; ++i) silent.push_back(dial(source.port()));
    TestServer target({.server_id = 99, .binlog = false});
    connect(target, source);
    EXPECT_EQ(target.connect()->value("SELECT MASTER_GTID_WAIT('0-1-22', 30)"), "0")
        << status(target);
}

}  // namespace
}  // namespace sevenfold::database::mariadb::source
