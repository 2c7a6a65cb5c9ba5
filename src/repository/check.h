// Checks a repository: that everything its snapshots need is there and, when asked, that every
// stored byte is still what it was.
//
// The structure check reads keys, index, snapshots and all trees and compares the index with the
// listing of packs; reading the data fetches packs whole and verifies every hash in them. Nothing
// is changed. Damage never ends the check: it is named, the rest is still looked at, and at the end
// stands what every snapshot lost. Only what says nothing about the data (a lost connection, an
// interruption) is thrown.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/progress.h"
#include "repository/repository.h"
#include "repository/snapshot.h"

namespace sevenfold::repository {

// Which packs to read.
struct ReadData {
    enum class Kind { none, all, bucket, percent, bytes };
    Kind kind = Kind::none;
    unsigned bucket = 0,
             buckets = 0;  // "n/t": the n-th of t parts, 1 <= n <= t <= 256, as restic's
    double percent = 0;    // "p%": that part of the packs, at random
    uint64_t bytes = 0;    // a size: about that much, at random
};
ReadData parse_read_data_subset(std::string_view text);  // throws Error{usage}

struct CheckOptions {
    ReadData read_data;
    uint64_t seed = 0;           // decides what a random subset takes
    size_t max_paths = 20;       // damaged paths listed a snapshot; all are counted
    size_t max_findings = 1000;  // of one sort; further ones are counted
    std::stop_token stop{};
};

enum class Severity { warning, error };
struct CheckFinding {
    Severity severity = Severity::error;
    std::string object;  // "pack 1a2b…", "snapshot …", "index …", "tree …", "key …", "lock …"
    std::string message;  // what is wrong with it
};

// A snapshot of which not everything can be restored.
struct AffectedSnapshot {
    Snapshot snapshot;
    bool root_lost = false;          // nothing can be restored
    uint64_t files = 0;              // with content missing or damaged
    uint64_t directories = 0;        // whose tree is missing or damaged
    std::vector<std::string> paths;  // the first max_paths of them
};

struct CheckReport {
    std::vector<CheckFinding> findings;
    uint64_t errors = 0, warnings = 0;  // all, also those beyond max_findings
    std::vector<AffectedSnapshot> affected;
    std::vector<Id> unreadable_snapshots;  // their files are damaged
    std::vector<Id> broken_packs;          // missing, of wrong size or with damaged content
    bool suggest_repair_index = false, suggest_prune = false;

    uint64_t snapshots = 0;  // readable ones
    uint64_t index_files = 0, packs = 0, blobs = 0, trees = 0;
    uint64_t unindexed_packs = 0;
    uint64_t packs_read = 0, bytes_read = 0;

    bool ok() const { return errors == 0; }
    uint64_t intact_snapshots() const { return snapshots - affected.size(); }
};

// Loads the index anew. The caller holds whatever lock it wants. Memory: the index, 60 bytes a
// pack, 30 a tree, and with read_data one pack for each of up to 16 threads.
CheckReport check(Repository& repository, const CheckOptions& options,
                  Progress* progress = nullptr);

}  // namespace sevenfold::repository
