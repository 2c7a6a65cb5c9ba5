#include "database/mariadb/stream/check.h"

#include <gtest/gtest.h>

#include "database/testing/mariadb_server.h"

namespace sevenfold::database::mariadb {
namespace {

const StreamFinding* find(const std::vector<StreamFinding>& all, const std::string& setting) {
    for (const StreamFinding& f : all)
        if (f.setting == setting) return &f;
    return nullptr;
}

// What is advised can be done, and then nothing is left to advise.
TEST(StreamCheck, ItsAdviceCures) {
    TestServer server({.arguments = {"--sync-binlog=0", "--binlog-format=MIXED",
                                     "--binlog-row-metadata=NO_LOG", "--gtid-strict-mode=0"}});
    auto db = server.connect();
    auto before = check_stream(*db);
    for (const char* setting :
         {"rpl_semi_sync_master_enabled", "rpl_semi_sync_master_wait_point", "sync_binlog",
          "binlog_format", "binlog_row_metadata", "gtid_strict_mode"})
        EXPECT_NE(find(before, setting), nullptr) << setting;
    EXPECT_EQ(find(before, "log_bin"), nullptr);
    for (const StreamFinding& f : before)
        if (!f.now.empty()) db->execute(f.now.substr(0, f.now.size() - 1));
    for (const StreamFinding& f : check_stream(*db)) ADD_FAILURE() << f.setting << " " << f.value;
}

TEST(StreamCheck, ConfigLinesAreTakenByTheServer) {
    std::vector<std::string> arguments;
    {
        TestServer server({.arguments = {"--sync-binlog=0", "--binlog-format=MIXED"}});
        for (const StreamFinding& f : check_stream(*server.connect()))
            if (size_t at = f.config.find(" = "); at != f.config.npos)
                arguments.push_back("--" + f.config.substr(0, at) + "=" + f.config.substr(at + 3));
    }
    TestServer server({.arguments = arguments});
    for (const StreamFinding& f : check_stream(*server.connect()))
        ADD_FAILURE() << f.setting << " " << f.value;
}

TEST(StreamCheck, NamesWhatStopsTheStream) {
    TestServer server({.binlog = false});
    auto all = check_stream(*server.connect());
    ASSERT_FALSE(all.empty());
    EXPECT_EQ(all[0].setting, "log_bin");
    EXPECT_EQ(all[0].weight, StreamFinding::Weight::error);
}

TEST(StreamCheck, TheRightIsNamedWithItsGrant) {
    TestServer server;
    server.run("CREATE USER poor@localhost");
    sql::MariadbConnection poor(server.login("poor"));
    auto all = check_stream(poor);
    const StreamFinding* right = find(all, "REPLICATION SLAVE");
    ASSERT_NE(right, nullptr);
    server.run(right->now.substr(0, right->now.size() - 1));
    sql::MariadbConnection again(server.login("poor"));
    EXPECT_EQ(find(check_stream(again), "REPLICATION SLAVE"), nullptr);
}

}  // namespace
}  // namespace sevenfold::database::mariadb
