#include "database/mariadb/source/internal/made_events.h"

#include <fmt/format.h>

#include "core/cursor.h"
#include "database/mariadb/binlog/fields.h"

namespace sevenfold::database::mariadb::source {
namespace {

// Replicated sessions state their settings in front of every statement; these are the server's
// defaults, in utf8mb4.
Bytes query_body(std::string_view database, std::string_view statement) {
    constexpr uint64_t kStrictTables = 1u << 21, kDivisionByZero = 1u << 26,
                       kNoAutoCreateUser = 1u << 28, kNoEngineSubstitution = 1u << 30;
    constexpr uint8_t kFlags2 = 0, kSqlMode = 1, kCharset = 4;
    constexpr uint16_t kUtf8mb4GeneralCi = 45;
    Bytes status;
    append_little(status, kFlags2, 1);
    append_little(status, 0, 4);
    append_little(status, kSqlMode, 1);
    append_little(status,
                  kStrictTables | kDivisionByZero | kNoAutoCreateUser | kNoEngineSubstitution, 8);
    append_little(status, kCharset, 1);
    for (int i = 0; i < 3; ++i)  // client, connection, server
        append_little(status, kUtf8mb4GeneralCi, 2);
    Bytes body;
    append_little(body, 1, 4);  // thread
    append_little(body, 0, 4);  // seconds it took
    append_little(body, database.size(), 1);
    append_little(body, 0, 2);  // error
    append_little(body, status.size(), 2);
    append(body, status);
    append(body, as_bytes(database));
    append_little(body, 0, 1);
    append(body, as_bytes(statement));
    return body;
}

// As SQL has it: X'67',X'62',1.
std::string xid_text(std::string_view xid) {
    Cursor cursor(as_bytes(xid), "name of an XA transaction");
    uint32_t format = cursor.le32();
    size_t global = cursor.u8(), branch = cursor.u8();
    std::string first = to_hex(cursor.take(global)), second = to_hex(cursor.take(branch));
    return fmt::format("X'{}',X'{}',{}", first, second, format);
}

}  // namespace

Bytes sent_description(const Event& archived, bool resumed) {
    constexpr size_t kCreated = kHeaderSize + 2 + 50;
    Bytes out = describe_checksums(archived.raw, decode_format(archived).checksums);
    if (!resumed) return out;
    put_le32(out.data() + kCreated, 0);
    return restamp(out, 0, true);
}

std::vector<Bytes> make_transaction(const Step& begin, const Edit& edit) {
    EventHeader header = begin.event.header;
    header.flags = 0;
    std::vector<Bytes> out;
    auto add_statement = [&](std::string_view database, std::string_view statement) {
        header.type = EventType::query;
        out.push_back(build_event(header, query_body(database, statement), begin.checksum));
    };
    if (edit.kind == Edit::roll_back_xa) {
        out.push_back(to_bytes(begin.event.raw));  // it is ordered after the first half
        add_statement("", "XA ROLLBACK " + xid_text(begin.begin->xid));
        return out;
    }
    // An empty transaction may run at any time. The user's is not run ahead of others: nothing is
    // known of what it depends on.
    GtidEvent gtid{.gtid = begin.begin->gtid, .flags = GtidEvent::kTransactional};
    if (edit.kind == Edit::empty) gtid.flags |= GtidEvent::kAllowParallel;
    bool alone = edit.kind == Edit::statements && commits_itself(edit.replacement->statements[0]);
    if (alone) gtid.flags = GtidEvent::kStandalone | GtidEvent::kDdl;
    out.push_back(make_gtid_event(gtid, header.timestamp, header.next_position, begin.checksum));
    if (edit.kind == Edit::statements)
        for (const std::string& statement : edit.replacement->statements)
            add_statement(edit.replacement->database, statement);
    if (!alone)
        out.push_back(make_xid_event(gtid.gtid.sequence, header.server_id, header.timestamp,
                                     header.next_position, begin.checksum));
    return out;
}

}  // namespace sevenfold::database::mariadb::source
