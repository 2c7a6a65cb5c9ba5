// Whether an archive of binlogs leads from one position to another.
#pragma once

#include <optional>
#include <string>

#include "database/base.h"
#include "database/log_archive.h"

namespace sevenfold::database::mariadb {

// See Driver::missing_between.
std::optional<std::string> missing_between(const LogArchive& archive,
                                           const database::Position& from,
                                           const database::Position& to);

}  // namespace sevenfold::database::mariadb
