// Events of MariaDB's binlog: the common header, the checksum, and the events that are not rows.
//
// A log file is the magic number and then events, each with a header of 19 bytes that holds its
// length, and, where the file's format description says so, a CRC-32 of all before it at its end.
// Formats: MariaDB's documentation of the replication protocol. Everything here throws
// Error{corrupt} on bytes that are not what they should be.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "database/mariadb/binlog/gtid.h"

namespace sevenfold::database::mariadb {

enum class EventType : uint8_t {
    unknown = 0,
    query = 2,
    stop = 3,
    rotate = 4,
    intvar = 5,
    append_block = 9,
    delete_file = 11,
    rand = 13,
    user_var = 14,
    format_description = 15,
    xid = 16,
    begin_load_query = 17,
    execute_load_query = 18,
    table_map = 19,
    write_rows_v1 = 23,
    update_rows_v1 = 24,
    delete_rows_v1 = 25,
    incident = 26,
    heartbeat = 27,
    write_rows_v2 = 30,
    update_rows_v2 = 31,
    delete_rows_v2 = 32,
    xa_prepare = 38,
    annotate_rows = 160,
    binlog_checkpoint = 161,
    gtid = 162,
    gtid_list = 163,
    start_encryption = 164,
    query_compressed = 165,
    write_rows_compressed_v1 = 166,
    update_rows_compressed_v1 = 167,
    delete_rows_compressed_v1 = 168,
    write_rows_compressed_v2 = 169,
    update_rows_compressed_v2 = 170,
    delete_rows_compressed_v2 = 171,
};
std::string name(EventType type);  // "Query", "Write_rows_v1", "event 99"
bool is_rows(EventType type);

constexpr std::array<uint8_t, 4> kBinlogMagic = {0xfe, 'b', 'i', 'n'};
constexpr size_t kHeaderSize = 19;
constexpr uint32_t kMaxEventSize = 0x7fffffff;

enum EventFlag : uint16_t {
    kInUse = 0x01,  // on the format description of a file that is still being written
    kThreadSpecific = 0x04,
    kSuppressUse = 0x08,
    kArtificial = 0x20,  // made for the connection, not in the server's file
    kIgnorable = 0x80,
    kSkipReplication = 0x8000,
};

struct EventHeader {
    uint32_t timestamp = 0;  // seconds since 1970
    EventType type = EventType::unknown;
    uint32_t server_id = 0;
    uint32_t size = 0;           // of the whole event, header and checksum included
    uint32_t next_position = 0;  // modulo 2^32; 0 for events that are in no file
    uint16_t flags = 0;
};
// Of at least 19 bytes. A length below 19 or above 2 GiB is Error{corrupt}.
EventHeader decode_header(ByteView event);

// What the format description says of all events after it.
struct Format {
    uint16_t binlog_version = 4;
    std::string server_version;
    uint32_t created = 0;
    std::vector<uint8_t> post_header_sizes;  // of type 1, 2, …
    bool checksums = false;
};

// One whole event: header and body without the checksum; a view of the caller's bytes.
struct Event {
    EventHeader header;
    ByteView body;
    ByteView raw;  // all of it
};
// Takes an event apart and verifies its checksum where `format` has them (a format description
// always has one). A wrong one is Error{corrupt}.
Event split_event(ByteView raw, const Format& format, bool verify = true);
Format decode_format(const Event& event);

struct RotateEvent {
    uint64_t position = 4;
    std::string file;
};
RotateEvent decode_rotate(const Event& event);

struct QueryEvent {
    uint32_t thread_id = 0;
    uint32_t execution_seconds = 0;
    uint16_t error_code = 0;
    std::string database;
    std::string statement;  // bytes in the character set of the client
    std::optional<uint32_t> flags2;
    std::optional<uint64_t> sql_mode;
    std::optional<std::array<uint16_t, 3>> collations;  // client, connection, server
    std::optional<uint16_t> database_collation;
    std::optional<std::array<uint16_t, 2>> auto_increment;  // increment, offset
    std::optional<uint32_t> microseconds;
    std::optional<uint64_t> xid;
    std::string time_zone;
    std::string invoker_user, invoker_host;
};
QueryEvent decode_query(const Event& event);  // also compressed and of LOAD DATA

struct GtidEvent {
    Gtid gtid;
    uint8_t flags = 0;
    std::optional<uint64_t> commit_id;
    std::string xid;  // of XA: format, then gtrid and bqual
    std::optional<uint32_t> thread_id;
    bool split_alter = false;  // half of an ALTER TABLE that replicas begin early

    enum Flag : uint8_t {
        kStandalone = 1,
        kGroupCommit = 2,
        kTransactional = 4,
        kAllowParallel = 8,
        kWaited = 16,
        kDdl = 32,
        kPreparedXa = 64,
        kCompletedXa = 128,
    };
    bool has(Flag flag) const { return (flags & flag) != 0; }
};
GtidEvent decode_gtid(const Event& event);
GtidList decode_gtid_list(const Event& event);

std::string decode_annotate_rows(const Event& event);  // the statement
uint64_t decode_xid(const Event& event);
std::string decode_binlog_checkpoint(const Event& event);  // a file's name

struct IntvarEvent {
    enum class Kind : uint8_t { last_insert_id = 1, insert_id = 2 } kind = Kind::insert_id;
    uint64_t value = 0;
};
IntvarEvent decode_intvar(const Event& event);

struct UserVarEvent {
    std::string name;
    bool null = true;
    uint8_t type = 0;  // 0 string, 1 real, 2 integer, 4 decimal
    uint32_t collation = 0;
    std::string value;  // raw
};
UserVarEvent decode_user_var(const Event& event);

struct XaPrepareEvent {
    bool one_phase = false;
    uint32_t format_id = 0;
    std::string gtrid, bqual;
};
XaPrepareEvent decode_xa_prepare(const Event& event);

// Throws Error{unsupported} for an event that makes the rest of a file unreadable: encryption.
void refuse_unreadable(const Event& event);

}  // namespace sevenfold::database::mariadb
