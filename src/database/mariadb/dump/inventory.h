// What a server holds, found out over another way than the dump reads it: a dump that misses
// something is told apart from a server that has no more.
#pragma once

#include <string>
#include <vector>

#include "database/base.h"
#include "database/mariadb/dump/schema.h"

namespace sevenfold::database::mariadb {

// The number of objects of each kind in some databases: from SHOW statements and the server's own
// tables (mysql.*), while the dump goes by information_schema. "user" only if `users`.
ObjectCounts count_objects(sql::MariadbConnection& connection, const Selection& selection,
                           const std::vector<std::string>& databases, bool users);

// Tables that InnoDB has in its dictionary and `schema` does not hold although they are selected:
// either invisible to the account or left over from a crash. Empty when the account lacks PROCESS.
std::vector<std::string> tables_only_innodb_knows(sql::MariadbConnection& connection,
                                                  const Selection& selection, const Schema& schema);

// Things on the server that a logical base never holds, as sentences for people.
std::vector<std::string> left_out(sql::MariadbConnection& connection);

}  // namespace sevenfold::database::mariadb
