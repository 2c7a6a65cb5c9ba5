#include "database/mariadb/stream/receiver.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "database/mariadb/stream/spool.h"
#include "database/testing/binlogs.h"
#include "database/testing/running_receiver.h"
#include "os/file.h"

namespace sevenfold::database::mariadb {
namespace {

using namespace std::chrono_literals;

std::string only_incarnation(const std::string& spool) {
    auto all = spool_incarnations(spool);
    return all.size() == 1 ? all[0] : std::to_string(all.size()) + " incarnations";
}

TEST(Receiver, CopiesByteForByteAcrossRotationsAndRestarts) {
    TestServer server;
    storage::TestFolder folder;
    std::string spool = folder / "spool";
    auto options = receiver_options(server, spool);
    options.first_file = "bin.000001";
    {
        RunningReceiver receiver(options);
        run_workload(server, {.writers = 3, .transactions = 60});
        ASSERT_TRUE(eventually([&] { return receiver.has_all_of(server); }));
        // The receiver goes away and comes back, in the middle of a file.
        receiver.stop();
        EXPECT_FALSE(receiver.failure()) << receiver.failure()->message();
    }
    run_workload(server, {.writers = 2, .transactions = 30, .seed = 2});
    RunningReceiver receiver(options);
    ASSERT_TRUE(eventually([&] { return receiver.has_all_of(server); }));
    server.stop();
    server.start();
    run_workload(server, {.writers = 2, .transactions = 30, .seed = 3});
    ASSERT_TRUE(eventually([&] { return receiver.has_all_of(server); })) << receiver.state().reason;
    server.kill();
    server.start();
    run_workload(server, {.writers = 2, .transactions = 30, .seed = 4});
    ASSERT_TRUE(eventually([&] { return receiver.has_all_of(server); })) << receiver.state().reason;
    receiver.stop();
    EXPECT_GT(spool_files(spool, only_incarnation(spool)).size(), 3u);
    EXPECT_EQ(compare_with_server(server, spool, only_incarnation(spool)), "");
    EXPECT_TRUE(receiver.state().gaps.empty());
}

TEST(Receiver, BeginsWithTheNewestFile) {
    TestServer server;
    storage::TestFolder folder;
    server.run("CREATE DATABASE a");
    server.run("FLUSH BINARY LOGS");
    server.run("CREATE DATABASE b");
    RunningReceiver receiver(receiver_options(server, folder / "spool"));
    ASSERT_TRUE(eventually([&] { return receiver.has_all_of(server); }));
    receiver.stop();
    std::string incarnation = only_incarnation(folder / "spool");
    EXPECT_EQ(spool_files(folder / "spool", incarnation), std::vector<std::string>{"bin.000002"});
    EXPECT_EQ(compare_with_server(server, folder / "spool", incarnation), "");
}

}  // namespace
}  // namespace sevenfold::database::mariadb
