#include "database/mariadb/source/wire.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <thread>

#include "core/error.h"
#include "database/mariadb/source/internal/session.h"

namespace sevenfold::database::mariadb::source {
namespace {

using std::chrono::milliseconds;

std::pair<os::UniqueFd, os::UniqueFd> socket_pair() {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) throw errno_error("socketpair");
    return {os::UniqueFd(fds[0]), os::UniqueFd(fds[1])};
}

Bytes read_all(int fd) {
    Bytes out, block(1 << 20);
    for (;;) {
        ssize_t n = ::recv(fd, block.data(), block.size(), 0);
        if (n <= 0) return out;
        append(out, ByteView(block).first(static_cast<size_t>(n)));
    }
}

// The payloads of a stream, put together again.
std::vector<Bytes> unframed(ByteView stream) {
    std::vector<Bytes> out(1);
    uint8_t sequence = 0;
    while (!stream.empty()) {
        size_t size = get_le32(stream.data()) & 0xffffff;
        EXPECT_EQ(stream[3], sequence++);
        append(out.back(), stream.subspan(4, size));
        stream = stream.subspan(4 + size);
        if (size < kMaxPacket) out.emplace_back();
    }
    out.pop_back();
    return out;
}

TEST(PacketSocketTest, CutsPayloadsAtSixteenMegabytes) {
    constexpr uint8_t kLead = 7;
    for (size_t size : {size_t{0}, size_t{1}, kMaxPacket - 2, kMaxPacket - 1, kMaxPacket,
                        2 * kMaxPacket - 1, 2 * kMaxPacket + 5}) {
        auto [ours, theirs] = socket_pair();
        Bytes received;
        std::jthread reader([&received, fd = theirs.get()] { received = read_all(fd); });
        Bytes payload(size);
        for (size_t i = 0; i < size; ++i) payload[i] = static_cast<uint8_t>(i * 7 / 5);
        {
            PacketSocket socket(std::move(ours));
            socket.write(payload, ByteView(&kLead, 1));
            socket.write(ok_packet());
            socket.flush();
        }
        reader.join();
        std::vector<Bytes> packets = unframed(received);
        ASSERT_EQ(packets.size(), 2u) << size;
        ASSERT_EQ(packets[0].size(), size + 1);
        EXPECT_EQ(packets[0][0], kLead);
        EXPECT_TRUE(std::equal(payload.begin(), payload.end(), packets[0].begin() + 1));
        EXPECT_EQ(packets[1], ok_packet());
    }
}

TEST(PacketSocketTest, RefusesLongAndLatePackets) {
    auto [ours, theirs] = socket_pair();
    PacketSocket socket(std::move(ours));
    EXPECT_THROW(socket.read(milliseconds(20)), Error);
    const std::array<uint8_t, 4> head = {0, 0, 2, 0};
    ASSERT_EQ(::send(theirs.get(), head.data(), head.size(), 0), 4);
    try {
        socket.read(milliseconds(1000));
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    }
    theirs.reset();
    EXPECT_FALSE(socket.read(milliseconds(1000)));
}

TEST(LoginTest, OnlyTheRightPasswordAnswersTheChallenge) {
    Challenge challenge = make_challenge();
    EXPECT_FALSE(answers(challenge, Secret("word"), {}));
    EXPECT_FALSE(answers(challenge, Secret(""), Bytes(20, 0)));
    EXPECT_THROW(parse_login(Bytes{1, 2, 3}), Error);
    EXPECT_THROW(parse_login(Bytes(32, 0)), Error);
}

TEST(CommandTest, IsRead) {
    Command query = parse_command(to_bytes("\x03SELECT 1"));
    EXPECT_EQ(query.type, Command::query);
    EXPECT_EQ(query.text, "SELECT 1");
    Bytes dump = {0x12, 4, 0, 0, 0, 2, 0, 99, 0, 0, 0, 'b'};
    Command parsed = parse_command(dump);
    EXPECT_EQ(parsed.position, 4u);
    EXPECT_EQ(parsed.flags, Command::kAnnotate);
    EXPECT_EQ(parsed.server_id, 99u);
    EXPECT_EQ(parsed.text, "b");
    dump.resize(9);
    EXPECT_THROW(parse_command(dump), Error);
    EXPECT_THROW(parse_command({}), Error);
}

// The only row of an answer with one column.
std::string row_of(Session& session, std::string_view statement) {
    std::vector<Bytes> packets = session.answer(statement);
    if (packets.size() != 5) return "no row";
    const Bytes& row = packets[3];
    return row[0] == 0xfb ? "NULL" : std::string(as_text(ByteView(row).subspan(1)));
}

TEST(SessionTest, AnswersWhatReplicasAsk) {
    Session session(17, "10.11.19-MariaDB");
    EXPECT_EQ(row_of(session, "SELECT @@GLOBAL.SERVER_ID"), "17");
    EXPECT_EQ(row_of(session, " select version(); "), "10.11.19-MariaDB");
    EXPECT_EQ(row_of(session, "SELECT @master_binlog_checksum"), "NULL");
    EXPECT_EQ(session.answer("SET @master_binlog_checksum= @@global.binlog_checksum")[0],
              ok_packet());
    EXPECT_EQ(row_of(session, "SELECT @master_binlog_checksum"), "CRC32");
    session.answer("SET @slave_connect_state='0-1-5,1-2-3', @master_heartbeat_period := 1000, x=1");
    EXPECT_EQ(session.variable("slave_connect_state"), "0-1-5,1-2-3");
    EXPECT_EQ(session.number("master_heartbeat_period"), 1000u);
    EXPECT_EQ(session.number("slave_connect_state"), 0u);
    EXPECT_EQ(row_of(session, "SELECT BINLOG_GTID_POS('bin.000001',4)"), "NULL");
    EXPECT_EQ(session.answer("SELECT @@GLOBAL.unheard_of")[0][0], 0xff);
    EXPECT_EQ(session.answer("SHOW VARIABLES LIKE 'x'").size(), 5u);
    EXPECT_EQ(session.answer("DROP TABLE t")[0][0], 0xff);
    EXPECT_EQ(session.answer("")[0][0], 0xff);
}

}  // namespace
}  // namespace sevenfold::database::mariadb::source
