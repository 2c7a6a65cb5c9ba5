// Whether a server is set up such that nothing that it acknowledged can be lost.
#pragma once

#include <vector>

#include "database/driver.h"
#include "sql/mariadb.h"

namespace sevenfold::database::mariadb {

// What should be otherwise, the serious first, each with the statement that sets it. Several
// defaults of MariaDB 10.11 are among them. Right: as the stream's account.
std::vector<StreamFinding> check_stream(const sql::MariadbOptions& login);

}  // namespace sevenfold::database::mariadb
