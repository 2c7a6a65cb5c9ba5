#include "database/mariadb/source/source.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "database/testing/mariadb_server.h"
#include "os/file.h"

namespace sevenfold::database::source {
namespace {

std::vector<std::string> quiet_replica() {
    return {"--skip-slave-start", "--slave-parallel-threads=4", "--slave-parallel-mode=optimistic"};
}

std::unique_ptr<LogArchive> archive_of(const TestServer& server, const storage::TestFolder& folder,
                                       const std::string& incarnation = "0001-a") {
    os::make_dirs(folder / ("log/" + incarnation));
    for (const auto& entry : std::filesystem::directory_iterator(server.data_dir())) {
        std::string name = entry.path().filename();
        if (name.starts_with("bin.0"))
            std::filesystem::copy_file(entry.path(), folder / ("log/" + incarnation + "/" + name),
                                       std::filesystem::copy_options::overwrite_existing);
    }
    return open_log_folder(folder / "log");
}

void replicate(sql::MariadbConnection& target, const ReplicationSource& source) {
    target.execute(
        fmt::format("CHANGE MASTER TO master_host='127.0.0.1', master_port={}, master_user='{}', "
                    "master_password='{}', master_use_gtid=slave_pos",
                    source.port(), source.user(), source.password().reveal()));
    target.execute("START SLAVE");
}

std::string status(sql::MariadbConnection& target) {
    std::string out;
    for (const auto& row : target.query("SHOW SLAVE STATUS"))
        for (const auto& field : row) out += field.value_or("NULL") + " | ";
    return out;
}

TEST(ReplicationSourceTest, AServerReplicatesFromAFolder) {
    storage::TestFolder folder;
    TestServer origin;
    auto connection = origin.connect();
    connection->execute("CREATE DATABASE shop");
    connection->execute("CREATE TABLE shop.item (id INT PRIMARY KEY, name TEXT)");
    connection->execute("INSERT INTO shop.item VALUES (1, 'one')");
    connection->execute("FLUSH BINARY LOGS");
    connection->execute("INSERT INTO shop.item VALUES (2, 'two')");
    auto archive = archive_of(origin, folder);
    ReplicationSource source(*archive, {});
    EXPECT_EQ(source.plan().transactions, 4u);
    EXPECT_EQ(source.plan().end.display(), "0-1-4");
    TestServer target({.arguments = quiet_replica(), .server_id = 99, .binlog = false});
    auto replica = target.connect();
    replicate(*replica, source);
    EXPECT_EQ(replica->value("SELECT MASTER_GTID_WAIT('0-1-4', 20)"), "0")
        << status(*replica) << target.error_log();
    EXPECT_EQ(replica->value("SELECT GROUP_CONCAT(name ORDER BY id) FROM shop.item"), "one,two");
}

}  // namespace
}  // namespace sevenfold::database::source
