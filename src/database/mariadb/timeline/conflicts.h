// Before a transaction is skipped or undone: which later ones build on what it did.
#pragma once

#include <string>
#include <vector>

#include "database/mariadb/timeline/changes.h"
#include "database/mariadb/timeline/history.h"

namespace sevenfold::database::mariadb {

enum class CollisionKind {
    row,          // the same row, by its primary key (or all its columns, without one)
    unique_key,   // another row with a value that the transaction gave or freed
    foreign_key,  // refers to a row that it made or removed, or the other way round
    ddl,          // changes the form of one of its tables
    unknown,      // by a statement: which rows it changed is not in the log
};
std::string_view name(CollisionKind kind);

struct Collision {
    CollisionKind kind = CollisionKind::row;
    std::string database, table;
    std::string key;   // its name: "PRIMARY", "uq_mail", the foreign key's
    std::string rows;  // "id=5"
    bool operator==(const Collision&) const = default;
};

struct Conflict {
    Transaction transaction;
    uint64_t count = 0;                 // of colliding rows
    std::vector<Collision> collisions;  // the first kMaxShownCollisions different ones
};
constexpr size_t kMaxShownCollisions = 20;

struct ConflictOptions {
    size_t max_conflicts = 1000;      // that are listed; all are counted
    uint64_t max_keys = 2'000'000;    // of the transaction; about 100 bytes of memory each
    uint64_t until_transactions = 0;  // look only at so many later ones; 0: all
};

struct ConflictReport {
    uint64_t rows = 0;     // changed by the transaction
    uint64_t scanned = 0;  // later transactions
    uint64_t conflicting = 0;
    std::vector<Conflict> conflicts;  // in the order of the log
    std::vector<std::string> tables_without_key;
    std::vector<std::string> notes;  // what could not be looked at
};

// Reads the rest of the transaction's incarnation, and others that continue it. Text is compared as
// value_key does with `folded`: collations that take accented letters as equal can hide a collision
// of unique values. Rows that rules of foreign keys deleted or changed are not in the log: with
// `history` (the moment just before the transaction) they are found, without it they are noted.
// Throws Error{unsupported} when the transaction itself is DDL, in statement format, or has more
// keys than allowed.
ConflictReport find_conflicts(const LogArchive& archive, const Transaction& transaction,
                              SchemaSource& schemas, const ConflictOptions& options = {},
                              RowHistory* history = nullptr);

}  // namespace sevenfold::database::mariadb
