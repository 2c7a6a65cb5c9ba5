// Row events: which rows were inserted, updated and deleted, value by value.
#pragma once

#include <optional>
#include <vector>

#include "database/mariadb/binlog/event.h"
#include "database/mariadb/binlog/table_map.h"
#include "database/mariadb/binlog/value.h"

namespace sevenfold::database::mariadb {

enum class ChangeKind : uint8_t { inserted, updated, deleted };
std::string_view name(ChangeKind kind);  // "insert", "update", "delete"

// By column of the table map. A column that the image leaves out (binlog_row_image MINIMAL, NOBLOB)
// has no value, which is not NULL.
using RowImage = std::vector<std::optional<Value>>;

struct RowChange {
    ChangeKind kind = ChangeKind::inserted;
    RowImage before;  // empty for an insert
    RowImage after;   // empty for a delete
};

// A row event; holds views of the event's bytes unless they were compressed.
struct RowsEvent {
    enum Flag : uint16_t {
        kStatementEnd = 1,
        kNoForeignKeyChecks = 2,
        kRelaxedUniqueChecks = 4,
    };
    ChangeKind kind = ChangeKind::inserted;
    uint64_t table_id = 0;
    uint16_t flags = 0;
    size_t columns = 0;
    ByteView before, after;  // bitmaps of the columns in the images; empty: no such image
    ByteView rows;
    Bytes unpacked;  // what `rows` views when the event was compressed

    RowsEvent() = default;
    RowsEvent(RowsEvent&&) = default;
    RowsEvent& operator=(RowsEvent&&) = default;
};
RowsEvent decode_rows(const Event& event, const Format& format);
// The table's number and flags alone; nothing is unpacked.
struct RowsHead {
    uint64_t table_id = 0;
    uint16_t flags = 0;
};
RowsHead decode_rows_head(const Event& event);

// Goes through the rows of one event; both must outlive it. Throws Error{corrupt}.
class RowReader {
  public:
    RowReader(const RowsEvent& event, const TableMap& table);
    bool next(RowChange& row);
    bool skip();  // as next, without decoding

  private:
    void read_image(ByteView present, RowImage* image);

    const RowsEvent& event_;
    const TableMap& table_;
    ByteView rest_;
};
uint64_t count_rows(const RowsEvent& event, const TableMap& table);

}  // namespace sevenfold::database::mariadb
