// The second copy of a database's stream: where it lies, and what it adds when something is brought
// back.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "protect/database.h"
#include "protect/places.h"

namespace sevenfold::protect {

// <place>-spool/<database> beside the place that stream_second names, with the key of its
// repository. Nothing: none is configured. Throws the place's error when that is not open, and
// Error{config} when it is not one of the database's places.
std::optional<database::SecondSpool> second_spool(const config::AppConfig& config,
                                                  const config::DatabaseConfig& database,
                                                  const std::vector<JobPlace>& places);

// The log in `archives`, and after it what only the second spool has: the last seconds, when the
// machine with the spool is lost. `places` as opened; without the right one among them, or when its
// host does not answer (which is a warning), it is the log of `archives` alone.
std::unique_ptr<database::LogArchive> join_with_second_spool(
    const config::AppConfig& config, const config::DatabaseConfig& database,
    const std::vector<JobPlace>& places,
    std::vector<std::unique_ptr<database::LogArchive>> archives);

}  // namespace sevenfold::protect
