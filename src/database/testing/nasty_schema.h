// A database with everything that is hard to copy.
#pragma once

#include "sql/mariadb.h"

namespace sevenfold::database {

// Makes the databases `nasty` and `odd``name.%` with some rows in every table.
void make_nasty_schema(sql::MariadbConnection& connection);
// "table checksum" lines of every base table of these databases, as the server computes them.
std::string checksums(sql::MariadbConnection& connection,
                      const std::vector<std::string>& databases = {"nasty", "odd`name.%"});

}  // namespace sevenfold::database
