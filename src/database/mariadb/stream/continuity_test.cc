// Whatever the server does to its logs: nothing false is stored, no gap goes unnoticed.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>

#include "database/mariadb/binlog/reader.h"
#include "database/mariadb/stream/receiver.h"
#include "database/testing/binlogs.h"
#include "database/testing/running_receiver.h"
#include "os/file.h"

namespace sevenfold::database::mariadb {
namespace {

using namespace std::chrono_literals;

struct Continuity : testing::Test {
    storage::TestFolder folder;
    std::string spool = folder / "spool";
    std::mutex mutex;
    std::vector<StreamGap> gaps;
    ReceiverCallbacks callbacks{.on_gap = [this](const StreamGap& gap) {
        std::lock_guard lock(mutex);
        gaps.push_back(gap);
    }};

    bool received(const RunningReceiver& receiver, const TestServer& server) {
        return eventually([&] { return receiver.has_all_of(server); });
    }
    size_t gap_count() {
        std::lock_guard lock(mutex);
        return gaps.size();
    }
};

// The time in a file's format description has whole seconds.
void next_second() {
    time_t begun = time(nullptr);
    eventually([&] { return time(nullptr) > begun; });
}

TEST_F(Continuity, ResetMasterBeginsAnIncarnation) {
    TestServer server;
    server.run("CREATE DATABASE a");
    RunningReceiver receiver(receiver_options(server, spool), callbacks);
    ASSERT_TRUE(received(receiver, server));
    std::string before = receiver.state().gtid;
    server.run("RESET MASTER");
    ASSERT_TRUE(eventually([&] { return gap_count() == 1; })) << receiver.state().reason;
    server.run("CREATE DATABASE b");
    ASSERT_TRUE(received(receiver, server));
    auto db = server.connect();
    db->execute("RESET MASTER");
    db->execute("CREATE DATABASE longer_than_b");
    ASSERT_TRUE(eventually([&] { return gap_count() == 2; })) << receiver.state().reason;
    ASSERT_TRUE(received(receiver, server));
    receiver.stop();
    EXPECT_EQ(gaps[0].from_gtid, before);
    EXPECT_EQ(gaps[0].to_gtid, "");
    auto incarnations = spool_incarnations(spool);
    ASSERT_EQ(incarnations.size(), 3u);
    EXPECT_EQ(gaps[0].incarnation, incarnations[1]);
    EXPECT_EQ(compare_with_server(server, spool, incarnations[2]), "");
    EXPECT_EQ(load_state(spool)->gaps, gaps);
}

// The same numbers of transactions in files of the same names and lengths: another history.
TEST_F(Continuity, ResetMasterWhileAwayIsNoticedByTheFilesThemselves) {
    TestServer server;
    auto options = receiver_options(server, spool);
    {
        RunningReceiver receiver(options, callbacks);
        server.run("CREATE DATABASE a");
        ASSERT_TRUE(received(receiver, server));
    }
    next_second();
    server.run("RESET MASTER");
    server.run("CREATE DATABASE b");
    RunningReceiver receiver(options, callbacks);
    ASSERT_TRUE(eventually([&] { return gap_count() == 1; })) << receiver.state().reason;
    ASSERT_TRUE(received(receiver, server));
    EXPECT_EQ(spool_incarnations(spool).size(), 2u);
}

TEST_F(Continuity, PurgedFilesAreAGap) {
    TestServer server;
    auto options = receiver_options(server, spool);
    {
        RunningReceiver receiver(options, callbacks);
        server.run("CREATE DATABASE a");
        ASSERT_TRUE(received(receiver, server));
    }
    server.run("CREATE DATABASE b");
    server.run("FLUSH BINARY LOGS");
    server.run("CREATE DATABASE c");
    server.run("FLUSH BINARY LOGS");
    server.run("CREATE DATABASE e");
    // Files that a checkpoint still needs are not purged.
    ASSERT_TRUE(eventually([&] {
        server.run("PURGE BINARY LOGS TO 'bin.000003'");
        return !std::filesystem::exists(server.data_dir() + "/bin.000002");
    }));
    RunningReceiver receiver(options, callbacks);
    ASSERT_TRUE(eventually([&] { return gap_count() == 1; })) << receiver.state().reason;
    ASSERT_TRUE(received(receiver, server));
    receiver.stop();
    EXPECT_EQ(gaps[0].from_gtid, "0-1-1");
    EXPECT_EQ(gaps[0].to_gtid, "0-1-3");
    auto incarnations = spool_incarnations(spool);
    ASSERT_EQ(incarnations.size(), 2u);
    EXPECT_EQ(compare_with_server(server, spool, incarnations[1]), "");
}

TEST_F(Continuity, AnotherServerInItsPlace) {
    auto server = std::make_unique<TestServer>();
    auto options = receiver_options(*server, spool);
    {
        RunningReceiver receiver(options, callbacks);
        server->run("CREATE DATABASE a");
        ASSERT_TRUE(received(receiver, *server));
    }
    next_second();
    server = std::make_unique<TestServer>();
    options.connection = server->login();
    server->run("CREATE DATABASE a");
    RunningReceiver receiver(options, callbacks);
    ASSERT_TRUE(eventually([&] { return gap_count() == 1; })) << receiver.state().reason;
    ASSERT_TRUE(received(receiver, *server));
}

TEST_F(Continuity, TornTailsAreReceivedAgain) {
    TestServer server;
    auto options = receiver_options(server, spool);
    for (int round = 0; round < 4; ++round) {
        {
            RunningReceiver receiver(options, callbacks);
            server.run("CREATE DATABASE a" + std::to_string(round));
            server.run("CREATE DATABASE b" + std::to_string(round));
            ASSERT_TRUE(received(receiver, server)) << round << receiver.state().reason;
        }
        std::string incarnation = spool_incarnations(spool).at(0);
        std::string file = spool + "/" + incarnation + "/" + spool_files(spool, incarnation).back();
        auto size = std::filesystem::file_size(file);
        if (round == 0) std::filesystem::resize_file(file, size - 10);    // half an event
        if (round == 1) std::filesystem::resize_file(file, size + 4096);  // zeros
        if (round == 2) {                                                 // damage
            Bytes bytes = os::read_file(file);
            bytes[size - 40] ^= 0x10;
            os::write_file_atomically(file, bytes);
        }
        if (round == 3) std::filesystem::resize_file(file, 11);  // not even the head
    }
    EXPECT_EQ(gap_count(), 0u);
    RunningReceiver receiver(options, callbacks);
    ASSERT_TRUE(eventually([&] { return gap_count() == 1; }));
    ASSERT_TRUE(received(receiver, server));
    receiver.stop();
    // That nothing is left is the one thing that is not mended in silence.
    ASSERT_EQ(gap_count(), 1u);
    EXPECT_EQ(gaps[0].from_gtid, server.connect()->value("SELECT @@gtid_binlog_pos"));
    std::string incarnation = spool_incarnations(spool).back();
    EXPECT_EQ(compare_with_server(server, spool, incarnation), "");
}

TEST_F(Continuity, OnlyOneReceiverOfASpool) {
    TestServer server;
    RunningReceiver first(receiver_options(server, spool));
    try {
        RunningReceiver second(receiver_options(server, spool));
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::locked);
    }
}

// Forwards a connection and changes one byte of what the server sends.
class Tamperer {
  public:
    explicit Tamperer(uint16_t target) : target_(target) {
        listener_ = os::UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address = loopback(0);
        socklen_t size = sizeof address;
        EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
        EXPECT_EQ(listen(listener_.get(), 16), 0);
        getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
        acceptor_ = std::jthread([this](std::stop_token stop) { accept_all(stop); });
    }
    uint16_t port() const { return port_; }
    // The next time the server sends this text, its first byte is another.
    void spoil(std::string text) {
        std::lock_guard lock(mutex_);
        text_ = std::move(text);
    }
    int spoiled() const { return spoiled_; }

