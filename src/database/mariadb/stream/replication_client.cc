#include "database/mariadb/stream/replication_client.h"

#include <fmt/format.h>
#include <mysql.h>
// After mysql.h, whose types it uses; with the structure that holds OpenSSL's object.
#define HAVE_TLS
using uchar = unsigned char;  // which they expect to be there
#include <ma_pvio.h>
#include <openssl/ssl.h>
#include <poll.h>

#include <cerrno>

#include "core/crc32.h"
#include "core/cursor.h"

namespace sevenfold::database::mariadb {
namespace {

constexpr int kComBinlogDump = 0x12, kComRegisterSlave = 0x15, kComSemiSyncAck = 0xef;
constexpr uint8_t kSemiSyncMagic = 0xef, kAckWanted = 0x01;
constexpr uint16_t kSendAnnotations = 0x02;
constexpr size_t kLengthAt = 9;  // in an event's header

void put(Bytes& to, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) to.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

sql::MariadbOptions with_timeout(const ReplicationOptions& options) {
    sql::MariadbOptions out = options.connection;
    out.io_timeout = options.io_timeout;
    out.program = "sevenfold stream";
    return out;
}

Error unknown_library(const std::string& what) {
    return Error(
        ErrorKind::unsupported, fmt::format("Connector/C {}: {}", mysql_get_client_info(), what),
        fmt::format("This program was built for Connector/C {}; use that library, or build "
                    "it anew.",
                    MARIADB_PACKAGE_VERSION));
}

}  // namespace

Event split_made_event(ByteView raw) {
    size_t tail = raw.size() - 4;
    bool sums =
        raw.size() > kHeaderSize + 4 && crc32(raw.first(tail)) == get_le32(raw.data() + tail);
    Format format;
    format.checksums = sums;
    return split_event(raw, format);
}

ReplicationClient::ReplicationClient(const ReplicationOptions& options)
    : options_(options), connection_(with_timeout(options)) {
    self_test();
    set_up();
    register_replica();
}

void ReplicationClient::self_test() {
    MYSQL* m = connection_.handle();
    auto require = [](bool holds, const char* what) {
        if (!holds) throw unknown_library(what);
    };
    // The structures may change with a minor version.
    require(mysql_get_client_version() / 100 == MARIADB_PACKAGE_VERSION_ID / 100,
            "another version than at build time");
    require(m->net.fd == mysql_get_socket(m), "its structures are not as expected (socket)");
    require(m->thread_id == mysql_thread_id(m), "its structures are not as expected (thread)");
    require(m->net.pvio != nullptr && m->net.pvio->mysql == m && m->net.pvio->cache != nullptr,
            "its structures are not as expected (reader)");
    require(m->methods != nullptr && m->methods->db_command != nullptr,
            "its structures are not as expected (commands)");
    require(!m->net.compress, "the connection is compressed");
    if (m->net.pvio->ctls != nullptr) {
        const char* library = nullptr;
        mariadb_get_infov(m, MARIADB_TLS_LIBRARY, &library);
        require(
            library != nullptr && std::string_view(library).find("OpenSSL") != std::string::npos,
            "its TLS is not OpenSSL's");
        require(m->net.pvio->ctls->ssl != nullptr, "its structures are not as expected (TLS)");
    }
    command(COM_PING, {}, true, "ping");
}

// `answered`: waits for the server's OK. Else the packet numbers that reading needs are kept.
void ReplicationClient::command(int number, ByteView payload, bool answered, const char* what) {
    MYSQL* m = connection_.handle();
    if (m->net.pvio == nullptr) throw Error(ErrorKind::network, "the connection is closed");
    unsigned packet_number = m->net.pkt_nr;
    int failed = m->methods->db_command(m, static_cast<enum_server_command>(number),
                                        reinterpret_cast<const char*>(payload.data()),
                                        payload.size(), answered ? 0 : 1, nullptr);
    if (failed) connection_.throw_last_error(what);
    if (number == kComSemiSyncAck) m->net.pkt_nr = packet_number;
}

void ReplicationClient::set_up() {
    auto nanoseconds = std::chrono::nanoseconds(options_.heartbeat).count();
    connection_.execute(fmt::format("SET @master_heartbeat_period={}", nanoseconds));
    // Tells the server that we understand checksums, whatever it uses.
    connection_.execute("SET @master_binlog_checksum=@@global.binlog_checksum");
    // Everything MariaDB writes, nothing rewritten for an older replica.
    connection_.execute("SET @mariadb_slave_capability=4");
    if (options_.semi_sync) connection_.execute("SET @rpl_semi_sync_slave=1");
}

void ReplicationClient::register_replica() {
    Bytes payload;
    put(payload, options_.server_id, 4);
    for (std::string_view text : {"sevenfold", "", ""}) {
        put(payload, text.size(), 1);
        append(payload, as_bytes(text));
    }
    put(payload, 0, 2);  // port
    put(payload, 0, 4);  // rank
    put(payload, 0, 4);  // the server's id: it knows
    command(kComRegisterSlave, payload, true, "register as a replica");
}

void ReplicationClient::dump(const std::string& file, uint64_t offset) {
    if (offset > UINT32_MAX)
        throw Error(ErrorKind::internal, fmt::format("{}: {} is no place to begin", file, offset));
    Bytes payload;
    put(payload, offset, 4);
    put(payload, kSendAnnotations, 2);
    put(payload, options_.server_id, 4);
    append(payload, as_bytes(file));
    command(kComBinlogDump, payload, false, "ask for the binlog");
}

std::string ReplicationClient::find_file(const std::string& gtids) {
    connection_.execute("SET @slave_connect_state=" + sql::quote_text(gtids));
    dump("", kBinlogMagic.size());
    // The first event says where the server begins; only heartbeats may come before it.
    for (;;) {
        ByteView raw = read().bytes;
        EventHeader header = decode_header(raw);
        if (header.type == EventType::heartbeat) continue;
        if (header.type != EventType::rotate)
            throw Error(ErrorKind::corrupt, "the server does not say where its binlog begins");
        return decode_rotate(split_made_event(raw)).file;
    }
}

bool ReplicationClient::wait(std::chrono::milliseconds timeout) {
    MYSQL* m = connection_.handle();
    MARIADB_PVIO* in = m->net.pvio;
    if (in == nullptr) throw Error(ErrorKind::network, "the connection is closed");
    // What was read ahead does not show at the socket.
    if (in->cache_pos < in->cache + in->cache_size) return true;
    if (in->ctls != nullptr && SSL_pending(static_cast<SSL*>(in->ctls->ssl)) > 0) return true;
    pollfd fd{mysql_get_socket(m), POLLIN, 0};
    int n = ::poll(&fd, 1, static_cast<int>(timeout.count()));
    if (n < 0 && errno != EINTR) throw errno_error("wait for the binlog");
    return n > 0;
}

ReceivedEvent ReplicationClient::read() {
    MYSQL* m = connection_.handle();
    unsigned long length = mysql_net_read_packet(m);
    if (length == packet_error) connection_.throw_last_error("receive the binlog");
    Cursor in(ByteView(m->net.read_pos, length), "binlog packet");
    uint8_t status = in.u8();
    if (status == 0xfe && length < 9)
        throw Error(ErrorKind::network, "the server ended the stream of its binlog");
    if (status != 0)
        throw Error(ErrorKind::corrupt, fmt::format("binlog packet: unknown status {}", status));
    ReceivedEvent event;
    if (options_.semi_sync) {
        // A server whose semi-sync is off sends none. The event's own length tells them apart.
        ByteView rest(m->net.read_pos + 1, length - 1);
        has_flags_ = rest.size() >= kHeaderSize + 2 && rest[0] == kSemiSyncMagic &&
                     get_le32(rest.data() + 2 + kLengthAt) == rest.size() - 2;
        if (has_flags_) {
            in.u8();
            event.ack_wanted = (in.u8() & kAckWanted) != 0;
        }
    }
    event.bytes = in.take(in.remaining());
    // The server begins to count anew after an event that waits.
    if (event.ack_wanted) m->net.pkt_nr = 1;
    return event;
}

void ReplicationClient::ack(const std::string& file, uint64_t offset) {
    Bytes payload;
    put(payload, offset, 8);
    append(payload, as_bytes(file));
    command(kComSemiSyncAck, payload, false, "acknowledge");
}

}  // namespace sevenfold::database::mariadb
