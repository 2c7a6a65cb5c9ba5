#include "database/mariadb/binlog/value.h"

#include <fmt/format.h>

#include <algorithm>

#include "sql/mariadb.h"

namespace sevenfold::database::mariadb {
namespace {

struct Range {
    uint16_t first, last;
    std::string_view name;
};
// information_schema.COLLATION_CHARACTER_SET_APPLICABILITY of 10.11, numbers below 1024. Those of
// "nopad" collations are 1024 higher.
constexpr Range kCharacterSets[] = {
    {1, 1, "big5"},        {2, 2, "latin2"},      {3, 3, "dec8"},        {4, 4, "cp850"},
    {5, 5, "latin1"},      {6, 6, "hp8"},         {7, 7, "koi8r"},       {8, 8, "latin1"},
    {9, 9, "latin2"},      {10, 10, "swe7"},      {11, 11, "ascii"},     {12, 12, "ujis"},
    {13, 13, "sjis"},      {14, 14, "cp1251"},    {15, 15, "latin1"},    {16, 16, "hebrew"},
    {18, 18, "tis620"},    {19, 19, "euckr"},     {20, 20, "latin7"},    {21, 21, "latin2"},
    {22, 22, "koi8u"},     {23, 23, "cp1251"},    {24, 24, "gb2312"},    {25, 25, "greek"},
    {26, 26, "cp1250"},    {27, 27, "latin2"},    {28, 28, "gbk"},       {29, 29, "cp1257"},
    {30, 30, "latin5"},    {31, 31, "latin1"},    {32, 32, "armscii8"},  {33, 33, "utf8mb3"},
    {34, 34, "cp1250"},    {35, 35, "ucs2"},      {36, 36, "cp866"},     {37, 37, "keybcs2"},
    {38, 38, "macce"},     {39, 39, "macroman"},  {40, 40, "cp852"},     {41, 42, "latin7"},
    {43, 43, "macce"},     {44, 44, "cp1250"},    {45, 46, "utf8mb4"},   {47, 49, "latin1"},
    {50, 52, "cp1251"},    {53, 53, "macroman"},  {54, 55, "utf16"},     {56, 56, "utf16le"},
    {57, 57, "cp1256"},    {58, 59, "cp1257"},    {60, 61, "utf32"},     {62, 62, "utf16le"},
    {63, 63, "binary"},    {64, 64, "armscii8"},  {65, 65, "ascii"},     {66, 66, "cp1250"},
    {67, 67, "cp1256"},    {68, 68, "cp866"},     {69, 69, "dec8"},      {70, 70, "greek"},
    {71, 71, "hebrew"},    {72, 72, "hp8"},       {73, 73, "keybcs2"},   {74, 74, "koi8r"},
    {75, 75, "koi8u"},     {77, 77, "latin2"},    {78, 78, "latin5"},    {79, 79, "latin7"},
    {80, 80, "cp850"},     {81, 81, "cp852"},     {82, 82, "swe7"},      {83, 83, "utf8mb3"},
    {84, 84, "big5"},      {85, 85, "euckr"},     {86, 86, "gb2312"},    {87, 87, "gbk"},
    {88, 88, "sjis"},      {89, 89, "tis620"},    {90, 90, "ucs2"},      {91, 91, "ujis"},
    {92, 93, "geostd8"},   {94, 94, "latin1"},    {95, 96, "cp932"},     {97, 98, "eucjpms"},
    {99, 99, "cp1250"},    {101, 124, "utf16"},   {128, 151, "ucs2"},    {159, 159, "ucs2"},
    {160, 183, "utf32"},   {192, 215, "utf8mb3"}, {223, 223, "utf8mb3"}, {224, 247, "utf8mb4"},
    {576, 578, "utf8mb3"}, {608, 610, "utf8mb4"}, {640, 642, "ucs2"},    {672, 674, "utf16"},
    {736, 738, "utf32"},
};
// From 2048 on (uca1400) the number is made of the character set and the tailoring.
constexpr std::string_view kUnicodeSets[] = {"utf8mb3", "utf8mb4", "ucs2", "utf16", "utf32"};

bool plain(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c <= 0x7e && c != '\\'; });
}
// Character sets in which printable ASCII bytes are what they look like.
bool has_ascii(std::string_view set) {
    return !set.empty() && set != "ucs2" && !set.starts_with("utf16") && set != "utf32" &&
           set != "swe7";
}
std::string in_quotes(std::string_view text) {
    std::string out = "'";
    for (char c : text) {
        if (c == '\'') out += '\'';
        out += c;
    }
    return out + "'";
}
std::string hex_literal(std::string_view bytes) { return "X'" + to_hex(as_bytes(bytes)) + "'"; }

std::string text_literal(const Value& value) {
    std::string_view set = character_set(value.collation);
    if (has_ascii(set) && plain(value.bytes)) return in_quotes(value.bytes);
    if (set.empty()) return hex_literal(value.bytes);
    return fmt::format("_{} {}", set, hex_literal(value.bytes));
}

