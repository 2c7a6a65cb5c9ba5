// A logical base: every object of a server, or of some of its databases, as text that the stock
// client loads, read by several sessions that see one moment.
//
//   base.json                      what it holds; position, row counts, checksums
//   README, load.sql               how to load it with plain tools, and the script for that
//   10-databases.sql 15-accounts.sql 20-sequences.sql
//   30-tables/DB/TABLE.sql         one CREATE TABLE each
//   data/DB/TABLE/000000.tsv       rows (or .sql), pieces in the order of the primary key
//   50-routines.sql 60-views.sql 70-triggers.sql 80-events.sql 90-grants.sql
//   65-broken-views.sql            those that the server itself cannot read; load.sql leaves it out
#pragma once

#include <stop_token>

#include "core/progress.h"
#include "database/base.h"
#include "database/mariadb/dump/rows.h"
#include "database/mariadb/dump/schema.h"
#include "repository/tree_writer.h"

namespace sevenfold::database::mariadb {

struct DumpOptions {
    sql::MariadbOptions login;
    Selection selection;
    RowFormat format = RowFormat::tsv;
    bool users = true;
    unsigned threads = 0;             // 0: two a processor, at most 8
    uint64_t piece_bytes = 64 << 20;  // tables are cut into pieces of about this size
    unsigned attempts = 3;
    Progress* progress = nullptr;
    std::stop_token stop;
};

struct DumpResult {
    BaseManifest base;
    std::chrono::nanoseconds commits_blocked{0};
    std::vector<std::string> warnings;
};

// Writes the base into the tree; base.json is the last file. The definitions of all tables are held
// as they are until the end: statements that change them wait. When one came in between
// nevertheless, what was written is taken out of the tree and all begins anew.
//
// Throws Error: permission when anything could be missing; timeout when the last of `attempts` was
// disturbed, too, or the server could not be held.
DumpResult dump(const DumpOptions& options, repository::TreeWriter& tree);

}  // namespace sevenfold::database::mariadb
