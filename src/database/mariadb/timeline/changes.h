// The changes of rows of one transaction, with the names of their columns.
#pragma once

#include <functional>
#include <string>

#include "database/mariadb/binlog/reader.h"
#include "database/mariadb/timeline/schema.h"

namespace sevenfold::database::mariadb {

struct ChangedRow {
    // With names: the log's own (binlog_row_metadata=FULL), else those of the schema when it has as
    // many columns, else "@1", "@2", …
    const TableMap& table;
    const TableSchema* schema;  // nullptr when the source does not know the table
    const RowChange& row;
    const std::string& statement;  // as annotated; empty when the log does not say
    uint16_t flags;                // RowsEvent::Flag
    uint64_t offset;               // of the row event
};

// Calls `visit` for every changed row in the order of the log, until it returns false; memory is
// one event. `schemas` may be nullptr. What is passed is valid during the call only.
void visit_changes(const LogArchive& archive, const Transaction& transaction, SchemaSource* schemas,
                   const std::function<bool(const ChangedRow&)>& visit);

// Fills in what the log left out of a table's description.
void complete(TableMap& map, const TableSchema* schema);
// The members of "enum('a','it''s')" or "set(…)".
std::vector<std::string> parse_members(std::string_view column_type);

// The place of a column in the table map.
std::optional<size_t> column_at(const TableMap& map, const std::string& name);
// The numbers of the primary key's columns; empty when there is none, or it is not known.
std::vector<size_t> primary_key_of(const TableMap& map, const TableSchema* schema);
// All of them, or nothing when one is not there.
std::optional<std::vector<size_t>> columns_at(const TableMap& map,
                                              const std::vector<std::string>& names);

// Equal for equal values of a column, wherever they came from. With `folded`, text is compared
// without ASCII case and trailing spaces, as most collations do: never more different than they.
std::string value_key(const Value& value, bool folded);
// Of several columns; nothing when one is NULL or not in the image.
std::optional<std::string> row_key(const RowImage& image, const std::vector<size_t>& columns,
                                   bool folded);
// "id=5, name=x" for people.
std::string display_columns(const TableMap& map, const RowImage& image,
                            const std::vector<size_t>& columns);

}  // namespace sevenfold::database::mariadb
