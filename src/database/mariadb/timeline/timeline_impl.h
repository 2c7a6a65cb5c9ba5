// What the parts of the timeline share: its tables, and how a row becomes a transaction.
#pragma once

#include "database/mariadb/timeline/store.h"
#include "database/mariadb/timeline/timeline.h"

namespace sevenfold::database::mariadb {

constexpr int kTimelineVersion = 1;

// Bits of the column `flags`.
constexpr int64_t kDdlFlag = 1;
constexpr int64_t kStatementFormatFlag = 2;
constexpr int64_t kRolledBackFlag = 4;
constexpr int64_t kXaPrepareFlag = 8;

struct Timeline::Impl {
    std::string path;
    std::unique_ptr<Store> store;

    void open();   // an empty file gets its tables; throws corrupt for one that is not ours
    void clear();  // removes the file and opens a new one
    // Runs `SELECT kTransactionColumns FROM txn JOIN file …` and reads the tables of each.
    std::vector<Transaction> transactions(StoreQuery& query);
};

// Where a transaction lies and its GTID, of seven columns from `first` on: incarnation, file,
// start, end, domain, server, sequence.
Transaction read_place(StoreQuery& query, int first);

// In the order in which Impl::transactions reads them.
constexpr const char* kTransactionColumns =
    "txn.number, file.incarnation, file.name, txn.start, txn.end, txn.domain, txn.server, "
    "txn.sequence, txn.gtid_flags, txn.time, txn.thread, txn.events, txn.flags, txn.text";

}  // namespace sevenfold::database::mariadb
