// One backup of one source into its places: locks, parents, the read that feeds all, and a second
// pass for a place that could not keep up.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "files/archive.h"

namespace sevenfold::protect {

// A place as the job gets it: opened, or why it could not be.
struct JobPlace {
    std::string name;
    std::shared_ptr<repository::Repository>
        repository;  // shared with other jobs of the same command
    std::optional<Error> error;
    size_t pack_target = 0;  // bytes; 0: as archive.writer says
};

struct BackupOptions {
    // Its parents, locks, compare_* and resume_path are set by the job. Paths must be absolute
    // where the same source is backed up again and again.
    files::ArchiveOptions archive;
    // The snapshot to compare with, as find_snapshot() takes it; empty: the newest of the same host
    // and paths.
    std::string parent;
    bool skip_if_unchanged = false;
    std::chrono::milliseconds retry_lock{0};
    // Folder for the journals of interrupted runs; empty: none.
    std::string state_dir;
    // Refuse a source that is empty or missing although its last snapshot had files.
    bool guard_against_empty = true;
    uint64_t min_files = 1;  // "empty" means fewer files than this, in the source and below
};

struct BackupResult {
    std::vector<files::PlaceResult> places;  // in the order given
    files::ArchiveResult archive;  // of the first pass; its counts of issues are the highest of all
    bool saved_everywhere() const;
    bool saved_somewhere() const;
    // 0; 3 when items could not be read; 1 when a place failed; 130 when that was an interruption.
    int exit_code() const;
};

// Throws when nothing could be done at all: the source is missing or refused, no place works, or
// interrupted. Durable at every place whose state is `saved`.
BackupResult back_up(const std::vector<JobPlace>& places, const BackupOptions& options);

}  // namespace sevenfold::protect
