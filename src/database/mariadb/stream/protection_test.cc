// What clients were told is in every spool: semi-sync, the second spool, servers and receivers that
// are killed.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <mutex>
#include <set>

#include "core/log.h"
#include "database/mariadb/binlog/reader.h"
#include "database/mariadb/stream/receiver.h"
#include "database/testing/running_receiver.h"
#include "net/ssh_command.h"
#include "storage/testing/sshd.h"

namespace sevenfold::database::mariadb {
namespace {

using namespace std::chrono_literals;

crypto::CipherKey test_key() {
    static const crypto::CipherKey key = crypto::CipherKey::generate();
    return key;
}

void make_tables(const TestServer& server) {
    auto db = server.connect();
    db->execute("CREATE DATABASE sevenfold");
    db->execute("CREATE TABLE sevenfold.canary (id INT PRIMARY KEY, at DATETIME(6))");
    db->execute("CREATE DATABASE d");
    db->execute("CREATE TABLE d.t (id BIGINT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(200))");
}

std::set<std::string> transactions_in(const LogArchive& archive) {
    std::set<std::string> found;
    TransactionReader reader(archive, {.count_rows = false, .stop_at_gap = false});
    Transaction transaction;
    while (reader.next(transaction)) found.insert(transaction.gtid.display());
    return found;
}

std::set<std::string> transactions_in_second(const std::string& folder) {
    auto store = open_part_folder(folder);
    return transactions_in(*open_sealed_spool(*store, test_key()));
}

// Clients that note every transaction of which the server said that it is done.
class Ledger {
  public:
    explicit Ledger(const TestServer& server, unsigned writers = 4) {
        for (unsigned w = 0; w < writers; ++w)
            threads_.emplace_back([this, &server](std::stop_token stop) {
                try {
                    auto db = server.connect();
                    while (!stop.stop_requested()) {
                        db->execute("INSERT INTO d.t (v) VALUES (REPEAT('v', 150))");
                        auto gtid = db->value("SELECT @@last_gtid");
                        std::lock_guard lock(mutex_);
                        done_.insert(*gtid);
                    }
                } catch (const Error&) {  // the server is gone
                }
            });
    }
    std::set<std::string> finish() {
        for (auto& t : threads_) t.request_stop();
        threads_.clear();
        return done_;
    }
    std::set<std::string> told() {
        std::lock_guard lock(mutex_);
        return done_;
    }
    size_t size() {
        std::lock_guard lock(mutex_);
        return done_.size();
    }

