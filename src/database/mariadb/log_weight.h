// What replaying a part of the log will cost, and whether it is to be relied upon.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "database/base.h"
#include "database/log_archive.h"

namespace sevenfold::database::mariadb {

// See Driver::log_bytes.
uint64_t log_bytes(const LogArchive& archive, const database::Position& from,
                   const database::Position& to);
// See Driver::replay_risk. Risky are: statements that rebuild a table or change it in place, and
// rows changed by a statement of which the log has only the text.
std::optional<std::string> replay_risk(const LogArchive& archive, const database::Position& from,
                                       const database::Position& to);

}  // namespace sevenfold::database::mariadb
