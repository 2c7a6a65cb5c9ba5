// The driver for MariaDB.
#pragma once

#include "database/driver.h"
#include "sql/mariadb.h"

namespace sevenfold::database::mariadb {

std::unique_ptr<Driver> make_driver(DriverOptions options);
sql::MariadbOptions connection_options(const ServerLogin& login);

}  // namespace sevenfold::database::mariadb
