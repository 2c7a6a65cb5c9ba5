// Several sessions that see the server at one and the same moment.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "database/base.h"
#include "database/mariadb/dump/schema.h"
#include "sql/mariadb.h"

namespace sevenfold::database::mariadb {

struct SnapshotSessions {
    std::vector<std::unique_ptr<sql::MariadbConnection>> sessions;  // at least one
    // Holds the tables without transactions against writes until they have been read; may be null.
    std::unique_ptr<sql::MariadbConnection> locked;
    Position position;
    std::chrono::nanoseconds commits_blocked{0};
    bool single = false;  // there was no right to block commits: one session only
};

// Commits are blocked for the milliseconds that opening the snapshots takes (BACKUP STAGE
// BLOCK_COMMIT); no statement that runs is waited for longer than `patience` at a time. Without the
// RELOAD right one session is opened, which needs no lock. Throws Error{timeout} when the server
// could not be held in `attempts` tries.
SnapshotSessions open_snapshot(const sql::MariadbOptions& login, unsigned count,
                               const std::vector<TableInfo>& tables, unsigned attempts = 20);

}  // namespace sevenfold::database::mariadb
