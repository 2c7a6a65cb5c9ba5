// Statements for databases under other names.
#pragma once

#include <map>
#include <string>

namespace sevenfold::database::mariadb {

using DatabaseNames = std::map<std::string, std::string>;  // old -> new

// A statement of a base with the databases' new names: USE, CREATE and ALTER DATABASE, and wherever
// a name is followed by a dot, outside of texts and comments. In the bodies of stored programs an
// alias that is called as a database is taken for one. `ansi_quotes`: names may stand in "".
std::string rename_databases(const std::string& statement, const DatabaseNames& names,
                             bool ansi_quotes = false);

}  // namespace sevenfold::database::mariadb
