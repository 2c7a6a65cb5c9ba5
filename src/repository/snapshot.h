// Snapshots (format A.6): a moment of some paths, named by a root tree.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/id.h"
#include "core/time.h"
#include "repository/repository.h"

namespace sevenfold::repository {

struct SnapshotSummary {
    Time backup_start, backup_end;
    uint64_t files_new = 0, files_changed = 0, files_unmodified = 0;
    uint64_t dirs_new = 0, dirs_changed = 0, dirs_unmodified = 0;
    uint64_t data_blobs = 0, tree_blobs = 0;
    uint64_t data_added = 0, data_added_packed = 0;
    uint64_t total_files_processed = 0, total_bytes_processed = 0;
};

struct Snapshot {
    Id id;  // of the snapshot file; not part of its JSON
    Time time;
    std::optional<Id> parent;
    Id tree;
    std::vector<std::string> paths;  // absolute
    std::string hostname, username;
    uint32_t uid = 0, gid = 0;
    std::vector<std::string> excludes, tags;
    std::optional<Id> original;
    std::string program_version;
    std::optional<SnapshotSummary> summary;

    bool has_tag(std::string_view tag) const;
};

std::string encode_snapshot(const Snapshot& snapshot);
Snapshot decode_snapshot(ByteView json);  // throws Error{corrupt}

Snapshot load_snapshot(const Repository& repository, const Id& id);
// All snapshots, oldest first (ties by id), loaded in parallel. Damaged ones throw unless `damaged`
// is given: then they are collected there.
std::vector<Snapshot> load_snapshots(const Repository& repository,
                                     std::vector<Error>* damaged = nullptr);
// Durable on return; sets snapshot.id.
void save_snapshot(const Repository& repository, Snapshot& snapshot);

// Which snapshots a command is about; empty fields match all. Tags: any of the lists, each list
// whole
// ("a,b" needs both); paths: the snapshot has all of them.
struct SnapshotFilter {
    std::vector<std::string> hosts;
    std::vector<std::vector<std::string>> tag_lists;
    std::vector<std::string> paths;
    bool matches(const Snapshot& snapshot) const;
};

// "latest", a full id, or a prefix of one that is unique; then optionally ":sub/folder".
// `latest` means the newest that the filter matches. Throws not_found or usage (ambiguous).
struct SnapshotSpec {
    Snapshot snapshot;
    std::string subfolder;  // without leading slash; empty: the whole
};
SnapshotSpec find_snapshot(const Repository& repository, std::string_view text,
                           const SnapshotFilter& filter);
// The tree at `path` inside a snapshot's root ("" or "/": the root). Throws not_found.
Id find_subtree(const Repository& repository, const Id& root, std::string_view path);

}  // namespace sevenfold::repository