  private:
    static sockaddr_in loopback(uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(port);
        return address;
    }
    void accept_all(const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            pollfd fd{listener_.get(), POLLIN, 0};
            if (poll(&fd, 1, 20) <= 0) continue;
            int client = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
            int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            sockaddr_in address = loopback(target_);
            if (connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
                close(client);
                close(server);
                continue;
            }
            pumps_.emplace_back([this, client, server](std::stop_token s) {
                pump(s, os::UniqueFd(client), os::UniqueFd(server));
            });
        }
    }
    void pump(const std::stop_token& stop, os::UniqueFd client, os::UniqueFd server) {
        std::vector<char> buffer(1 << 16);
        while (!stop.stop_requested()) {
            pollfd fds[] = {{client.get(), POLLIN, 0}, {server.get(), POLLIN, 0}};
            if (poll(fds, 2, 20) <= 0) continue;
            for (int from : {0, 1}) {
                if (fds[from].revents == 0) continue;
                ssize_t n = read(fds[from].fd, buffer.data(), buffer.size());
                if (n <= 0) return;
                if (from == 1) change({buffer.data(), static_cast<size_t>(n)});
                if (write(fds[1 - from].fd, buffer.data(), static_cast<size_t>(n)) != n) return;
            }
        }
    }
    void change(std::span<char> bytes) {
        std::lock_guard lock(mutex_);
        if (text_.empty()) return;
        auto found = std::search(bytes.begin(), bytes.end(), text_.begin(), text_.end());
        if (found == bytes.end()) return;
        *found ^= 1;
        ++spoiled_;
        text_.clear();
    }

