// Whether an archive of binlogs leads from one position to another.
#pragma once

#include <optional>
#include <string>

#include "database/driver.h"

namespace sevenfold::database::mariadb {

// See Driver::missing_between.
std::optional<std::string> missing_between(const LogArchive& archive,
                                           const database::Position& from,
                                           const database::Position& to);

// See Driver::log_end.
std::optional<LogEnd> log_end(const LogArchive& archive, const database::Position& from,
                              uint64_t limit);

}  // namespace sevenfold::database::mariadb
