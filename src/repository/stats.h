// How much is in some snapshots, counted as restic's `stats` counts it.
#pragma once

#include <span>
#include <stop_token>
#include <string_view>

#include "repository/snapshot.h"

namespace sevenfold::repository {

enum class StatsMode {
    restore_size,       // what restoring all of them would write
    files_by_contents,  // each distinct file content once
    blobs_per_file,     // each distinct file content once, each distinct blob in it once
    raw_data,           // what their blobs take in packs
};
StatsMode parse_stats_mode(std::string_view text);  // throws Error{usage}

struct RepositoryStats {
    uint64_t snapshots = 0;
    uint64_t files = 0;  // restore_size: all entries, folders too
    uint64_t blobs = 0;  // blobs_per_file and raw_data
    uint64_t size = 0;
    uint64_t uncompressed_size = 0;  // raw_data: the plaintext of the blobs
};

// The index is loaded. Memory: 30 bytes for each distinct file or blob that is counted.
RepositoryStats repository_stats(const Repository& repository, std::span<const Snapshot> snapshots,
                                 StatsMode mode, std::stop_token stop = {});

}  // namespace sevenfold::repository
