#include "database/mariadb/binlog/rows.h"

#include <fmt/format.h>

#include "database/mariadb/binlog/column_value.h"
#include "database/mariadb/binlog/fields.h"
#include "database/mariadb/binlog/inflate.h"

namespace sevenfold::database::mariadb {
namespace {

constexpr uint64_t kMaxColumns = 4096;

struct Shape {
    ChangeKind kind;
    bool second_version, compressed;
};

Shape shape_of(EventType type) {
    auto number = static_cast<uint8_t>(type);
    uint8_t first = number >= 169 ? 169 : number >= 166 ? 166 : number >= 30 ? 30 : 23;
    return {static_cast<ChangeKind>(number - first), first == 30 || first == 169, number >= 166};
}

}  // namespace

std::string_view name(ChangeKind kind) {
    switch (kind) {
        case ChangeKind::inserted:
            return "insert";
        case ChangeKind::updated:
            return "update";
        default:
            return "delete";
    }
}

RowsHead decode_rows_head(const Event& event) {
    Cursor in(event.body, "row event");
    uint64_t table_id = little(in, 6);
    return {table_id, static_cast<uint16_t>(little(in, 2))};
}

RowsEvent decode_rows(const Event& event, const Format& format) {
    if (!is_rows(event.header.type)) throw Error(ErrorKind::internal, "not a row event");
    Shape shape = shape_of(event.header.type);
    size_t at = static_cast<size_t>(event.header.type) - 1;
    if (at < format.post_header_sizes.size() &&
        format.post_header_sizes[at] != (shape.second_version ? 10 : 8))
        throw Error(ErrorKind::unsupported, "row events of a server before MariaDB 5.1");
    Cursor in(event.body, "row event");
    RowsEvent out;
    out.kind = shape.kind;
    out.table_id = little(in, 6);
    out.flags = static_cast<uint16_t>(little(in, 2));
    if (shape.second_version) {
        uint64_t extra = little(in, 2);  // counts itself
        if (extra < 2) throw Error(ErrorKind::corrupt, "row event: extra data");
        in.take(extra - 2);
    }
    out.columns = length_encoded(in);
    if (out.columns > kMaxColumns) throw Error(ErrorKind::corrupt, "row event: too many columns");
    ByteView first = in.take((out.columns + 7) / 8);
    if (shape.kind == ChangeKind::inserted)
        out.after = first;
    else
        out.before = first;
    if (shape.kind == ChangeKind::updated) out.after = in.take((out.columns + 7) / 8);
    out.rows = rest(in);
    if (shape.compressed && !out.rows.empty()) {
        out.unpacked = inflate_record(out.rows);
        out.rows = out.unpacked;
    }
    return out;
}

RowReader::RowReader(const RowsEvent& event, const TableMap& table)
    : event_(event), table_(table), rest_(event.rows) {
    if (event.columns != table.columns.size())
        throw Error(ErrorKind::corrupt,
                    fmt::format("row event of {} columns for {} with {}", event.columns,
                                table.display(), table.columns.size()));
}

void RowReader::read_image(ByteView present, RowImage* image) {
    size_t shown = 0, columns = table_.columns.size();
    for (size_t i = 0; i < columns; ++i) shown += bit(present, i) ? 1 : 0;
    Cursor in(rest_, "row");
    ByteView nulls = in.take((shown + 7) / 8);
    rest_ = rest_.subspan(nulls.size());
    if (image != nullptr) image->assign(columns, std::nullopt);
    for (size_t i = 0, at = 0; i < columns; ++i) {
        if (!bit(present, i)) continue;
        if (bit(nulls, at++)) {
            if (image != nullptr) (*image)[i].emplace();
            continue;
        }
        size_t size = stored_size(table_.columns[i], rest_);
        if (image != nullptr) (*image)[i] = decode_value(table_.columns[i], rest_.first(size));
        rest_ = rest_.subspan(size);
    }
}

bool RowReader::next(RowChange& row) {
    row.kind = event_.kind;
    row.before.clear();
    row.after.clear();
    if (rest_.empty()) return false;
    size_t left = rest_.size();
    if (event_.kind != ChangeKind::inserted) read_image(event_.before, &row.before);
    if (event_.kind != ChangeKind::deleted) read_image(event_.after, &row.after);
    // A row that takes no bytes would never end.
    if (rest_.size() == left) throw Error(ErrorKind::corrupt, "row event: rows without columns");
    return true;
}

bool RowReader::skip() {
    if (rest_.empty()) return false;
    size_t left = rest_.size();
    if (event_.kind != ChangeKind::inserted) read_image(event_.before, nullptr);
    if (event_.kind != ChangeKind::deleted) read_image(event_.after, nullptr);
    if (rest_.size() == left) throw Error(ErrorKind::corrupt, "row event: rows without columns");
    return true;
}

uint64_t count_rows(const RowsEvent& event, const TableMap& table) {
    RowReader reader(event, table);
    uint64_t rows = 0;
    while (reader.skip()) ++rows;
    return rows;
}

}  // namespace sevenfold::database::mariadb
