#include "database/mariadb/binlog/encode.h"

#include "core/check.h"
#include "core/crc32.h"
#include "database/mariadb/binlog/fields.h"

namespace sevenfold::database::mariadb {
namespace {

constexpr size_t kSizeAt = 9, kNextAt = 13, kFlagsAt = 17;
constexpr size_t kChecksumSize = 4;

void append_checksum(Bytes& event) { append_little(event, crc32(event), 4); }

EventHeader header_of(EventType type, uint32_t server_id, uint32_t timestamp,
                      uint32_t next_position) {
    return {.timestamp = timestamp,
            .type = type,
            .server_id = server_id,
            .next_position = next_position};
}

}  // namespace

Bytes build_event(EventHeader header, ByteView body, bool checksum) {
    size_t size = kHeaderSize + body.size() + (checksum ? kChecksumSize : 0);
    CHECK(size <= kMaxEventSize);
    Bytes out;
    out.reserve(size);
    append_little(out, header.timestamp, 4);
    out.push_back(static_cast<uint8_t>(header.type));
    append_little(out, header.server_id, 4);
    append_little(out, size, 4);
    append_little(out, header.next_position, 4);
    append_little(out, header.flags, 2);
    append(out, body);
    if (checksum) append_checksum(out);
    return out;
}

Bytes restamp(ByteView event, uint32_t next_position, bool has_checksum) {
    decode_header(event);
    Bytes out = to_bytes(event);
    put_le32(out.data() + kNextAt, next_position);
    if (!has_checksum) return out;
    CHECK(out.size() >= kHeaderSize + kChecksumSize);
    out.resize(out.size() - kChecksumSize);
    append_checksum(out);
    return out;
}

Bytes with_checksum(ByteView event, bool has_checksum, bool wanted) {
    CHECK(decode_header(event).type != EventType::format_description);
    Bytes out = to_bytes(event);
    if (has_checksum == wanted) return out;
    if (has_checksum) {
        CHECK(out.size() >= kHeaderSize + kChecksumSize);
        out.resize(out.size() - kChecksumSize);
    }
    put_le32(out.data() + kSizeAt,
             static_cast<uint32_t>(out.size() + (wanted ? kChecksumSize : 0)));
    if (wanted) append_checksum(out);
    return out;
}

Bytes describe_checksums(ByteView format_description, bool checksums) {
    CHECK(decode_header(format_description).type == EventType::format_description);
    CHECK(format_description.size() > kHeaderSize + kChecksumSize);
    Bytes out = to_bytes(format_description.first(format_description.size() - kChecksumSize));
    out[kFlagsAt] &= static_cast<uint8_t>(~kInUse);
    out.back() = checksums ? 1 : 0;
    append_checksum(out);
    return out;
}

Bytes make_fake_rotate(uint32_t server_id, const std::string& file, uint64_t position,
                       bool checksum) {
    EventHeader header = header_of(EventType::rotate, server_id, 0, 0);
    header.flags = kArtificial;
    Bytes body;
    append_little(body, position, 8);
    append(body, as_bytes(file));
    return build_event(header, body, checksum);
}

Bytes make_gtid_event(const GtidEvent& gtid, uint32_t timestamp, uint32_t next_position,
                      bool checksum) {
    constexpr size_t kSmallestBody = 19;  // servers refuse shorter ones
    Bytes body;
    append_little(body, gtid.gtid.sequence, 8);
    append_little(body, gtid.gtid.domain, 4);
    uint8_t flags = gtid.flags & static_cast<uint8_t>(~GtidEvent::kGroupCommit);
    if (gtid.commit_id) flags |= GtidEvent::kGroupCommit;
    body.push_back(flags);
    if (gtid.commit_id) append_little(body, *gtid.commit_id, 8);
    append(body, as_bytes(gtid.xid));
    while (body.size() < kSmallestBody) body.push_back(0);
    return build_event(header_of(EventType::gtid, gtid.gtid.server_id, timestamp, next_position),
                       body, checksum);
}

Bytes make_gtid_list_event(const GtidList& list, uint32_t server_id, uint32_t timestamp,
                           uint32_t next_position, bool checksum) {
    std::vector<Gtid> gtids = list.all();
    Bytes body;
    append_little(body, gtids.size(), 4);
    for (const Gtid& gtid : gtids) {
        append_little(body, gtid.domain, 4);
        append_little(body, gtid.server_id, 4);
        append_little(body, gtid.sequence, 8);
    }
    if (gtids.empty()) append_little(body, 0, 2);  // servers refuse a body below six bytes
    return build_event(header_of(EventType::gtid_list, server_id, timestamp, next_position), body,
                       checksum);
}

Bytes make_query_event(std::string_view statement, const std::string& database, uint32_t server_id,
                       uint32_t timestamp, uint32_t next_position, bool checksum) {
    CHECK(database.size() < 256);
    Bytes body;
    append_little(body, 0, 8);  // thread, seconds
    body.push_back(static_cast<uint8_t>(database.size()));
    append_little(body, 0, 4);  // error, size of status variables
    append(body, as_bytes(database));
    body.push_back(0);
    append(body, as_bytes(statement));
    return build_event(header_of(EventType::query, server_id, timestamp, next_position), body,
                       checksum);
}

Bytes make_xid_event(uint64_t xid, uint32_t server_id, uint32_t timestamp, uint32_t next_position,
                     bool checksum) {
    Bytes body;
    append_little(body, xid, 8);
    return build_event(header_of(EventType::xid, server_id, timestamp, next_position), body,
                       checksum);
}

Bytes make_heartbeat(uint32_t server_id, const std::string& file, uint32_t position,
                     bool checksum) {
    EventHeader header = header_of(EventType::heartbeat, server_id, 0, position);
    header.flags = kArtificial;
    return build_event(header, as_bytes(file), checksum);
}

}  // namespace sevenfold::database::mariadb
