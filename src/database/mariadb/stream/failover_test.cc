// Another server answers in the place of the one that was received from.
#include <gtest/gtest.h>

#include <filesystem>
#include <mutex>
#include <set>

#include "database/mariadb/coverage.h"
#include "database/mariadb/server_facts.h"
#include "database/mariadb/source/plan.h"
#include "database/mariadb/stream/receiver.h"
#include "database/mariadb/stream/spool.h"
#include "database/testing/mariadb_server.h"
#include "database/testing/running_receiver.h"

namespace sevenfold::database::mariadb {
namespace {

using namespace std::chrono_literals;

// A server and its replica, which writes all that it receives into its own log.
struct Failover : testing::Test {
    storage::TestFolder folder;
    std::string spool = folder / "spool";
    std::mutex mutex;
    std::vector<StreamGap> gaps;
    ReceiverCallbacks callbacks{.on_gap = [this](const StreamGap& gap) {
        std::lock_guard lock(mutex);
        gaps.push_back(gap);
    }};

    TestServer first{{.arguments = {"--log-slave-updates"}, .tcp = true}};
    TestServer second{{.arguments = {"--log-slave-updates"}, .server_id = 2, .tcp = true}};
    ReceiverOptions options = receiver_options(first, spool);

    Failover() {
        first.run("CREATE USER repl@'%' IDENTIFIED BY 'r'");
        first.run("GRANT REPLICATION SLAVE ON *.* TO repl@'%'");
        first.run("CREATE DATABASE d");
        first.run("CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(50))");
        options.first_file = "bin.000001";
    }
    bool received(const RunningReceiver& receiver, const TestServer& server) {
        return eventually([&] { return receiver.has_all_of(server); });
    }
    size_t gap_count() {
        std::lock_guard lock(mutex);
        return gaps.size();
    }
    void replicate() {
        second.run(
            fmt::format("CHANGE MASTER TO master_host='127.0.0.1', master_port={}, "
                        "master_user='repl', master_password='r', "
                        "master_use_gtid=slave_pos, master_connect_retry=1",
                        first.port()));
        second.run("START SLAVE");
    }
    void insert(const TestServer& server, int n) {
        for (int i = 0; i < n; ++i) server.run("INSERT INTO d.t (v) VALUES ('x')");
    }
    static std::string position(const TestServer& server) {
        return *server.connect()->value("SELECT @@gtid_binlog_pos");
    }
    bool caught_up() {
        return eventually([&] { return position(second) == position(first); });
    }
    void promote() {
        second.run("STOP SLAVE");
        second.run("RESET SLAVE ALL");
        options.connection = second.login();
    }
    // Every transaction of the archive from `from` on, as a replay would do them.
    source::Plan plan(const std::string& from) {
        return source::make_plan(*open_log_folder(spool), {.start = Position::parse(from)});
    }
};

TEST_F(Failover, APromotedReplicaIsFollowedByGtid) {
    replicate();
    insert(first, 5);
    second.run("FLUSH BINARY LOGS");
    insert(first, 5);
    database::Position base;
    {
        RunningReceiver receiver(options, callbacks);
        ASSERT_TRUE(received(receiver, first));
        base = {.gtid = receiver.state().gtid, .file = "bin.000001"};
        base.offset = receiver.state().position.offset;
        base.server = 1;
        insert(first, 5);
        ASSERT_TRUE(received(receiver, first));
    }
    insert(first, 3);  // while nobody receives
    ASSERT_TRUE(caught_up());
    first.kill();
    promote();
    insert(second, 4);
    uint64_t before = 0;
    {
        RunningReceiver receiver(options, callbacks);
        ASSERT_TRUE(received(receiver, second)) << receiver.state().reason;
        before = receiver.state().position.offset;
        EXPECT_EQ(receiver.state().joining, "");
        receiver.stop();
    }
    {
        RunningReceiver receiver(options, callbacks);  // goes on in the same files
        insert(second, 2);
        ASSERT_TRUE(received(receiver, second)) << receiver.state().reason;
        receiver.stop();
        EXPECT_GT(receiver.state().position.offset, before);
    }
    EXPECT_EQ(gap_count(), 0u);
    auto incarnations = spool_incarnations(spool);
    ASSERT_EQ(incarnations.size(), 2u);
    EXPECT_EQ(incarnation_server(incarnations[1]), 2u);
    // It begins with the file that has what follows, not with the oldest.
    EXPECT_EQ(spool_files(spool, incarnations[1]).front(), "bin.000002");
    EXPECT_EQ(compare_with_server(second, spool, incarnations[1]), "");
    // The archive leads from before the failover to after it, each transaction once.
    auto planned = plan(base.gtid);
    EXPECT_EQ(planned.transactions, 5u + 3 + 4 + 2);
    EXPECT_EQ(planned.end.display(), position(second));
    auto archive = open_log_folder(spool);
    ContinuedReader reader(
        *archive, {.incarnation = incarnations[0], .file = base.file, .offset = base.offset},
        parse_gtid_list(base.gtid));
    std::set<std::string> read;
    for (Transaction transaction; reader.next(transaction);)
        EXPECT_TRUE(read.insert(transaction.gtid.display()).second);
    EXPECT_EQ(read.size(), planned.transactions);
    auto place = binlog_place(*second.connect());
    place.gtid = position(second);
    EXPECT_EQ(place.server, 2u);
    EXPECT_EQ(missing_between(*archive, base, place), std::nullopt);
    auto end = log_end(*archive, base, UINT64_MAX);
    ASSERT_TRUE(end);
    EXPECT_EQ(end->position.gtid, position(second));
    // A position of the first server that the archive does not have is not mistaken for one of the
    // second.
    place.server = 1;
    EXPECT_TRUE(missing_between(*archive, base, place));
}

TEST_F(Failover, AServerThatHasItNoMoreIsAGap) {
    replicate();
    insert(first, 5);
    ASSERT_TRUE(caught_up());
    {
        RunningReceiver receiver(options, callbacks);
        ASSERT_TRUE(received(receiver, first));
    }
    std::string received_up_to = position(first);
    insert(first, 3);
    ASSERT_TRUE(caught_up());
    first.kill();
    promote();
    for (int i = 0; i < 2; ++i) {
        second.run("FLUSH BINARY LOGS");
        insert(second, 1);
    }
    ASSERT_TRUE(eventually([&] {
        second.run("PURGE BINARY LOGS TO 'bin.000003'");
        return !std::filesystem::exists(second.data_dir() + "/bin.000002");
    }));
    RunningReceiver receiver(options, callbacks);
    ASSERT_TRUE(eventually([&] { return gap_count() == 1; })) << receiver.state().reason;
    ASSERT_TRUE(received(receiver, second));
    receiver.stop();
    EXPECT_EQ(gaps[0].from_gtid, received_up_to);
    EXPECT_EQ(receiver.state().joining, "");
}

// It was promoted before it had everything: what the first server had is on no line with what
// comes.
TEST_F(Failover, AServerThatNeverHadItIsAGap) {
    replicate();
    insert(first, 5);
    ASSERT_TRUE(caught_up());
    second.run("STOP SLAVE");
    {
        RunningReceiver receiver(options, callbacks);
        insert(first, 3);
        ASSERT_TRUE(received(receiver, first));
    }
    first.kill();
    promote();
    insert(second, 10);  // the same numbers, and more
    options.behind_limit = 300ms;
    RunningReceiver receiver(options, callbacks);
    ASSERT_TRUE(eventually([&] { return gap_count() == 1; })) << receiver.state().reason;
    EXPECT_NE(gaps[0].reason.find("does not have the transaction 0-1-"), std::string::npos);
    ASSERT_TRUE(received(receiver, second));
}

TEST_F(Failover, AnotherMachineGoesOnWhereTheLogEndsElsewhere) {
    auto receive = [&] {
        RunningReceiver receiver(options, callbacks);
        EXPECT_TRUE(received(receiver, first)) << receiver.state().reason;
        receiver.stop();
        return receiver.state();
    };
    insert(first, 3);
    StreamState state = receive();
    options.continue_after = {.gtid = state.gtid,
                              .file = state.position.file,
                              .offset = state.position.offset,
                              .server = 1};
    options.last_incarnation = 7;
    options.first_file.clear();
    first.run("FLUSH BINARY LOGS");
    insert(first, 3);
    std::filesystem::remove_all(spool);
    EXPECT_EQ(receive().position.incarnation.substr(0, 4), "0008");
    EXPECT_EQ(gap_count(), 0u);
    // Which begins exactly after it.
    EXPECT_EQ(spool_files(spool, spool_incarnations(spool)[0]).front(), "bin.000002");
    // The same GTIDs, and more of them, but other transactions.
    first.run("RESET MASTER");
    insert(first, 20);
    std::filesystem::remove_all(spool);
    receive();
    EXPECT_EQ(gap_count(), 1u);
    EXPECT_EQ(gaps[0].from_gtid, state.gtid);
}

TEST_F(Failover, AReplicaThatLagsIsWaitedFor) {
    replicate();
    insert(first, 5);
    ASSERT_TRUE(caught_up());
    second.run("STOP SLAVE SQL_THREAD");
    {
        RunningReceiver receiver(options, callbacks);
        insert(first, 3);
        ASSERT_TRUE(received(receiver, first));
    }
    options.connection = second.login();
    RunningReceiver receiver(options, callbacks);
    ASSERT_TRUE(eventually([&] {
        return receiver.state().reason.find("does not have") != std::string::npos;
    })) << receiver.state().reason;
    second.run("START SLAVE SQL_THREAD");
    ASSERT_TRUE(caught_up());
    ASSERT_TRUE(received(receiver, second));
    insert(first, 1);
    ASSERT_TRUE(caught_up());
    ASSERT_TRUE(received(receiver, second)) << receiver.state().reason;
    EXPECT_EQ(gap_count(), 0u);
}

}  // namespace
}  // namespace sevenfold::database::mariadb
