// A physical base made ready for a restore, and proven, while nobody waits for it.
#pragma once

#include <functional>
#include <string>

#include "protect/database_restore.h"

namespace sevenfold::protect {

struct PrepareBaseOptions {
    std::string base;   // id of a base's snapshot, or its beginning; empty: the newest physical one
    std::string place;  // only from this one; empty: any
    uint64_t memory = 256 << 20;
    std::chrono::milliseconds retry_lock{0};
    Progress* progress = nullptr;
    std::function<void(const std::string& step)> on_step;
    std::stop_token stop;
};

struct PreparedBase {
    std::string from;           // the place that was read
    repository::Snapshot base;  // what was prepared
    bool was_ready = false;     // there was nothing to do
    database::BaseManifest manifest;
    std::vector<files::PlaceResult> places;
    // Kinds of objects of which the database's own server has another number now; nothing when it
    // could not be asked. It goes on meanwhile, so this is no error.
    std::vector<std::string> differences;
    double seconds = 0;
    int exit_code() const;  // 0, or 1 when a place failed
};

// Restores the base to a folder below the state folder, prepares it, starts a server on it, reads
// every table, stops it, and stores the folder at all places as a base of the same moment, which
// restores prefer. The folder is gone on return. Throws Error: not_found without a physical base;
// no_space when the folder would not hold it; corrupt when the base is not what a server can use.
PreparedBase prepare_base(const config::AppConfig& config, const config::DatabaseConfig& database,
                          const std::vector<JobPlace>& places, const PrepareBaseOptions& options);

}  // namespace sevenfold::protect