    uint16_t target_, port_ = 0;
    os::UniqueFd listener_;
    std::mutex mutex_;
    std::string text_;
    std::atomic<int> spoiled_{0};
    std::vector<std::jthread> pumps_;
    std::jthread acceptor_;
};

TEST_F(Continuity, DamagedEventsAreNeitherStoredNorAcknowledged) {
    std::vector<std::string> arguments = semi_sync_arguments();
    TestServer server({.arguments = arguments, .tcp = true});
    server.run("CREATE USER u@'127.0.0.1' IDENTIFIED BY 'p'");
    server.run("GRANT REPLICATION SLAVE ON *.* TO u@'127.0.0.1'");
    server.run("CREATE DATABASE d");
    server.run("CREATE TABLE d.t (v VARCHAR(100))");
    Tamperer proxy(server.port());
    auto options = receiver_options(server, spool);
    options.connection = server.tcp_login("u", "p");
    options.connection.port = proxy.port();
    RunningReceiver receiver(options, callbacks);
    ASSERT_TRUE(received(receiver, server));
    server.run("INSERT INTO d.t VALUES ('one')");
    ASSERT_TRUE(eventually([&] { return receiver.protection() == Protection::armed; }))
        << receiver.state().reason;
    proxy.spoil("precious content");
    // It waits until the receiver has got it whole, over a new connection.
    server.run("INSERT INTO d.t VALUES ('precious content')");
    EXPECT_EQ(proxy.spoiled(), 1);
    ASSERT_TRUE(received(receiver, server));
    receiver.stop();
    EXPECT_EQ(gap_count(), 0u);
    EXPECT_EQ(compare_with_server(server, spool, spool_incarnations(spool).at(0)), "");
}

