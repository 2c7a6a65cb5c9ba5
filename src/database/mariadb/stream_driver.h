// The receiver, in the words of database/driver.h.
#pragma once

#include "database/driver.h"
#include "sql/mariadb.h"

namespace sevenfold::database::mariadb {

std::unique_ptr<LogReceiver> make_receiver(const sql::MariadbOptions& login,
                                           const StreamRequest& request,
                                           const StreamCallbacks& callbacks);

}  // namespace sevenfold::database::mariadb
