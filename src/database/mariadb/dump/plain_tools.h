// What makes a base loadable with the stock client alone.
#pragma once

#include <string>
#include <vector>

#include "database/base.h"
#include "database/mariadb/dump/schema.h"

namespace sevenfold::database::mariadb {

// "30-tables/shop/orders.sql".
std::string table_file(const std::string& database, const std::string& table);
// LOAD DATA for one data file; `local_name` is what the client opens.
std::string load_statement(const std::string& database, const TableContent& table,
                           const std::string& local_name);
// A script for `mariadb --local-infile=1 < load.sql`, run in the base's folder.
std::string load_script(const BaseManifest& base);
std::string readme(const BaseManifest& base);

}  // namespace sevenfold::database::mariadb
