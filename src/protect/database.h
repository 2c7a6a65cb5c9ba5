// Databases as sources: how to reach them, their bases and points at the places.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "config/config.h"
#include "database/driver.h"
#include "files/place_result.h"
#include "protect/backup.h"

namespace sevenfold::protect {

// The driver of a configured database, with its accounts' passwords read.
std::unique_ptr<database::Driver> open_database(const config::DatabaseConfig& database);
// The login of one of its accounts; `account.user` empty: the main one.
database::ServerLogin login_of(const config::DatabaseConfig& database,
                               const config::AccountConfig& account);

// What a place has of a database, oldest first.
struct DatabaseSnapshots {
    std::vector<repository::Snapshot> bases, points, logs;
};
// Lists them, and then loads the index, so that it has everything that they name, also while others
// store more. Damaged files throw, unless `damaged` is given: then they are collected there.
DatabaseSnapshots list_database(repository::Repository& repository, const std::string& database,
                                std::vector<Error>* damaged = nullptr);

// A base as a place has it.
struct StoredBase {
    repository::Snapshot snapshot;
    database::BaseManifest manifest;
    uint64_t bytes() const;  // of its files
};
// The whole base on which one with only changes builds, among those of its place; nullptr: there is
// none, or it is whole itself.
const StoredBase* find_whole(const std::vector<StoredBase>& bases, const StoredBase& base);
// Without those that have only changes and whose whole base is missing: these are in `damaged`.
std::vector<StoredBase> read_bases(const repository::Repository& repository,
                                   const DatabaseSnapshots& snapshots,
                                   std::vector<Error>* damaged = nullptr);
// A verified position as a place has it.
struct StoredPoint {
    repository::Snapshot snapshot;
    database::PointManifest manifest;
};
std::vector<StoredPoint> read_points(const repository::Repository& repository,
                                     const DatabaseSnapshots& snapshots,
                                     std::vector<Error>* damaged = nullptr);

struct DatabaseBackupOptions {
    std::string method;       // instead of the configuration's; empty: that
    bool force_base = false;  // a base, though a point would do
    bool allow_privileged = false;
    std::chrono::milliseconds retry_lock{0};
    Progress* progress = nullptr;
    std::stop_token stop;
};

struct DatabaseBackup {
    std::string kind;               // "base", "point"
    std::string why;                // a base was needed
    database::BaseOutcome outcome;  // of a base
    database::Position position;
    std::vector<files::PlaceResult> places;
    bool saved_everywhere() const;
    int exit_code() const;  // 0, or 1 when a place failed
};

// Makes a base, or a point where the stream makes that enough. Throws when nothing was stored.
DatabaseBackup back_up_database(const config::AppConfig& config,
                                const config::DatabaseConfig& database,
                                const std::vector<JobPlace>& places, catalog::Catalog* catalog,
                                const DatabaseBackupOptions& options);

// Where `stream` keeps what it receives: <state_dir>/stream/<name>.
std::string spool_folder(const config::AppConfig& config, const config::DatabaseConfig& database);

// The method that a base takes: "logical" while a restore of that much data is predicted to take at
// most a third of `rto`.
std::string choose_method(const config::AppConfig& config, const config::DatabaseConfig& database,
                          uint64_t data_bytes, catalog::Catalog* catalog);

}  // namespace sevenfold::protect
