// Undoing one transaction: SQL that a person can review, and that refuses to run when the rows are
// no longer as the transaction left them.
#pragma once

#include <string>
#include <vector>

#include "database/mariadb/timeline/changes.h"
#include "database/mariadb/timeline/history.h"

namespace sevenfold::database::mariadb {

// Each names its row by the primary key and guards it with all other columns as the transaction
// left them: text byte for byte, floating point numbers by their exact value.
struct UndoStatement {
    std::string sql;             // without a semicolon
    uint64_t expected_rows = 1;  // that it must affect
    std::string comment;         // of one line: what it takes back
};

struct UndoPlan {
    Gtid gtid;
    Time time;
    std::vector<std::string> session;  // to be run before: zone and mode that the literals need
    std::vector<UndoStatement> statements;
    std::vector<std::string> notes;  // for the one who reviews it
};

struct UndoOptions {
    uint64_t max_rows = 100'000;
    // Without a history: go on although rows that foreign keys' rules took away stay lost.
    bool leave_out_cascades = false;
};

// What rules of foreign keys did (ON DELETE CASCADE, SET NULL, ON UPDATE SET NULL) is not in the
// log: `history` tells which rows there were just before the transaction. It may be nullptr while
// none is needed; when one is, Error{refused}.
// Error{unsupported}: DDL, statement format, partial row images, versioned tables, too many rows;
// Error{refused}: a table has changed its form since.
UndoPlan plan_undo(const LogArchive& archive, const Transaction& transaction, SchemaSource& schemas,
                   RowHistory* history, const UndoOptions& options = {});

// A script for the stock client that checks every statement and rolls everything back at the first
// that fails.
std::string render(const UndoPlan& plan);
// The same as one compound statement, for a connection.
std::string render_block(const UndoPlan& plan);
// Runs it in one transaction. A statement that does not affect as many rows as expected rolls
// everything back: Error{refused}.
void apply_undo(sql::MariadbConnection& connection, const UndoPlan& plan);

}  // namespace sevenfold::database::mariadb
