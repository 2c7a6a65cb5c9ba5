// Cutting tables into pieces that can be read by several sessions.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "database/mariadb/dump/schema.h"

namespace sevenfold::database::mariadb {

using Ask = std::function<std::vector<sql::Row>(const std::string& query)>;

// SQL conditions of half-open ranges of the primary key; together they take every row exactly once.
// One empty condition: the whole table.
//
// Boundaries depend on the keys and not on how many rows stand before them, so that what is
// unchanged is the same file again: multiples of a power of two for integers; for other keys those
// whose checksum is a multiple of one, which costs a scan of the smallest index.
std::vector<std::string> cut_table(const TableInfo& table, uint64_t piece_bytes, const Ask& ask);

}  // namespace sevenfold::database::mariadb