TEST_F(Continuity, OverTls) {
    std::string base = folder / "tls";
    os::CommandOutput made = os::run_command(
        {.argv = {"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
                  "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                  base + ".key", "-out", base + ".crt"}});
    ASSERT_TRUE(made.status.ok()) << made.errors;
    std::vector<std::string> arguments = semi_sync_arguments();
    for (const char* more : {"--max-allowed-packet=128M"}) arguments.emplace_back(more);
    arguments.push_back("--ssl-cert=" + base + ".crt");
    arguments.push_back("--ssl-key=" + base + ".key");
    TestServer server({.arguments = arguments, .tcp = true});
    server.run("CREATE USER u@'127.0.0.1' IDENTIFIED BY 'p' REQUIRE SSL");
    server.run("GRANT REPLICATION SLAVE ON *.* TO u@'127.0.0.1'");
    server.run("CREATE DATABASE d");
    server.run("CREATE TABLE d.t (v LONGBLOB)");
    auto options = receiver_options(server, spool);
    options.connection = server.tcp_login("u", "p");
    options.connection.tls = sql::MariadbOptions::Tls::required;
    RunningReceiver receiver(options, callbacks);
    ASSERT_TRUE(received(receiver, server)) << receiver.state().reason;
    // Sizes around the limits of TLS records and of the library's buffer.
    for (int size : {100, 16'000, 16'384, 16'400, 33'000, 200'000, 20'000'000}) {
        auto begun = std::chrono::steady_clock::now();
        server.run("INSERT INTO d.t VALUES (REPEAT('t', " + std::to_string(size) + "))");
        EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s) << size;
    }
    ASSERT_TRUE(eventually([&] { return receiver.protection() == Protection::armed; }))
        << receiver.state().reason;
    ASSERT_TRUE(received(receiver, server));
    receiver.stop();
    EXPECT_EQ(compare_with_server(server, spool, spool_incarnations(spool).at(0)), "");
}

struct Setting {
    std::string name;
    std::vector<std::string> arguments;
};
void PrintTo(const Setting& setting, std::ostream* out) { *out << setting.name; }

struct ContinuityWith : Continuity, testing::WithParamInterface<Setting> {};

TEST_P(ContinuityWith, StoresWhatTheServerHas) {
    TestServer server({.arguments = GetParam().arguments});
    auto options = receiver_options(server, spool);
    options.first_file = "bin.000001";
    RunningReceiver receiver(options, callbacks);
    run_workload(server, {.writers = 2, .transactions = 40});
    ASSERT_TRUE(received(receiver, server)) << receiver.state().reason;
    receiver.stop();
    EXPECT_EQ(compare_with_server(server, spool, spool_incarnations(spool).at(0)), "");
    EXPECT_EQ(gap_count(), 0u);
}

TEST_F(Continuity, SettingsMayChangeMeanwhile) {
    TestServer server;
    RunningReceiver receiver(receiver_options(server, spool), callbacks);
    int round = 0;
    for (const char* change :
         {"SET GLOBAL binlog_checksum=NONE", "SET GLOBAL binlog_checksum=CRC32",
          "SET GLOBAL log_bin_compress=ON", "SET GLOBAL binlog_format=STATEMENT",
          "SET GLOBAL binlog_annotate_row_events=OFF"}) {
        server.run(change);
        server.run("CREATE DATABASE d" + std::to_string(round));
        server.run("CREATE TABLE d" + std::to_string(round++) + ".t AS SELECT 1 AS a");
        ASSERT_TRUE(received(receiver, server)) << change << ": " << receiver.state().reason;
    }
    receiver.stop();
    EXPECT_EQ(gap_count(), 0u);
    EXPECT_EQ(compare_with_server(server, spool, spool_incarnations(spool).at(0)), "");
}

// A file of the spool on a device that is always full.
TEST_F(Continuity, AFullDiskBreaksTheStreamAndAcknowledgesNothing) {
    TestServer server({.arguments = semi_sync_arguments(300)});
    RunningReceiver receiver(receiver_options(server, spool), callbacks);
    server.run("CREATE DATABASE d");
    ASSERT_TRUE(received(receiver, server));
    std::string full = spool + "/" + spool_incarnations(spool).at(0) + "/bin.000002";
    std::filesystem::create_symlink("/dev/full", full);
    server.run("FLUSH BINARY LOGS");
    server.run("CREATE DATABASE e");
    ASSERT_TRUE(eventually([&] {
        StreamState state = receiver.state();
        return state.protection == Protection::broken &&
               state.reason.find("space") != std::string::npos;
    })) << receiver.state().reason;
    auto acknowledged = [&] {
        return *server.connect()->query("SHOW STATUS LIKE 'Rpl_semi_sync_master_yes_tx'")[0][1];
    };
    std::string before = acknowledged();
    server.run("CREATE DATABASE f");
    EXPECT_EQ(acknowledged(), before);
    std::filesystem::remove(full);
    ASSERT_TRUE(received(receiver, server)) << receiver.state().reason;
    receiver.stop();
    EXPECT_EQ(gap_count(), 0u);
    EXPECT_GE(receiver.state().unprotected_transactions, 2u);
    EXPECT_EQ(compare_with_server(server, spool, spool_incarnations(spool).at(0)), "");
}

TEST_F(Continuity, EncryptedLogsComeAsTheyWere) {
    std::string keys = folder / "keys";
    os::write_file_atomically(
        keys, as_bytes("1;a7addd9adea9978fda19f21e6be987880e68ac92632ca052e5bb42b1a506939a\n"));
    TestServer server(
        {.arguments = {"--plugin-load-add=file_key_management",
                       "--file-key-management-filename=" + keys, "--encrypt-binlog=ON"}});
    auto options = receiver_options(server, spool);
    options.first_file = "bin.000001";
    RunningReceiver receiver(options, callbacks);
    run_workload(server, {.writers = 2, .transactions = 40});
    ASSERT_TRUE(received(receiver, server)) << receiver.state().reason;
    server.stop();
    server.start();
    server.run("CREATE DATABASE after_restart");
    ASSERT_TRUE(received(receiver, server)) << receiver.state().reason;
    receiver.stop();
    EXPECT_EQ(gap_count(), 0u);
    auto archive = open_log_folder(spool);
    TransactionReader reader(*archive, {.count_rows = false});
    Transaction transaction;
    while (reader.next(transaction)) {
    }
    EXPECT_EQ(reader.state().position(), server.connect()->value("SELECT @@gtid_binlog_pos"));
}

INSTANTIATE_TEST_SUITE_P(All, ContinuityWith,
                         testing::Values(Setting{"compressed",
                                                 {"--log-bin-compress=ON",
                                                  "--log-bin-compress-min-len=10"}},
                                         Setting{"no_checksums", {"--binlog-checksum=NONE"}},
                                         Setting{"statements", {"--binlog-format=MIXED"}},
                                         Setting{"minimal", {"--binlog-row-image=MINIMAL"}}),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace sevenfold::database::mariadb