  private:
    std::mutex mutex_;
    std::set<std::string> done_;
    std::vector<std::jthread> threads_;
};

std::string missing(const std::set<std::string>& wanted, const std::set<std::string>& found) {
    std::string out;
    for (const std::string& gtid : wanted)
        if (!found.contains(gtid)) out += gtid + " ";
    return out;
}

TEST(Protection, WhatClientsWereToldSurvivesTheServer) {
    TestServer server({.arguments = semi_sync_arguments()});
    make_tables(server);
    storage::TestFolder folder;
    auto options = receiver_options(server, folder / "spool");
    options.canary = kCanaryStatement;
    options.second_name = "second";
    options.connect_second = [&] { return open_folder_target(folder / "second", test_key()); };
    std::set<std::string> told;
    RunningReceiver receiver(options);
    for (int round = 0; round < 5; ++round) {
        ASSERT_TRUE(eventually([&] { return receiver.protection() == Protection::armed; }))
            << receiver.state().reason;
        Ledger ledger(server);
        eventually([&] { return ledger.size() > 40 + 70u * round; });
        server.kill();
        std::set<std::string> done = ledger.finish();
        EXPECT_GT(done.size(), 20u);
        told.insert(done.begin(), done.end());
        // What is there now is all that would be left.
        EXPECT_EQ(missing(told, transactions_in(*open_log_folder(folder / "spool"))), "");
        EXPECT_EQ(missing(told, transactions_in_second(folder / "second")), "");
        server.start();
    }
    StreamState state = receiver.state();
    EXPECT_TRUE(state.gaps.empty());
    EXPECT_GE(state.acknowledged, told.size());
}

TEST(Protection, WhatClientsWereToldSurvivesTheReceiver) {
    TestServer server({.arguments = semi_sync_arguments()});
    make_tables(server);
    storage::TestFolder folder;
    auto options = receiver_options(server, folder / "spool");
    options.canary = kCanaryStatement;
    std::set<std::string> told;
    for (int round = 0; round < 4; ++round) {
        pid_t child = fork();
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            set_log_level(LogLevel::error);
            Receiver(options).run({});
            _exit(1);
        }
        auto armed = [&] {
            auto state = load_state(folder / "spool");
            return state && state->protection == Protection::armed;
        };
        // The state of the killed one before is there still: it is armed only when it moved.
        uint64_t before = round == 0 ? 0 : load_state(folder / "spool")->acknowledged;
        ASSERT_TRUE(eventually(
            [&] { return armed() && load_state(folder / "spool")->acknowledged > before; }));
        Ledger ledger(server);
        eventually([&] { return ledger.size() > 100; });
        std::set<std::string> before_death = ledger.told();
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
        std::set<std::string> at_death = transactions_in(*open_log_folder(folder / "spool"));
        EXPECT_EQ(missing(before_death, at_death), "");
        // From now on the server waits until its limit, and nothing that it then says counts.
        server.run("SET GLOBAL rpl_semi_sync_master_enabled=OFF");
        ledger.finish();
        server.run("SET GLOBAL rpl_semi_sync_master_enabled=ON");
        told.insert(at_death.begin(), at_death.end());
    }
    RunningReceiver receiver(options);
    ASSERT_TRUE(eventually([&] { return receiver.has_all_of(server); })) << receiver.state().reason;
    receiver.stop();
    auto found = transactions_in(*open_log_folder(folder / "spool"));
    EXPECT_EQ(missing(told, found), "");
    EXPECT_TRUE(receiver.state().gaps.empty());
    auto incarnations = spool_incarnations(folder / "spool");
    ASSERT_EQ(incarnations.size(), 1u);
    EXPECT_EQ(compare_with_server(server, folder / "spool", incarnations[0]), "");
}

// A second spool that can be switched off, or made slow.
struct Switchable : SpoolTarget {
    struct Control {
        std::atomic<bool> down{false}, slow{false};
    };
    Switchable(std::unique_ptr<SpoolTarget> i, Control& c) : inner(std::move(i)), control(c) {}
    std::string location() const override { return "switchable"; }
    void append(const std::string& incarnation, const std::string& file, uint64_t offset,
                ByteView bytes) override {
        check();
        inner->append(incarnation, file, offset, bytes);
    }
    void cut(const std::string& incarnation, const std::string& file, uint64_t offset) override {
        check();
        inner->cut(incarnation, file, offset);
    }
    void sync() override {
        check();
        eventually([&] { return !control.slow || control.down; });
        inner->sync();
    }
    bool knows(const std::string& incarnation, const std::string& file) override {
        return inner->knows(incarnation, file);
    }
    PartStore& parts() override { return inner->parts(); }
    void check() const {
        if (control.down) throw Error(ErrorKind::network, "switched off");
    }
    std::unique_ptr<SpoolTarget> inner;
    Control& control;
};

TEST(Protection, CommitsGoOnWithoutTheSecondSpoolAndItCatchesUp) {
    TestServer server({.arguments = semi_sync_arguments()});
    make_tables(server);
    storage::TestFolder folder;
    Switchable::Control control;
    auto options = receiver_options(server, folder / "spool");
    options.canary = kCanaryStatement;
    options.second_limit = 300ms;
    options.second_name = "second";
    options.connect_second = [&] {
        if (control.down) throw Error(ErrorKind::network, "switched off");
        return std::make_unique<Switchable>(open_folder_target(folder / "second", test_key()),
                                            control);
    };
    RunningReceiver receiver(options);
    auto is = [&](Protection wanted) {
        return eventually([&] { return receiver.protection() == wanted; });
    };
    auto insert = [&](int n) {
        auto db = server.connect();
        for (int i = 0; i < n; ++i) db->execute("INSERT INTO d.t (v) VALUES ('x')");
    };
    ASSERT_TRUE(is(Protection::armed)) << receiver.state().reason;
    insert(5);
    for (auto* trouble : {&control.slow, &control.down}) {
        uint64_t unprotected = receiver.state().unprotected_transactions;
        *trouble = true;
        auto begun = std::chrono::steady_clock::now();
        insert(20);
        // One of them waited for the limit, the others did not.
        EXPECT_LT(std::chrono::steady_clock::now() - begun, 2s);
        ASSERT_TRUE(is(Protection::degraded));
        EXPECT_GE(receiver.state().unprotected_transactions, unprotected + 19);
        *trouble = false;
        ASSERT_TRUE(is(Protection::armed)) << receiver.state().reason;
        uint64_t after = receiver.state().unprotected_transactions;
        insert(5);
        EXPECT_EQ(receiver.state().unprotected_transactions, after);
    }
    receiver.stop();
    EXPECT_GT(receiver.state().unprotected_seconds, 0.05);
    auto local = transactions_in(*open_log_folder(folder / "spool"));
    EXPECT_EQ(local, transactions_in_second(folder / "second"));
}

TEST(Protection, TheSecondSpoolIsCompletedAfterRestartsAndLoss) {
    TestServer server({.arguments = semi_sync_arguments()});
    make_tables(server);
    storage::TestFolder folder;
    auto options = receiver_options(server, folder / "spool");
    options.canary = kCanaryStatement;
    options.first_file = "bin.000001";
    options.second_name = "second";
    options.connect_second = [&] { return open_folder_target(folder / "second", test_key()); };
    for (int round = 0; round < 4; ++round) {
        // In the third round all of it is lost.
        if (round == 2) std::filesystem::remove_all(folder / "second");
        RunningReceiver receiver(options);
        server.run("FLUSH BINARY LOGS");
        server.run("INSERT INTO d.t (v) VALUES ('x')");
        ASSERT_TRUE(eventually([&] {
            return receiver.has_all_of(server) && receiver.protection() == Protection::armed;
        })) << receiver.state().reason;
        receiver.stop();
        EXPECT_EQ(transactions_in(*open_log_folder(folder / "spool")),
                  transactions_in_second(folder / "second"));
    }
    auto store = open_part_folder(folder / "second");
    auto archive = open_sealed_spool(*store, test_key());
    EXPECT_EQ(archive->segments().size(), open_log_folder(folder / "spool")->segments().size());
}

TEST(Protection, SecondSpoolOverSftp) {
    storage::TestSshd sshd;
    TestServer server({.arguments = semi_sync_arguments()});
    make_tables(server);
    storage::TestFolder folder;
    storage::ConnectionCutter cutter(sshd.port());
    storage::Location location = sshd.location("second");
    storage::SftpConnectionOptions sftp{.location = "sftp:second", .stall_timeout = 5s};
    sftp.command = net::ssh_subsystem_command(
        {.host = "127.0.0.1", .user = location.user, .port = cutter.port()}, "sftp",
        sshd.ssh_args(cutter.port()), false);
    auto options = receiver_options(server, folder / "spool");
    options.canary = kCanaryStatement;
    options.second_name = "second";
    options.connect_second = [&] { return open_sftp_target(sftp, location.path, test_key()); };
    RunningReceiver receiver(options);
    ASSERT_TRUE(eventually([&] { return receiver.protection() == Protection::armed; }))
        << receiver.state().reason;
    for (int round = 0; round < 3; ++round) {
        Ledger ledger(server);
        eventually([&] { return ledger.size() > 30; });
        std::set<std::string> told = ledger.finish();
        EXPECT_EQ(missing(told, transactions_in_second(location.path)), "");
        cutter.cut();
        server.run("INSERT INTO d.t (v) VALUES ('after the cut')");
        ASSERT_TRUE(eventually([&] { return receiver.protection() == Protection::armed; }))
            << receiver.state().reason;
    }
    receiver.stop();
    EXPECT_TRUE(receiver.state().gaps.empty());
    // The host's own view of it, over SFTP.
    auto target = open_sftp_target(sftp, location.path, test_key());
    EXPECT_EQ(transactions_in(*open_sealed_spool(target->parts(), test_key())),
              transactions_in(*open_log_folder(folder / "spool")));
}

}  // namespace
}  // namespace sevenfold::database::mariadb
