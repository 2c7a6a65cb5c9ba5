#include "database/mariadb/stream/replication_client.h"

#include <gtest/gtest.h>

#include <thread>

#include "database/mariadb/binlog/event.h"
#include "database/testing/running_receiver.h"
#include "os/file.h"

namespace sevenfold::database::mariadb {
namespace {

using namespace std::chrono_literals;

// Stores what comes until the file has `size` bytes; the file starts with the magic number.
Bytes collect(ReplicationClient& client, uint64_t size) {
    Bytes file = to_bytes(ByteView(kBinlogMagic));
    while (file.size() < size) {
        if (!client.wait(10s)) throw Error(ErrorKind::timeout, "nothing comes");
        ReceivedEvent event = client.read();
        EventHeader header = decode_header(event.bytes);
        if (header.next_position == 0 || (header.flags & kArtificial) != 0 ||
            header.type == EventType::heartbeat)
            continue;
        EXPECT_EQ(header.next_position, file.size() + header.size);
        append(file, event.bytes);
    }
    return file;
}

TEST(ReplicationClient, ReceivesAFileByteForByte) {
    TestServer server;
    auto db = server.connect();
    db->execute("CREATE DATABASE d");
    db->execute("CREATE TABLE d.t (id INT PRIMARY KEY, v LONGBLOB)");
    db->execute("USE d");
    db->execute("INSERT INTO d.t SELECT seq, REPEAT('x', 1000) FROM seq_1_to_500");
    db->execute("FLUSH BINARY LOGS");
    Bytes original = os::read_file(server.data_dir() + "/bin.000001");

    ReplicationClient client({.connection = server.login(), .server_id = 4242});
    client.dump("bin.000001", 4);
    EXPECT_EQ(collect(client, original.size()), original);
}

TEST(ReplicationClient, JoinsTheOldestFileWithoutAName) {
    TestServer server;
    server.run("CREATE DATABASE d");
    ReplicationClient client({.connection = server.login(), .server_id = 4242});
    client.dump("", 4);
    ReceivedEvent event = client.read();
    EXPECT_EQ(decode_header(event.bytes).type, EventType::rotate);
}

// Events above 16 MiB come in several packets.
TEST(ReplicationClient, JoinsHugeEvents) {
    TestServer server({.arguments = {"--max-allowed-packet=256M"}});
    auto db = server.connect();
    db->execute("CREATE DATABASE d");
    db->execute("CREATE TABLE d.t (id INT PRIMARY KEY, v LONGBLOB)");
    db->execute("INSERT INTO d.t VALUES (1, REPEAT('y', 70000000))");
    db->execute("INSERT INTO d.t VALUES (2, REPEAT('z', 16777215))");
    db->execute("FLUSH BINARY LOGS");
    Bytes original = os::read_file(server.data_dir() + "/bin.000001");
    ASSERT_GT(original.size(), 86u * 1000000);
    ReplicationClient client({.connection = server.login(), .server_id = 4242});
    client.dump("bin.000001", 4);
    EXPECT_EQ(collect(client, original.size()), original);
}

TEST(ReplicationClient, NamesWhatTheServerDoesNotHave) {
    TestServer server;
    ReplicationClient client({.connection = server.login(), .server_id = 4242});
    client.dump("bin.000099", 4);
    try {
        for (;;) client.read();
    } catch (const sql::ServerError& error) {
        EXPECT_EQ(error.number, kErrorReadingBinlog);
    }
}

// A commit waits for our word, and for nothing else.
TEST(ReplicationClient, CommitsWaitForTheAcknowledgement) {
    TestServer server(
        {.arguments = {"--rpl-semi-sync-master-enabled=ON", "--rpl-semi-sync-master-timeout=20000",
                       "--rpl-semi-sync-master-wait-no-slave=OFF",
                       "--rpl-semi-sync-master-wait-point=AFTER_SYNC"}});
    server.run("CREATE DATABASE d");
    server.run("CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)");
    ReplicationClient client({.connection = server.login(), .server_id = 4242});
    client.dump("bin.000001", 4);
    while (client.wait(300ms)) client.read();
    std::atomic<int> done{0};
    std::jthread writer([&] {
        auto db = server.connect();
        for (int i = 0; i < 30; ++i, ++done) db->execute("INSERT INTO d.t (v) VALUES (1)");
    });
    int acked = 0;
    while (acked < 30) {
        ASSERT_TRUE(client.wait(10s));
        ReceivedEvent event = client.read();
        if (!event.ack_wanted) continue;
        uint32_t position = decode_header(event.bytes).next_position;
        if (acked == 3) {
            EXPECT_FALSE(client.wait(400ms));
        }
        // The server trusts us only after our first word: its first commit does not wait.
        if (acked > 0) {
            EXPECT_EQ(done, acked);
        }
        client.ack("bin.000001", position);
        ++acked;
        eventually([&] { return done >= acked; });
    }
    auto db = server.connect();
    EXPECT_GE(std::stoi(*db->query("SHOW STATUS LIKE 'Rpl_semi_sync_master_yes_tx'")[0][1]), 29);
}

}  // namespace
}  // namespace sevenfold::database::mariadb
