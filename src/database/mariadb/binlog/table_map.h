// The description of a table that precedes its rows in the log.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "database/mariadb/binlog/event.h"
#include "database/mariadb/binlog/value.h"

namespace sevenfold::database::mariadb {

enum class ColumnType : uint8_t {
    tiny = 1,
    small = 2,
    integer = 3,
    real32 = 4,
    real64 = 5,
    timestamp = 7,
    big = 8,
    medium = 9,
    date = 10,
    time = 11,
    datetime = 12,
    year = 13,
    new_date = 14,
    varchar = 15,
    bit = 16,
    timestamp2 = 17,
    datetime2 = 18,
    time2 = 19,
    blob_compressed = 140,
    varchar_compressed = 141,
    json = 245,
    decimal = 246,
    enumeration = 247,
    set = 248,
    tiny_blob = 249,
    medium_blob = 250,
    long_blob = 251,
    blob = 252,
    var_string = 253,
    string = 254,
    geometry = 255,
};

struct Column {
    ColumnType type = ColumnType::integer;
    // Lengths: of varchar and string the most bytes, of blobs the bytes of their length, of
    // enumeration and set those of the value, of bit the bytes; decimal: its digits; temporal types
    // with fractions: decimals.
    uint16_t length = 0;
    uint8_t scale = 0;  // of decimal: digits after the point; of the old temporal types: decimals
    bool nullable = true;
    bool is_unsigned = false;
    // Without it (binlog_row_metadata below FULL or MINIMAL) strings are taken as binary.
    std::optional<uint16_t> collation;
    std::string name;                  // empty below FULL
    std::vector<std::string> members;  // of enumeration and set, in the column's character set

    bool numeric() const;    // has a sign in the metadata
    bool character() const;  // has a collation in the metadata; not enumeration and set
    bool has_members() const { return type == ColumnType::enumeration || type == ColumnType::set; }
};

struct TableMap {
    uint64_t id = 0;
    uint16_t flags = 0;
    std::string database, table;
    std::vector<Column> columns;
    std::vector<size_t> primary_key;  // numbers of columns; empty below FULL
    bool named() const { return !columns.empty() && !columns.front().name.empty(); }
    std::string display() const { return database + "." + table; }
};

// Throws Error{corrupt}, {unsupported} for a type that is not known.
TableMap decode_table_map(const Event& event, const Format& format);

}  // namespace sevenfold::database::mariadb
