#include "database/mariadb/binlog/event.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/crc32.h"
#include "database/mariadb/binlog/fields.h"
#include "database/mariadb/binlog/inflate.h"

namespace sevenfold::database::mariadb {
namespace {

constexpr size_t kChecksumSize = 4;

struct EventName {
    EventType type;
    const char* name;
};
constexpr EventName kNames[] = {
    {EventType::unknown, "Unknown"},
    {EventType::query, "Query"},
    {EventType::stop, "Stop"},
    {EventType::rotate, "Rotate"},
    {EventType::intvar, "Intvar"},
    {EventType::append_block, "Append_block"},
    {EventType::delete_file, "Delete_file"},
    {EventType::rand, "Rand"},
    {EventType::user_var, "User_var"},
    {EventType::format_description, "Format_description"},
    {EventType::xid, "Xid"},
    {EventType::begin_load_query, "Begin_load_query"},
    {EventType::execute_load_query, "Execute_load_query"},
    {EventType::table_map, "Table_map"},
    {EventType::write_rows_v1, "Write_rows_v1"},
    {EventType::update_rows_v1, "Update_rows_v1"},
    {EventType::delete_rows_v1, "Delete_rows_v1"},
    {EventType::incident, "Incident"},
    {EventType::heartbeat, "Heartbeat"},
    {EventType::write_rows_v2, "Write_rows_v2"},
    {EventType::update_rows_v2, "Update_rows_v2"},
    {EventType::delete_rows_v2, "Delete_rows_v2"},
    {EventType::xa_prepare, "Xa_prepare"},
    {EventType::annotate_rows, "Annotate_rows"},
    {EventType::binlog_checkpoint, "Binlog_checkpoint"},
    {EventType::gtid, "Gtid"},
    {EventType::gtid_list, "Gtid_list"},
    {EventType::start_encryption, "Start_encryption"},
    {EventType::query_compressed, "Query_compressed"},
    {EventType::write_rows_compressed_v1, "Write_rows_compressed_v1"},
    {EventType::update_rows_compressed_v1, "Update_rows_compressed_v1"},
    {EventType::delete_rows_compressed_v1, "Delete_rows_compressed_v1"},
    {EventType::write_rows_compressed_v2, "Write_rows_compressed_v2"},
    {EventType::update_rows_compressed_v2, "Update_rows_compressed_v2"},
    {EventType::delete_rows_compressed_v2, "Delete_rows_compressed_v2"},
};

// The status variables of a query event. Their sizes depend on their codes alone, so an unknown
// code ends the reading; what comes after it is not needed.
void read_status(ByteView variables, QueryEvent& query) {
    Cursor in(variables, "status variables of a query event");
    while (!in.done()) {
        switch (in.u8()) {
            case 0:
                query.flags2 = in.le32();
                break;
            case 1:
                query.sql_mode = in.le64();
                break;
            case 2:  // the catalog with a NUL after it, as very old servers wrote it
                in.take(in.u8() + size_t{1});
                break;
            case 3: {
                auto increment = static_cast<uint16_t>(little(in, 2));
                query.auto_increment = {increment, static_cast<uint16_t>(little(in, 2))};
                break;
            }
            case 4: {
                std::array<uint16_t, 3> collations;
                for (uint16_t& c : collations) c = static_cast<uint16_t>(little(in, 2));
                query.collations = collations;
                break;
            }
            case 5:
                query.time_zone = take_text(in, in.u8());
                break;
            case 6:  // the catalog
                in.take(in.u8());
                break;
            case 7:  // lc_time_names
                in.take(2);
                break;
            case 8:
                query.database_collation = static_cast<uint16_t>(little(in, 2));
                break;
            case 9:  // tables of a multi-table update
                in.take(8);
                break;
            case 10:  // size in the master's log
                in.take(4);
                break;
            case 11:
                query.invoker_user = take_text(in, in.u8());
                query.invoker_host = take_text(in, in.u8());
                break;
            case 13:   // MySQL's microseconds
            case 128:  // MariaDB's
                query.microseconds = static_cast<uint32_t>(little(in, 3));
                break;
            case 129:
                query.xid = in.le64();
                break;
            default:
                return;
        }
    }
}

}  // namespace

std::string name(EventType type) {
    for (const EventName& known : kNames)
        if (known.type == type) return known.name;
    return fmt::format("event {}", static_cast<int>(type));
}

bool is_rows(EventType type) {
    auto n = static_cast<uint8_t>(type);
    return (n >= 23 && n <= 25) || (n >= 30 && n <= 32) || (n >= 166 && n <= 171);
}

EventHeader decode_header(ByteView event) {
    Cursor in(event, "event header");
    EventHeader header;
    header.timestamp = in.le32();
    header.type = static_cast<EventType>(in.u8());
    header.server_id = in.le32();
    header.size = in.le32();
    header.next_position = in.le32();
    header.flags = static_cast<uint16_t>(little(in, 2));
    if (header.size < kHeaderSize || header.size > kMaxEventSize)
        throw Error(ErrorKind::corrupt,
                    fmt::format("event header: impossible length {}", header.size));
    return header;
}

Event split_event(ByteView raw, const Format& format, bool verify) {
    Event event{.header = decode_header(raw), .body = {}, .raw = raw};
    if (event.header.size != raw.size())
        throw Error(ErrorKind::corrupt,
                    fmt::format("event of {} bytes says it has {}", raw.size(), event.header.size));
    bool description = event.header.type == EventType::format_description;
    size_t tail = format.checksums || description ? kChecksumSize : 0;
    if (raw.size() < kHeaderSize + tail)
        throw Error(ErrorKind::corrupt, name(event.header.type) + ": truncated");
    event.body = raw.subspan(kHeaderSize, raw.size() - kHeaderSize - tail);
    if (tail == 0 || !verify) return event;
    // A description says itself whether there are checksums; its byte stands before its own one.
    if (description && !event.body.empty() && event.body.back() == 0) return event;
    uint32_t crc;
    if (description) {  // the server sums it before it marks the file as being written
        std::array<uint8_t, kHeaderSize> head;
        std::copy_n(raw.begin(), kHeaderSize, head.begin());
        head[17] &= static_cast<uint8_t>(~kInUse);
        crc = crc32(raw.subspan(kHeaderSize, raw.size() - kHeaderSize - tail), crc32(head));
    } else {
        crc = crc32(raw.first(raw.size() - tail));
    }
    if (crc != get_le32(raw.data() + raw.size() - tail))
        throw Error(ErrorKind::corrupt, name(event.header.type) + ": checksum does not match");
    return event;
}

Format decode_format(const Event& event) {
    Cursor in(event.body, "format description");
    Format format;
    format.binlog_version = static_cast<uint16_t>(little(in, 2));
    std::string version = take_text(in, 50);
    format.server_version = version.substr(0, version.find('\0'));
    format.created = in.le32();
    size_t header_size = in.u8();
    if (format.binlog_version != 4 || header_size != kHeaderSize)
        throw Error(ErrorKind::unsupported,
                    fmt::format("binlog version {} with headers of {} bytes", format.binlog_version,
                                header_size),
                    "The server is older than any that is supported.");
    ByteView tail = rest(in);
    if (tail.empty()) throw Error(ErrorKind::corrupt, "format description: truncated");
    uint8_t algorithm = tail.back();
    if (algorithm > 1)
        throw Error(ErrorKind::unsupported, fmt::format("binlog checksum algorithm {}", algorithm));
    format.checksums = algorithm == 1;
    format.post_header_sizes.assign(tail.begin(), tail.end() - 1);
    return format;
}

RotateEvent decode_rotate(const Event& event) {
    Cursor in(event.body, "rotate event");
    RotateEvent rotate;
    rotate.position = in.le64();
    rotate.file = as_text(rest(in));
    return rotate;
}

QueryEvent decode_query(const Event& event) {
    Cursor in(event.body, "query event");
    QueryEvent query;
    query.thread_id = in.le32();
    query.execution_seconds = in.le32();
    size_t database_size = in.u8();
    query.error_code = static_cast<uint16_t>(little(in, 2));
    size_t status_size = little(in, 2);
    if (event.header.type == EventType::execute_load_query) in.take(13);  // the file, and where
    read_status(in.take(status_size), query);
    query.database = take_text(in, database_size);
    in.take(1);
    if (event.header.type == EventType::query_compressed)
        query.statement = as_text(inflate_record(rest(in)));
    else
        query.statement = as_text(rest(in));
    return query;
}

GtidEvent decode_gtid(const Event& event) {
    Cursor in(event.body, "GTID event");
    GtidEvent out;
    out.gtid.sequence = in.le64();
    out.gtid.domain = in.le32();
    out.gtid.server_id = event.header.server_id;
    out.flags = in.u8();
    if (out.has(GtidEvent::kGroupCommit)) out.commit_id = in.le64();
    if (out.has(GtidEvent::kPreparedXa) || out.has(GtidEvent::kCompletedXa)) {
        Cursor sizes = in;
        sizes.take(4);
        size_t gtrid = sizes.u8(), bqual = sizes.u8();
        out.xid = take_text(in, 6 + gtrid + bqual);
    }
    if (in.done()) return out;
    uint8_t extra = in.u8();
    out.split_alter = (extra & (2 | 4 | 8)) != 0;  // its start, commit or rollback
    if ((extra & 1) != 0) in.take(1);              // number of engines
    if ((extra & (4 | 8)) != 0) in.take(8);        // sequence of a split ALTER's start
    if ((extra & 16) != 0 && in.remaining() >= 4) out.thread_id = in.le32();
    return out;
}

GtidList decode_gtid_list(const Event& event) {
    Cursor in(event.body, "GTID list event");
    uint32_t count = in.le32() & 0x0fffffff;  // above them: flags
    GtidList list;
    for (uint32_t i = 0; i < count; ++i) {
        Gtid gtid;
        gtid.domain = in.le32();
        gtid.server_id = in.le32();
        gtid.sequence = in.le64();
        list.add(gtid);
    }
    return list;
}

std::string decode_annotate_rows(const Event& event) { return std::string(as_text(event.body)); }

uint64_t decode_xid(const Event& event) {
    Cursor in(event.body, "XID event");
    return in.le64();
}

std::string decode_binlog_checkpoint(const Event& event) {
    Cursor in(event.body, "binlog checkpoint event");
    return take_text(in, in.le32());
}

IntvarEvent decode_intvar(const Event& event) {
    Cursor in(event.body, "intvar event");
    auto kind = static_cast<IntvarEvent::Kind>(in.u8());
    return {kind, in.le64()};
}

UserVarEvent decode_user_var(const Event& event) {
    Cursor in(event.body, "user variable event");
    UserVarEvent out;
    out.name = take_text(in, in.le32());
    out.null = in.u8() != 0;
    if (out.null) return out;
    out.type = in.u8();
    out.collation = in.le32();
    out.value = take_text(in, in.le32());
    return out;
}

XaPrepareEvent decode_xa_prepare(const Event& event) {
    Cursor in(event.body, "XA prepare event");
    XaPrepareEvent out;
    out.one_phase = in.u8() != 0;
    out.format_id = in.le32();
    uint32_t gtrid = in.le32(), bqual = in.le32();
    out.gtrid = take_text(in, gtrid);
    out.bqual = take_text(in, bqual);
    return out;
}

void refuse_unreadable(const Event& event) {
    if (event.header.type == EventType::start_encryption)
        throw Error(ErrorKind::unsupported, "the server encrypts its log files",
                    "Stream the log from the server, which sends it decrypted, instead of copying "
                    "its files; or set encrypt_binlog=OFF.");
}

}  // namespace sevenfold::database::mariadb
