// Whether the places are well, looked at from outside: each can be reached, lets us in, takes and
// gives back a small file, has a recent snapshot of each source, has space left, shows the right
// time, a certificate and keys that are still valid, and gives back some of what it holds.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "config/config.h"
#include "core/error.h"
#include "core/time.h"

namespace sevenfold::protect {

struct HealthCheck {
    enum class State { ok, unsupported, unknown, warning, failed };  // from the best to the worst

    std::string name;     // see docs/manual/ping.md
    std::string subject;  // of "newest": the source; else empty
    State state = State::unknown;
    std::string evidence;  // may hold names from outside
    std::string hint;
    ErrorKind kind =
        ErrorKind::rule;  // of a failure; rule: nothing broke, but it is not as it must be
};
// "ok", "not supported here", "unknown", "warning", "failed".
std::string_view name(HealthCheck::State state);

struct PlaceHealth {
    std::string place;
    std::vector<HealthCheck> checks;  // in the order in which they were made
    bool opens = false, writable = false;
    std::optional<std::chrono::nanoseconds> latency;  // of one small request
    std::optional<size_t> snapshots;
    std::optional<Time> newest;
    std::optional<uint64_t> free_space, used;  // bytes
    std::optional<double> days_until_full;
    std::optional<std::chrono::nanoseconds> clock_ahead;  // the place's, of ours

    HealthCheck::State worst() const;
    const HealthCheck* first_failure() const;  // of what broke, else of what is not as it must be
};

struct HealthOptions {
    std::chrono::nanoseconds deadline = std::chrono::seconds(60);  // for each place, all in all
    bool read_only = false;                                        // stores nothing
    std::stop_token stop;
    const Clock* clock = &Clock::system();
};

// All places at once. Takes `deadline` and some seconds at most: a place that hangs fails the check
// that was under way. With a catalog, the results are recorded, reading back goes on where it
// ended, and the space's history is known; without one (null), reading back starts anew.
std::vector<PlaceHealth> check_health(const config::AppConfig& config,
                                      const std::vector<const config::PlaceConfig*>& places,
                                      catalog::Catalog* catalog, const HealthOptions& options);

// Days until nothing is left, by a line through the points (oldest first); nothing with fewer than
// two, with less than an hour between first and last, or when the space does not shrink.
std::optional<double> days_until_full(const std::vector<catalog::SpacePoint>& points);

}  // namespace sevenfold::protect
