// Times as people type them.
#pragma once

#include <optional>
#include <string>

#include "core/time.h"

namespace sevenfold::cli {

// "2026-11-20", "2026-11-20 12:00", "2026-11-20 12:00:00" in the local zone, until its end, as
// `snapshots` shows times without fractions; or RFC 3339, as --json has it.
std::optional<Time> parse_time(const std::string& text);

}  // namespace sevenfold::cli
