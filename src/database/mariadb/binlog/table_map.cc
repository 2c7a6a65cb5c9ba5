#include "database/mariadb/binlog/table_map.h"

#include <fmt/format.h>

#include "database/mariadb/binlog/fields.h"

namespace sevenfold::database::mariadb {
namespace {

constexpr uint64_t kMaxColumns = 4096;  // the server's own limit

enum MetadataField : uint8_t {
    kSignedness = 1,
    kDefaultCollation = 2,
    kColumnCollation = 3,
    kColumnName = 4,
    kSetMembers = 5,
    kEnumMembers = 6,
    kPrimaryKey = 8,
    kPrimaryKeyWithPrefix = 9,
    kMemberDefaultCollation = 10,
    kMemberColumnCollation = 11,
};

// CHAR, BINARY, ENUM and SET share one type: the first byte of the metadata holds the real one, and
// for lengths above 255 two bits of the length, inverted.
void read_string_metadata(Cursor& in, Column& column) {
    uint8_t first = in.u8(), second = in.u8();
    if ((first & 0x30) != 0x30) {
        column.length = static_cast<uint16_t>(second | ((first & 0x30) ^ 0x30) << 4);
        first |= 0x30;
    } else {
        column.length = second;
    }
    column.type = static_cast<ColumnType>(first);
    if (column.type != ColumnType::string && !column.has_members())
        throw Error(ErrorKind::corrupt, fmt::format("table map: string of type {}", first));
    if (column.has_members() && (column.length == 0 || column.length > 8))
        throw Error(ErrorKind::corrupt, "table map: impossible size of an enum or set");
}

void read_type_metadata(Cursor& in, Column& column) {
    switch (column.type) {
        case ColumnType::tiny:
        case ColumnType::small:
        case ColumnType::medium:
        case ColumnType::integer:
        case ColumnType::big:
        case ColumnType::year:
        case ColumnType::date:
        case ColumnType::new_date:
        case ColumnType::time:
        case ColumnType::datetime:
        case ColumnType::timestamp:
            break;
        case ColumnType::real32:
        case ColumnType::real64:
        case ColumnType::timestamp2:
        case ColumnType::datetime2:
        case ColumnType::time2:
        case ColumnType::blob:
        case ColumnType::tiny_blob:
        case ColumnType::medium_blob:
        case ColumnType::long_blob:
        case ColumnType::blob_compressed:
        case ColumnType::json:
        case ColumnType::geometry:
            column.length = in.u8();
            break;
        case ColumnType::varchar:
        case ColumnType::var_string:
        case ColumnType::varchar_compressed:
            column.length = static_cast<uint16_t>(little(in, 2));
            break;
        case ColumnType::bit: {
            uint8_t bits = in.u8(), bytes = in.u8();
            column.length = static_cast<uint16_t>(bytes + (bits != 0 ? 1 : 0));
            break;
        }
        case ColumnType::decimal:
            column.length = in.u8();
            column.scale = in.u8();
            break;
        case ColumnType::string:
        case ColumnType::enumeration:
        case ColumnType::set:
            read_string_metadata(in, column);
            break;
        default:
            throw Error(ErrorKind::unsupported,
                        fmt::format("column type {} in the log", static_cast<int>(column.type)));
    }
}

std::vector<Column*> chosen(TableMap& map, bool (Column::*wanted)() const) {
    std::vector<Column*> out;
    for (Column& column : map.columns)
        if ((column.*wanted)()) out.push_back(&column);
    return out;
}

void read_default_collation(Cursor& in, const std::vector<Column*>& columns) {
    auto common = static_cast<uint16_t>(length_encoded(in));
    for (Column* column : columns) column->collation = common;
    while (!in.done()) {
        uint64_t at = length_encoded(in);
        auto collation = static_cast<uint16_t>(length_encoded(in));
        if (at < columns.size()) columns[at]->collation = collation;
    }
}

void read_collations(Cursor& in, const std::vector<Column*>& columns) {
    for (Column* column : columns) {
        if (in.done()) return;
        column->collation = static_cast<uint16_t>(length_encoded(in));
    }
}

void read_members(Cursor& in, TableMap& map, ColumnType type) {
    for (Column& column : map.columns) {
        if (column.type != type || in.done()) continue;
        uint64_t count = length_encoded(in);
        if (count > in.remaining()) throw Error(ErrorKind::corrupt, "table map: too many members");
        for (uint64_t i = 0; i < count; ++i) column.members.push_back(length_encoded_text(in));
    }
}

void read_primary_key(Cursor& in, TableMap& map, bool prefixes) {
    while (!in.done()) {
        uint64_t at = length_encoded(in);
        if (prefixes) length_encoded(in);
        if (at >= map.columns.size()) throw Error(ErrorKind::corrupt, "table map: key column");
        map.primary_key.push_back(at);
    }
}

void read_field(uint8_t field, Cursor& in, TableMap& map) {
    switch (field) {
        case kSignedness: {
            size_t at = 0;
            ByteView bits = rest(in);
            for (Column* column : chosen(map, &Column::numeric)) {
                if (at / 8 >= bits.size()) break;
                column->is_unsigned = (bits[at / 8] & (0x80 >> (at % 8))) != 0;
                ++at;
            }
            break;
        }
        case kDefaultCollation:
            return read_default_collation(in, chosen(map, &Column::character));
        case kColumnCollation:
            return read_collations(in, chosen(map, &Column::character));
        case kMemberDefaultCollation:
            return read_default_collation(in, chosen(map, &Column::has_members));
        case kMemberColumnCollation:
            return read_collations(in, chosen(map, &Column::has_members));
        case kColumnName:
            for (Column& column : map.columns)
                if (!in.done()) column.name = length_encoded_text(in);
            break;
        case kSetMembers:
            return read_members(in, map, ColumnType::set);
        case kEnumMembers:
            return read_members(in, map, ColumnType::enumeration);
        case kPrimaryKey:
        case kPrimaryKeyWithPrefix:
            return read_primary_key(in, map, field == kPrimaryKeyWithPrefix);
        default:  // the kind of geometry, and what newer servers add
            break;
    }
}

}  // namespace

bool Column::numeric() const {
    switch (type) {
        case ColumnType::tiny:
        case ColumnType::small:
        case ColumnType::medium:
        case ColumnType::integer:
        case ColumnType::big:
        case ColumnType::real32:
        case ColumnType::real64:
        case ColumnType::decimal:
        case ColumnType::year:
            return true;
        default:
            return false;
    }
}

bool Column::character() const {
    switch (type) {
        case ColumnType::varchar:
        case ColumnType::varchar_compressed:
        case ColumnType::var_string:
        case ColumnType::string:
        case ColumnType::blob:
        case ColumnType::tiny_blob:
        case ColumnType::medium_blob:
        case ColumnType::long_blob:
        case ColumnType::blob_compressed:
        case ColumnType::geometry:
            return true;
        default:
            return false;
    }
}

TableMap decode_table_map(const Event& event, const Format& format) {
    size_t at = static_cast<size_t>(EventType::table_map) - 1;
    if (at < format.post_header_sizes.size() && format.post_header_sizes[at] < 8)
        throw Error(ErrorKind::unsupported, "table maps of a server before MariaDB 5.1");
    Cursor in(event.body, "table map");
    TableMap map;
    map.id = little(in, 6);
    map.flags = static_cast<uint16_t>(little(in, 2));
    map.database = take_text(in, in.u8());
    in.take(1);
    map.table = take_text(in, in.u8());
    in.take(1);
    uint64_t count = length_encoded(in);
    if (count > kMaxColumns) throw Error(ErrorKind::corrupt, "table map: too many columns");
    for (uint8_t type : in.take(count))
        map.columns.push_back({.type = static_cast<ColumnType>(type)});
    uint64_t metadata_size = length_encoded(in);
    if (metadata_size > in.remaining()) throw Error(ErrorKind::corrupt, "table map: truncated");
    Cursor metadata(in.take(metadata_size), "table map");
    for (Column& column : map.columns) read_type_metadata(metadata, column);
    ByteView nullable = in.take((count + 7) / 8);
    for (size_t i = 0; i < count; ++i) map.columns[i].nullable = bit(nullable, i);
    while (!in.done()) {
        uint8_t field = in.u8();
        uint64_t size = length_encoded(in);
        if (size > in.remaining()) throw Error(ErrorKind::corrupt, "table map: truncated");
        Cursor content(in.take(size), "table map");
        read_field(field, content, map);
    }
    return map;
}

}  // namespace sevenfold::database::mariadb
