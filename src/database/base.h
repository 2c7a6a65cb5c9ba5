// What a base says of itself: base.json, at the root of its snapshot.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/time.h"

namespace sevenfold::database {

// Where in the server's history something stands.
struct Position {
    std::string gtid;  // every transaction up to here is included: MariaDB's gtid_binlog_pos
    std::string file;  // the server's log file at that moment; empty: it writes none
    uint64_t offset = 0;
    uint64_t server = 0;  // the id of the server whose file it is; 0: not known
    bool operator==(const Position&) const = default;
};

// One table of a logical base.
struct TableContent {
    std::string database, name, engine;
    bool versioned = false;  // its data files hold its history, too
    uint64_t rows = 0;
    // Independent of the order of rows: the sum, modulo 2^64, of the first 8 bytes of each row's
    // SHA-256 as it stands in the data file (little endian).
    uint64_t checksum = 0;
    // Data, in the snapshot, in the order of the key; none: the engine keeps its rows elsewhere.
    std::vector<std::string> files;
    std::vector<std::string> columns;  // those that the data files hold, in their order
    bool operator==(const TableContent&) const = default;
};

// How many objects of each kind there are, by an inventory made over another way than the dump:
// "table", "view", "trigger", "procedure", "function", "event", "sequence", "user".
using ObjectCounts = std::map<std::string, uint64_t>;

struct BaseManifest {
    int format = 1;
    std::string method;  // "logical", "physical"
    std::string driver = "mariadb";
    std::string server_version, tool_version;
    std::string server_host;
    uint64_t server_id = 0;
    Time started, consistent_at, ended;
    Position position;
    std::string data_format;  // logical: "tsv" or "sql"
    std::vector<TableContent> tables;
    std::vector<std::string> schema_files;  // logical: in the order in which they are loaded
    ObjectCounts objects;
    std::map<std::string, std::string> server_variables;  // those that a restored server must share
    // physical: from where in the server's redo log, 0: it is whole; up to where; whether it is as
    // a server left it after a clean stop.
    uint64_t from_lsn = 0, to_lsn = 0;
    bool prepared = false;
    std::string data_folder;  // which one it was, on which host; LSNs of others do not compare
};

std::string encode_base(const BaseManifest& base);  // JSON, for people too
BaseManifest decode_base(ByteView json);            // throws Error{corrupt} or {unsupported}

// A verified position: everything up to it can be had from this place.
struct PointManifest {
    Time time;
    Position position;
    std::string base;         // hex id of the base's snapshot at this place
    std::string incarnation;  // of the log files that lead from there to here; empty: none needed
};
std::string encode_point(const PointManifest& point);
PointManifest decode_point(ByteView json);

}  // namespace sevenfold::database
