#include "database/mariadb/source/internal/made_events.h"

namespace sevenfold::database::source {
namespace {

void put(Bytes& to, uint64_t value, size_t bytes) {
    for (; bytes > 0; --bytes, value >>= 8) to.push_back(static_cast<uint8_t>(value));
}

// Replicated sessions state their settings in front of every statement; these are the server's
// defaults, in utf8mb4.
Bytes query_body(std::string_view database, std::string_view statement) {
    constexpr uint64_t kStrictTables = 1u << 21, kDivisionByZero = 1u << 26,
                       kNoAutoCreateUser = 1u << 28, kNoEngineSubstitution = 1u << 30;
    constexpr uint8_t kFlags2 = 0, kSqlMode = 1, kCharset = 4;
    constexpr uint16_t kUtf8mb4GeneralCi = 45;
    Bytes status;
    put(status, kFlags2, 1);
    put(status, 0, 4);
    put(status, kSqlMode, 1);
    put(status, kStrictTables | kDivisionByZero | kNoAutoCreateUser | kNoEngineSubstitution, 8);
    put(status, kCharset, 1);
    for (int i = 0; i < 3; ++i) put(status, kUtf8mb4GeneralCi, 2);  // client, connection, server
    Bytes body;
    put(body, 1, 4);  // thread
    put(body, 0, 4);  // seconds it took
    put(body, database.size(), 1);
    put(body, 0, 2);  // error
    put(body, status.size(), 2);
    append(body, status);
    append(body, as_bytes(database));
    put(body, 0, 1);
    append(body, as_bytes(statement));
    return body;
}

Bytes gtid_body(const Gtid& gtid, uint8_t flags) {
    Bytes body;
    put(body, gtid.sequence, 8);
    put(body, gtid.domain, 4);
    put(body, flags, 1);
    put(body, 0, 6);  // unused
    return body;
}

}  // namespace

Bytes make_event(EventHeader header, ByteView body, bool checksum) {
    header.size =
        static_cast<uint32_t>(kEventHeaderSize + body.size() + (checksum ? kChecksumSize : 0));
    Bytes out(kEventHeaderSize);
    put_header(out.data(), header);
    append(out, body);
    if (checksum) put(out, checksum_of(out), 4);
    return out;
}

Bytes make_rotate(uint32_t server_id, std::string_view name, uint64_t position, bool checksum) {
    Bytes body;
    put(body, position, 8);
    append(body, as_bytes(name));
    return make_event({.type = kRotateEvent, .server_id = server_id, .flags = kArtificialFlag},
                      body, checksum);
}

Bytes make_heartbeat(uint32_t server_id, std::string_view name, uint32_t position, bool checksum) {
    return make_event({.type = kHeartbeatEvent, .server_id = server_id, .end_pos = position},
                      as_bytes(name), checksum);
}

Bytes make_format_description(const Event& archived, bool resumed) {
    constexpr size_t kCreated = kEventHeaderSize + 2 + 50;
    Bytes out = to_bytes(archived.bytes);
    EventHeader header = archived.header;
    header.flags &= static_cast<uint16_t>(~kInUseFlag);
    if (resumed) {
        header.end_pos = 0;
        put_le32(out.data() + kCreated, 0);
    }
    put_header(out.data(), header);
    size_t covered = out.size() - kChecksumSize;
    put_le32(out.data() + covered, checksum_of(ByteView(out).first(covered)));
    return out;
}

std::vector<Bytes> make_transaction(const Event& begin, const GtidEvent& gtid, const Edit& edit) {
    EventHeader header{.timestamp = begin.header.timestamp,
                       .server_id = begin.header.server_id,
                       .end_pos = begin.header.end_pos};
    std::vector<Bytes> out;
    auto add = [&](uint8_t type, const Bytes& body) {
        header.type = type;
        out.push_back(make_event(header, body, begin.checksum));
    };
    std::vector<std::string> statements;
    std::string database;
    // An empty transaction may run at any time. The user's is not run ahead of others: nothing is
    // known of what it depends on.
    uint8_t flags = GtidEvent::transactional;
    bool alone = false;
    if (edit.kind == Edit::empty) {
        flags |= GtidEvent::allow_parallel;
    } else if (edit.kind == Edit::roll_back_xa) {
        statements = {"XA ROLLBACK " + gtid.xid};
        alone = true;
    } else {
        statements = edit.replacement->statements;
        database = edit.replacement->database;
        alone = commits_itself(statements[0]);
    }
    if (alone) flags = GtidEvent::standalone | GtidEvent::ddl;
    if (edit.kind == Edit::roll_back_xa)  // its flags and name order it after the first half
        out.push_back(to_bytes(begin.bytes));
    else
        add(kGtidEvent, gtid_body(gtid.gtid, flags));
    for (const std::string& statement : statements)
        add(kQueryEvent, query_body(database, statement));
    if (!alone) {
        Bytes xid;
        put(xid, gtid.gtid.sequence, 8);
        add(kXidEvent, xid);
    }
    return out;
}

}  // namespace sevenfold::database::source
