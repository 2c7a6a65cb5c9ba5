// Whether a server can read all of its tables.
#pragma once

#include <stop_token>

#include "sql/mariadb.h"

namespace sevenfold::database::mariadb {

// CHECK TABLE for every table, system tables too: pages, rows and keys are read and compared.
// Throws Error{corrupt} naming the first that is damaged and what the server says; {interrupted}.
void check_tables(sql::MariadbConnection& server, std::stop_token stop);

}  // namespace sevenfold::database::mariadb