// Names where they are known and plain, else the number, which stands for the same.
std::string member_literal(const Value& value) {
    bool named =
        !value.bytes.empty() && plain(value.bytes) && has_ascii(character_set(value.collation));
    if (named) return in_quotes(value.bytes);
    return fmt::format("{}", value.number);
}

std::string real_literal(double value) {
    std::string digits = fmt::format("{}", value);
    return digits.find('e') == std::string::npos ? digits + "e0" : digits;  // not a DECIMAL
}

std::string geometry_literal(const Value& value) {
    if (value.bytes.size() < 5) return hex_literal(value.bytes);
    auto bytes = as_bytes(value.bytes);
    return fmt::format("ST_GeomFromWKB({}, {})",
                       hex_literal(std::string_view(value.bytes).substr(4)),
                       get_le32(bytes.data()));
}

// The length of the UTF-8 sequence at the start, 0 when there is none.
size_t utf8_sequence(std::string_view text) {
    auto lead = static_cast<uint8_t>(text[0]);
    size_t size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (lead > 0xf4 || size > text.size()) return 0;
    for (size_t i = 1; i < size; ++i)
        if ((static_cast<uint8_t>(text[i]) & 0xc0) != 0x80) return 0;
    return size;
}

void append_visible(std::string& out, std::string_view sequence) {
    auto c = static_cast<uint8_t>(sequence[0]);
    if (sequence.size() == 1 && (c < 0x20 || c == 0x7f))
        out += fmt::format("\\x{:02x}", c);
    else
        out += sequence;
}

std::string hex_for_people(std::string_view bytes, size_t limit) {
    size_t shown = std::min(bytes.size(), limit / 2);
    return "0x" + to_hex(as_bytes(bytes.substr(0, shown))) + (shown < bytes.size() ? "…" : "");
}

std::string text_for_people(const Value& value, size_t limit) {
    std::string_view set = character_set(value.collation), rest = value.bytes;
    std::string out;
    if (!has_ascii(set)) return hex_for_people(value.bytes, limit);
    while (!rest.empty() && out.size() < limit) {
        size_t size = utf8_sequence(rest);
        auto byte = static_cast<uint8_t>(rest[0]);
        if (size == 1 || (size > 1 && set.starts_with("utf8"))) {
            append_visible(out, rest.substr(0, size));
        } else if (set == "latin1" && byte >= 0xa0) {
            out += static_cast<char>(0xc0 | byte >> 6);
            out += static_cast<char>(0x80 | (byte & 0x3f));
            size = 1;
        } else {
            return hex_for_people(value.bytes, limit);
        }
        rest.remove_prefix(size);
    }
    return out.empty() ? "''" : out + (rest.empty() ? "" : "…");
}

}  // namespace

std::string_view character_set(uint16_t collation) {
    if (collation >= 2048) {
        size_t set = (collation - 2048) >> 8;
        return set < std::size(kUnicodeSets) ? kUnicodeSets[set] : std::string_view();
    }
    uint16_t number = collation & 0x3ff;
    for (const Range& range : kCharacterSets)
        if (number >= range.first && number <= range.last) return range.name;
    return {};
}

uint16_t collation_of(std::string_view character_set) {
    if (character_set == "utf8") character_set = "utf8mb3";
    for (const Range& range : kCharacterSets)
        if (range.name == character_set) return range.first;
    return kBinaryCollation;
}

std::string sql_literal(const Value& value) {
    using Kind = Value::Kind;
    switch (value.kind) {
        case Kind::null:
            return "NULL";
        case Kind::integer:
            return fmt::format("{}", value.integer());
        case Kind::natural:
        case Kind::bits:
        case Kind::year:
            return fmt::format("{}", value.number);
        case Kind::real32:
        case Kind::real64:
            return real_literal(value.real);
        case Kind::decimal:
            return value.bytes;
        case Kind::text:
            return text_literal(value);
        case Kind::binary:
            return hex_literal(value.bytes);
        case Kind::enumeration:
        case Kind::set:
            return member_literal(value);
        case Kind::geometry:
            return geometry_literal(value);
        default:
            return in_quotes(value.bytes);
    }
}

std::string binary_literal(const Value& value) {
    return value.null() ? "NULL" : hex_literal(value.bytes);
}

std::string display(const Value& value, size_t limit) {
    using Kind = Value::Kind;
    switch (value.kind) {
        case Kind::text:
            return text_for_people(value, limit);
        case Kind::enumeration:
        case Kind::set:
            if (value.bytes.empty()) return fmt::format("{}", value.number);
            return text_for_people(value, limit);
        case Kind::binary:
        case Kind::geometry:
            return hex_for_people(value.bytes, limit);
        case Kind::real32:
            return fmt::format("{}", static_cast<float>(value.real));
        case Kind::real64:
            return fmt::format("{}", value.real);
        case Kind::year:
            return fmt::format("{:04}", value.number);
        case Kind::integer:
        case Kind::natural:
        case Kind::bits:
        case Kind::null:
            return sql_literal(value);
        default:
            return value.bytes;
    }
}

}  // namespace sevenfold::database::mariadb
