// Before transactions are left out of a replay: what builds on them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "protect/database_history.h"

namespace sevenfold::protect {

struct SkipPreview {
    // Per transaction that is to be left out, in the order given; those added come last.
    struct Skipped {
        std::string id;
        database::ConflictPreview preview;
    };
    std::vector<Skipped> skipped;
    // Later ones up to the restore's goal that build on them and are not left out themselves.
    std::vector<database::LaterConflict> dependents;
    // Why it cannot be told what builds on some of them: DDL, statement format.
    std::vector<std::string> unknown;
};

// `with_dependents`: those are left out as well, and what builds on them, and so on. Keys come from
// `server` as they are now. Throws Error: not_found for a transaction that the log does not have;
// refused when there are too many dependents to list.
SkipPreview preview_skip(database::Timeline& timeline, const database::Driver& driver,
                         const database::ServerLogin& server, std::vector<std::string> skip,
                         const database::ReplayRequest::Until& until, bool with_dependents);

}  // namespace sevenfold::protect
