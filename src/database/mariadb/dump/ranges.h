// Cutting tables into pieces that can be read by several sessions.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "database/mariadb/dump/schema.h"

namespace sevenfold::database::mariadb {

// SQL conditions of half-open ranges of the primary key's first column; together they take every
// row exactly once. One empty condition: the whole table. Boundaries are round numbers that depend
// on the keys' order of magnitude alone, so that rows that are added do not move them and what is
// unchanged is the same file again.
//
// `extreme("MIN(x)")` asks the server.
std::vector<std::string> cut_table(
    const TableInfo& table, uint64_t piece_bytes,
    const std::function<std::optional<std::string>(const std::string& expression)>& extreme);

}  // namespace sevenfold::database::mariadb
