// What is asked of a server in more than one place.
#pragma once

#include <span>

#include "database/base.h"
#include "sql/mariadb.h"

namespace sevenfold::database::mariadb {

// Fills in version, host, server id and these global variables.
void describe_server(sql::MariadbConnection& server, std::span<const char* const> variables,
                     BaseManifest& base);

// File and offset of the binlog that the session's snapshot stands at, without one where the server
// is now. An empty file: the server writes none.
database::Position binlog_place(sql::MariadbConnection& server);

}  // namespace sevenfold::database::mariadb
