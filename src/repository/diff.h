// What changed between two trees, as restic's `diff` says it.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "repository/node.h"
#include "repository/repository.h"

namespace sevenfold::repository {

struct DiffCounts {
    uint64_t files = 0, dirs = 0, others = 0;
    uint64_t data_blobs = 0, tree_blobs = 0;
    uint64_t bytes = 0;  // plaintext of those blobs
};
struct DiffStats {
    uint64_t changed_files = 0;
    DiffCounts added, removed;  // blobs: in one of the two only
};

struct DiffOptions {
    bool metadata = false;  // also report entries of which only metadata changed
    std::stop_token stop{};
};

// `modifier`: "+" added, "-" removed, or letters: T type changed, M content changed, U metadata
// changed. `path` starts with a slash; folders end with one. Called in the order of the paths.
using DiffEntry = std::function<void(const std::string& modifier, const std::string& path)>;

// The index is loaded. Throws Error when a tree cannot be read. Memory: the ids of blobs that are
// in one of the two only.
DiffStats diff_trees(const Repository& repository, const Id& before, const Id& after,
                     const DiffOptions& options, const DiffEntry& each);

}  // namespace sevenfold::repository
