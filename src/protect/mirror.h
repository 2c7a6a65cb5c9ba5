// Mirrors as jobs: what is remembered between runs, the checks before, the comparison after.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "config/config.h"
#include "mirror/mirror.h"

namespace sevenfold::protect {

struct MirrorRunOptions {
    bool dry_run = false;
    bool force = false;                  // do it although it looks like an accident
    bool checksum = false;               // compare content instead of size and time
    bool verify = false;                 // afterwards, read both sides and compare
    mirror::Mirror::OnChange on_change;  // gets the plan; may be null
    Progress* progress = nullptr;
    std::stop_token stop;
};

struct MirrorRun {
    mirror::Plan plan;
    std::vector<std::string> refusals;  // why nothing was done; of a dry run, why it would not be
    mirror::Outcome outcome;
    std::string stamp;  // the dated folder, if anything went there
    std::vector<std::string> expired;
    std::optional<mirror::Plan> after;  // what still differed afterwards, by size and time
    std::vector<std::string> damaged;   // by content although not by size and time; at most 100
    uint64_t damaged_count = 0;
    bool done = false;  // false: refused, or a dry run
};

// One run. Holds the mirror's lock in the state folder meanwhile; Error{locked} when another run
// has it. Throws what the mirror throws; a refused run is no exception, but `refusals`.
MirrorRun run_mirror(const config::AppConfig& config, const config::MirrorConfig& mirror,
                     const MirrorRunOptions& options);

// How the catalog says a mirror is.
struct MirrorStatus {
    const config::MirrorConfig* mirror = nullptr;
    enum class State { good, late, missing } state = State::missing;
    std::optional<catalog::RunRecord> newest;      // that succeeded
    std::optional<catalog::RunRecord> failed_run;  // the last one, if it did not
    bool holds() const { return state == State::good; }
};
std::vector<MirrorStatus> get_mirror_status(const config::AppConfig& config,
                                            catalog::Catalog* catalog, const Time& now);

}  // namespace sevenfold::protect
