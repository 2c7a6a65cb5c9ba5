#include "database/mariadb/server/scratch_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "os/file.h"
#include "storage/testing/contract.h"

namespace sevenfold::database::mariadb {
namespace {

using ::testing::HasSubstr;
using Grants = ScratchOptions::Grants;

// Installed once, then copied.
std::string install(storage::TestFolder& folder) {
    static storage::TestFolder made;
    static const std::string original = [] {
        // The server gives up root and must still get there.
        ::chmod(made.path().c_str(), 0711);
        install_data_dir({.data_dir = made / "data", .arguments = {"--innodb-log-file-size=8M"}});
        return made / "data";
    }();
    ::chmod(folder.path().c_str(), 0711);
    std::string data = folder / "data";
    std::filesystem::copy(original, data, std::filesystem::copy_options::recursive);
    make_data_dir_usable(data);
    return data;
}

TEST(ScratchServerTest, RunsOnAFreshDataFolderAndLeavesNothingBehind) {
    storage::TestFolder folder;
    std::string data = install(folder), socket;
    EXPECT_THROW(install_data_dir({.data_dir = data}), Error);
    {
        ScratchServer server({.data_dir = data, .server_id = 77});
        socket = server.socket();
        auto session = server.connect();
        EXPECT_EQ(session->value("SELECT @@server_id"), "77");
        EXPECT_EQ(session->value("SELECT @@skip_networking"), "1");
        EXPECT_EQ(session->value("SELECT @@log_bin"), "0");
        EXPECT_EQ(session->value("SELECT @@event_scheduler"), "OFF");
        EXPECT_EQ(session->value("SELECT @@have_symlink"), "DISABLED");
        EXPECT_EQ(session->value("SELECT @@innodb_buffer_pool_size"), "134217728");
        session->execute("CREATE DATABASE kept");
        EXPECT_THROW(session->execute("INSTALL SONAME 'ha_archive'"), Error);
        // Nobody else gets in: anonymous accounts and passwords are not there.
        sql::MariadbOptions stranger = server.login();
        stranger.password = Secret("guess");
        EXPECT_THROW(sql::MariadbConnection{stranger}, Error);
        if (::geteuid() == 0) {  // it gave up root
            struct stat status {};
            std::string proc = "/proc/" + std::to_string(server.pid());
            ASSERT_EQ(::stat(proc.c_str(), &status), 0);
            EXPECT_NE(status.st_uid, 0u);
        }
        server.stop();
        EXPECT_FALSE(server.running());
    }
    EXPECT_FALSE(os::path_exists(os::parent_dir(socket)));
    ScratchServer again({.data_dir = data, .grants = Grants::skipped, .binlog = true});
    auto session = again.connect();
    EXPECT_EQ(session->value("SELECT COUNT(*) FROM information_schema.schemata WHERE "
                             "schema_name='kept'"),
              "1");
    // The account of the first one is gone, and no GTID was used up.
    EXPECT_EQ(session->value("SELECT COUNT(*) FROM mysql.global_priv WHERE User LIKE 'sevenfold%'"),
              "0");
    EXPECT_EQ(session->value("SELECT @@gtid_binlog_pos"), "");
    EXPECT_EQ(session->value("SELECT @@log_bin"), "1");
}

TEST(ScratchServerTest, AReplicaDoesNotGoOnReplicating) {
    storage::TestFolder folder;
    std::string data = install(folder);
    {
        ScratchServer server({.data_dir = data});
        server.connect()->execute(
            "CHANGE MASTER TO master_host='127.0.0.1', master_port=1, master_user='x'");
        server.stop();
    }
    ScratchServer server({.data_dir = data});
    for (const sql::Row& row : server.connect()->query("SHOW SLAVE STATUS")) {
        EXPECT_EQ(row[10], "No");
        EXPECT_EQ(row[11], "No");
    }
}

TEST(ScratchServerTest, ACrashIsRecoveredFromAndNamed) {
    storage::TestFolder folder;
    std::string data = install(folder);
    {
        ScratchServer server({.data_dir = data});
        auto session = server.connect();
        session->execute("CREATE DATABASE a");
        session->execute("CREATE TABLE a.t AS SELECT seq FROM a.seq_1_to_1000");
        ::kill(server.pid(), SIGKILL);
        while (server.running()) {
        }
        EXPECT_THROW(server.stop(), Error);
    }
    ScratchServer server({.data_dir = data});
    EXPECT_EQ(server.connect()->value("SELECT COUNT(*) FROM a.t"), "1000");
}

TEST(ScratchServerTest, AFailedStartTellsWhy) {
    storage::TestFolder folder;
    EXPECT_THROW(ScratchServer({.data_dir = folder / "none"}), Error);
    std::filesystem::create_directory(folder / "empty");
    os::write_file_atomically(folder / "empty/ibdata1", as_bytes("garbage"));
    try {
        ScratchServer server({.data_dir = folder / "empty"});
        ADD_FAILURE() << "started";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::io) << error.message();
        EXPECT_THAT(error.message(), HasSubstr("[ERROR]"));
    }
    std::string data = install(folder);
    EXPECT_THROW(ScratchServer({.data_dir = data, .arguments = {"--no-such-option"}}), Error);
    EXPECT_THROW(ScratchServer({.data_dir = data, .program = "no-such-server"}), Error);
    ScratchServer first({.data_dir = data});
    try {  // the files are locked by the first
        ScratchServer second({.data_dir = data, .patience = std::chrono::seconds(3)});
        ADD_FAILURE() << "started";
    } catch (const Error& error) {
        EXPECT_THAT(error.message(), HasSubstr("lock"));
    }
    std::stop_source stop;
    stop.request_stop();
    try {
        ScratchServer server({.data_dir = data, .stop = stop.get_token()});
        ADD_FAILURE() << "started";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::interrupted);
    }
}

TEST(ScratchServerTest, LongFoldersGetASocketElsewhere) {
    storage::TestFolder folder;
    std::string data = install(folder);
    ScratchServer server({.data_dir = data, .work_dir = folder / std::string(90, 'w')});
    EXPECT_LT(server.socket().size(), 100u);
    EXPECT_THAT(server.error_log(), HasSubstr("ready for connections"));
}

}  // namespace
}  // namespace sevenfold::database::mariadb
