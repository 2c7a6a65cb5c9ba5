// What the `repo` commands share that are about snapshots: which ones, and how they and their
// entries are shown.
#pragma once

#include <string>
#include <vector>

#include "cli/command_tree.h"
#include "repository/snapshot.h"

namespace sevenfold::cli {

struct SnapshotOptions {
    std::vector<std::string> hosts, tags, paths;
    repository::SnapshotFilter filter() const;
};
// --host (with -H unless `short_host` is off), --tag and --path. `when`: "" or "latest: ".
void add_snapshot_options(Command& command, SnapshotOptions& options, const std::string& when = {},
                          bool short_host = true);

// Those named (ids, prefixes or "latest"), or without names all that the filter matches, oldest
// first. Damaged snapshot files are an error.
std::vector<repository::Snapshot> select_snapshots(const repository::Repository& repository,
                                                   const std::vector<std::string>& names,
                                                   const repository::SnapshotFilter& filter,
                                                   bool skip_damaged = false);

// With restic's names of the fields.
// Loads the index for reading. Damaged index files are reported and left out: the rest can still be
// read. False when there are such.
bool load_readable_index(repository::Repository& repository);

JsonObject snapshot_json(const repository::Snapshot& snapshot);
JsonObject node_json(const std::string& path, const repository::Node& node);
std::string joined(const std::vector<std::string>& words, std::string_view between);

// "drwxr-xr-x", as ls writes it.
std::string permissions_text(const repository::Node& node);
// One line for a terminal: the path, with `details` as `ls -l`.
std::string node_line(const std::string& path, const repository::Node& node, bool details);

// Bytes as they are to standard output, past the terminal's safeguards. Throws Error{io}.
void write_stdout(ByteView bytes);

// The one file of a type whose id begins so. Throws not_found or usage (ambiguous).
Id find_file(const repository::Repository& repository, storage::FileType type,
             std::string_view prefix);

}  // namespace sevenfold::cli
