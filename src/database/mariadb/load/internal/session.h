// Sessions that load.
#pragma once

#include <string>

#include "database/mariadb/load/load.h"

namespace sevenfold::database::mariadb {

// Checks off, no binlog unless asked for. Throws Error{permission} when the binlog cannot be kept
// out of it.
void prepare_session(sql::MariadbConnection& session, const LoadOptions& options);
// What the server said while loading a table, with what can be done about it.
Error loading_error(const sql::ServerError& error, const std::string& what);
// In what the server differs from the base's, as warnings.
std::vector<std::string> server_differences(sql::MariadbConnection& server,
                                            const BaseManifest& base);

}  // namespace sevenfold::database::mariadb
