// One value of a row, whatever its type, and its two ways into text: as an SQL literal that stores
// the very same value, and for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/bytes.h"

namespace sevenfold::database::mariadb {

constexpr uint16_t kBinaryCollation = 63;

struct Value {
    enum class Kind : uint8_t {
        null,
        integer,
        natural,  // unsigned
        real32,
        real64,
        decimal,
        text,
        binary,
        enumeration,
        set,
        bits,
        date,
        time,
        datetime,
        timestamp,
        year,
        geometry,
    };
    Kind kind = Kind::null;
    uint64_t number = 0;  // integer: two's complement; enumeration: index from 1; set: bits
    double real = 0;
    // text: in its own character set; decimal, date, time, datetime: as SQL writes them; timestamp:
    // so, in UTC; enumeration, set: the names, where known; geometry: SRID (4 bytes) and WKB.
    std::string bytes;
    uint16_t collation = kBinaryCollation;  // of text, enumeration, set

    bool null() const { return kind == Kind::null; }
    int64_t integer() const { return static_cast<int64_t>(number); }
    bool operator==(const Value&) const = default;
};

// For a session in UTC. Whatever is not printable ASCII is written as hexadecimal with its
// character set. FLOAT and DOUBLE are written with as many digits as their exact value as a double
// needs, so a comparison with the column is exact.
std::string sql_literal(const Value& value);
// The bytes as the server compares them after `BINARY column`: of text, binary and geometry.
std::string binary_literal(const Value& value);
// UTF-8, never empty, at most about `limit` bytes: "NULL", "42", "Müller", "0x00ff…".
std::string display(const Value& value, size_t limit = 200);

// The character set of a collation's number ("utf8mb4"); empty when it is not known.
std::string_view character_set(uint16_t collation);
// A collation of the character set; that of binary when it is not known.
uint16_t collation_of(std::string_view character_set);

}  // namespace sevenfold::database::mariadb
