// Rule 2: the data of every database lives in at least two places at once, and can be brought back
// to a moment that is not older than its schedule allows.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "protect/database.h"
#include "protect/restore_rate.h"
#include "protect/status.h"

namespace sevenfold::protect {

// From `from` on any transaction can be restored, up to `to`: the newest base or point, or, where
// the stream's log leads on from it, the log's last transaction.
struct RecoverableInterval {
    Time from, to;
    std::string from_gtid, to_gtid;
    size_t bases = 0, points = 0;
};

struct DatabaseCopy : Copy {
    std::optional<Time> newest;                    // moment that is proven recoverable
    std::string newest_gtid, newest_kind, method;  // kind: "base", "point", "log"
    std::vector<RecoverableInterval> intervals;    // oldest first
    uint64_t bytes = 0;                            // of the newest base
    uint64_t log_bytes = 0;                        // from it to the newest point
    std::optional<RestorePrediction> restore;      // to the newest moment, from this copy
};

struct DatabaseStatus {
    std::string name;
    std::chrono::nanoseconds allowed_age{};
    std::vector<DatabaseCopy> copies;
    std::vector<std::string> good_domains;
    bool holds = false;
};

// `places` are those of the configuration, in its order. A place that has a database's second spool
// is judged with it.
std::vector<DatabaseStatus> get_database_status(const config::AppConfig& config,
                                                const std::vector<JobPlace>& places,
                                                catalog::Catalog* catalog, const Time& now);

}  // namespace sevenfold::protect
