#include "database/mariadb/binlog/column_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "core/check.h"
#include "database/mariadb/binlog/fields.h"
#include "database/mariadb/binlog/inflate.h"
#include "database/mariadb/binlog/temporal.h"

namespace sevenfold::database::mariadb {
namespace {

// Decimals are stored in groups of nine digits of four bytes; a shorter group takes fewer.
constexpr std::array<size_t, 10> kDigitBytes = {0, 1, 1, 2, 2, 3, 3, 4, 4, 4};

size_t decimal_size(const Column& column) {
    if (column.length > 65 || column.scale > column.length)
        throw Error(ErrorKind::corrupt, "decimal: impossible number of digits");
    size_t whole = column.length - column.scale;
    return whole / 9 * 4 + kDigitBytes[whole % 9] + column.scale / 9 * size_t{4} +
           kDigitBytes[column.scale % 9];
}

void append_group(std::string& out, Cursor& in, size_t digits, bool negative) {
    ByteView stored = in.take(kDigitBytes[digits]);
    uint64_t v = 0;
    for (uint8_t b : stored) v = v << 8 | (negative ? static_cast<uint8_t>(~b) : b);
    out += fmt::format("{:0{}}", v, digits);
}

// The sign is the inverse of the first bit; a negative number has all bytes inverted.
std::string decimal_text(const Column& column, ByteView bytes) {
    Bytes copy = to_bytes(bytes);
    if (copy.empty()) return "0";
    bool negative = (copy[0] & 0x80) == 0;
    copy[0] ^= 0x80;
    Cursor in(copy, "decimal");
    size_t whole = column.length - column.scale, scale = column.scale;
    std::string digits;
    if (whole % 9 != 0) append_group(digits, in, whole % 9, negative);
    for (size_t i = 0; i < whole / 9; ++i) append_group(digits, in, 9, negative);
    digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
    std::string out = (negative ? "-" : "") + (digits.empty() ? "0" : digits);
    if (scale == 0) return out;
    out += '.';
    for (size_t i = 0; i < scale / 9; ++i) append_group(out, in, 9, negative);
    if (scale % 9 != 0) append_group(out, in, scale % 9, negative);
    return out;
}

// Of the types whose length stands before them: the width of that length. 0: another type.
size_t prefix_width(const Column& column) {
    switch (column.type) {
        case ColumnType::varchar:
        case ColumnType::var_string:
        case ColumnType::varchar_compressed:
        case ColumnType::string:
            return column.length > 255 ? 2 : 1;
        case ColumnType::blob:
        case ColumnType::tiny_blob:
        case ColumnType::medium_blob:
        case ColumnType::long_blob:
        case ColumnType::blob_compressed:
        case ColumnType::json:
        case ColumnType::geometry:
            if (column.length == 0 || column.length > 4)
                throw Error(ErrorKind::corrupt, "blob: impossible width of its length");
            return column.length;
        default:
            return 0;
    }
}

size_t fixed_size(const Column& column) {
    switch (column.type) {
        case ColumnType::tiny:
        case ColumnType::year:
            return 1;
        case ColumnType::small:
            return 2;
        case ColumnType::medium:
            return 3;
        case ColumnType::integer:
        case ColumnType::real32:
            return 4;
        case ColumnType::big:
        case ColumnType::real64:
            return 8;
        case ColumnType::decimal:
            return decimal_size(column);
        case ColumnType::enumeration:
        case ColumnType::set:
        case ColumnType::bit:
            return column.length;
        default:
            return temporal_size(column);
    }
}

Value integer_value(const Column& column, ByteView bytes) {
    uint64_t v = little_endian(bytes);
    if (column.is_unsigned) return {.kind = Value::Kind::natural, .number = v};
    unsigned unused = 64 - 8 * static_cast<unsigned>(bytes.size());
    auto extended = static_cast<int64_t>(v << unused) >> unused;
    return {.kind = Value::Kind::integer, .number = static_cast<uint64_t>(extended)};
}

Value string_value(const Column& column, ByteView bytes) {
    Value value;
    value.collation = column.collation.value_or(kBinaryCollation);
    value.kind = value.collation == kBinaryCollation ? Value::Kind::binary : Value::Kind::text;
    if (column.type == ColumnType::json) value.kind = Value::Kind::text, value.collation = 46;
    if (column.type == ColumnType::geometry) value.kind = Value::Kind::geometry;
    bool compressed =
        column.type == ColumnType::varchar_compressed || column.type == ColumnType::blob_compressed;
    value.bytes = compressed ? as_text(inflate_column(bytes)) : as_text(bytes);
    // BINARY(n), UUID and INET6 travel without the zero bytes at their end.
    if (column.type == ColumnType::string && column.collation == kBinaryCollation &&
        value.bytes.size() < column.length)
        value.bytes.resize(column.length, '\0');
    return value;
}

Value member_value(const Column& column, ByteView bytes) {
    Value value{.number = little_endian(bytes)};
    value.collation = column.collation.value_or(kBinaryCollation);
    if (column.type == ColumnType::enumeration) {
        value.kind = Value::Kind::enumeration;
        if (value.number >= 1 && value.number <= column.members.size())
            value.bytes = column.members[value.number - 1];
        return value;
    }
    value.kind = Value::Kind::set;
    for (size_t i = 0; i < column.members.size() && i < 64; ++i) {
        if ((value.number >> i & 1) == 0) continue;
        if (!value.bytes.empty()) value.bytes += ',';
        value.bytes += column.members[i];
    }
    return value;
}

}  // namespace

size_t stored_size(const Column& column, ByteView bytes) {
    Cursor in(bytes, "row");
    if (size_t width = prefix_width(column)) {
        uint64_t size = little(in, width);
        in.take(size);
        return width + size;
    }
    size_t size = fixed_size(column);
    in.take(size);
    return size;
}

Value decode_value(const Column& column, ByteView bytes) {
    using Kind = Value::Kind;
    if (size_t width = prefix_width(column)) {
        CHECK(bytes.size() >= width);
        return string_value(column, bytes.subspan(width));
    }
    switch (column.type) {
        case ColumnType::tiny:
        case ColumnType::small:
        case ColumnType::medium:
        case ColumnType::integer:
        case ColumnType::big:
            return integer_value(column, bytes);
        case ColumnType::year:
            return {.kind = Kind::year, .number = bytes[0] == 0 ? 0 : bytes[0] + uint64_t{1900}};
        case ColumnType::real32:
            return {.kind = Kind::real32,
                    .real = std::bit_cast<float>(static_cast<uint32_t>(little_endian(bytes)))};
        case ColumnType::real64:
            return {.kind = Kind::real64, .real = std::bit_cast<double>(little_endian(bytes))};
        case ColumnType::decimal:
            return {.kind = Kind::decimal, .bytes = decimal_text(column, bytes)};
        case ColumnType::bit:
            return {.kind = Kind::bits,
                    .number = big_endian(bytes.last(std::min<size_t>(bytes.size(), 8)))};
        case ColumnType::enumeration:
        case ColumnType::set:
            return member_value(column, bytes);
        default:
            return decode_temporal(column, bytes);
    }
}

}  // namespace sevenfold::database::mariadb
