// Reading the rows of a table in the form in which they are stored.
#pragma once

#include <functional>
#include <string>

#include "core/bytes.h"
#include "database/mariadb/dump/row_format.h"
#include "database/mariadb/dump/schema.h"
#include "sql/mariadb.h"

namespace sevenfold::database::mariadb {

// The rows of one table (a condition, or ""), in the way the dump reads them: ordered by the
// primary key. Used for checksums of what was loaded, too. Returns the number of rows and adds
// their hashes to `checksum`. When `sink` throws, the session cannot be used any more.
uint64_t read_rows(sql::MariadbConnection& session, const TableInfo& table,
                   const std::string& condition, RowFormat format, uint64_t& checksum,
                   const std::function<void(ByteView)>& sink);
// Makes a session give rows as read_rows needs them.
void prepare_for_rows(sql::MariadbConnection& session);

}  // namespace sevenfold::database::mariadb
