// How a protected database lies in a repository: three kinds of snapshots, told apart by their
// path.
//
//   /sevenfold/database/NAME/base     a base: base.json and everything that base.json describes
//   /sevenfold/database/NAME/binlog   log files of the server: INCARNATION/FILE, see log_archive.h
//   /sevenfold/database/NAME/point    a verified position: point.json
//
// All three are ordinary snapshots: restic restores them, and `restic check` checks them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "repository/repository.h"
#include "repository/snapshot.h"

namespace sevenfold::database {

enum class SnapshotKind { base, log, point };

std::string snapshot_path(const std::string& database, SnapshotKind kind);
// Of one database, oldest first. Damaged snapshots throw, unless `damaged` is given.
std::vector<repository::Snapshot> find_snapshots(const repository::Repository& repository,
                                                 const std::string& database, SnapshotKind kind,
                                                 std::vector<Error>* damaged = nullptr);
// A file of a snapshot by its path from the root ("base.json"). Throws not_found.
repository::Node find_file(const repository::Repository& repository, const Id& tree,
                           const std::string& path);
Bytes load_file(const repository::Repository& repository, const Id& tree, const std::string& path,
                uint64_t limit = 1 << 30);

}  // namespace sevenfold::database
