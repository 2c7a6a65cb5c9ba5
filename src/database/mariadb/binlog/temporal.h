// Dates and times of row images: the packed formats of MySQL 5.6 (time2, datetime2, timestamp2),
// the older ones, and MariaDB's own with fractions of before (mysql56_temporal_format=OFF).
#pragma once

#include "database/mariadb/binlog/table_map.h"
#include "database/mariadb/binlog/value.h"

namespace sevenfold::database::mariadb {

// MariaDB's own formats with fractions carry no metadata in the log: `scale` of their columns must
// be set by who knows the table, else they are taken as being without fractions.
size_t temporal_size(const Column& column);
Value decode_temporal(const Column& column, ByteView bytes);

}  // namespace sevenfold::database::mariadb
