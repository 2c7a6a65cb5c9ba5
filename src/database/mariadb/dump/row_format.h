// Rows as text: tab-separated for LOAD DATA, or multi-row INSERT statements.
//
// Values are the raw bytes of their column's character set: the session has SET NAMES binary, and
// the loader reads with CHARACTER SET binary, so that any character set comes back byte for byte.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "sql/mariadb.h"

namespace sevenfold::database::mariadb {

enum class RowFormat { tsv, sql };

// How a column's values are written into SQL.
enum class ColumnKind {
    number,  // as it is
    text,    // printable in most cases; quoted with its character set
    binary,  // hexadecimal
};

struct RowColumn {
    std::string name;
    ColumnKind kind = ColumnKind::text;
    std::string charset;  // of text, "utf8mb4"
};

// Appends "a\tb\\N\n". Escaped: tab, newline, carriage return, backslash, NUL, and the rest as it
// is.
void append_tsv_row(Bytes& out, const sql::RowView& row);
// Appends "(1,'x',NULL)".
void append_sql_row(Bytes& out, const sql::RowView& row, const std::vector<RowColumn>& columns);

// The part of a row's hash that is summed over all rows of a table (see TableContent::checksum).
uint64_t row_hash(ByteView tsv_row);
// Sums the hashes of rows, two at a time.
class RowChecksum {
  public:
    // `tsv_row` must stay until the next but one call, or sum().
    void add(ByteView tsv_row);
    uint64_t sum();

  private:
    ByteView waiting_;
    uint64_t sum_ = 0;
};

}  // namespace sevenfold::database::mariadb
