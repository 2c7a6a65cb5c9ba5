// One column of a row image: how long it is, and what it says.
#pragma once

#include "database/mariadb/binlog/table_map.h"
#include "database/mariadb/binlog/value.h"

namespace sevenfold::database::mariadb {

// How many bytes the value at the start of `bytes` has, its own length included. Throws
// Error{corrupt} when there are fewer.
size_t stored_size(const Column& column, ByteView bytes);
// Of exactly that many bytes.
Value decode_value(const Column& column, ByteView bytes);

}  // namespace sevenfold::database::mariadb
