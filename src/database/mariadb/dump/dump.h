// A logical base: every object of a server, or of some of its databases, as text that the stock
// client loads, read by several sessions that see one moment.
//
//   base.json                      what it holds; position, row counts, checksums
//   README, load.sql               how to load it with plain tools, and the script for that
//   10-databases.sql 20-sequences.sql
//   30-tables/DB/TABLE.sql         one CREATE TABLE each
//   data/DB/TABLE/000000.tsv       rows (or .sql), pieces in the order of the primary key
//   50-routines.sql 60-views.sql 70-triggers.sql 80-events.sql 90-users.sql
#pragma once

#include <stop_token>

#include "core/progress.h"
#include "database/base.h"
#include "database/mariadb/dump/schema.h"
#include "repository/tree_writer.h"

namespace sevenfold::database::mariadb {

struct DumpOptions {
    sql::MariadbOptions login;
    Selection selection;
    RowFormat format = RowFormat::tsv;
    bool users = true;
    unsigned threads = 0;             // 0: one a processor, at most 8
    uint64_t piece_bytes = 64 << 20;  // tables are cut into pieces of about this size
    Progress* progress = nullptr;
    std::stop_token stop;
};

struct DumpResult {
    BaseManifest base;
    std::chrono::nanoseconds commits_blocked{0};
    std::vector<std::string> warnings;
};

// Writes the base into the tree; base.json is the last file. Throws Error: permission when anything
// could be missing, timeout when tables changed their definition meanwhile (try again).
DumpResult dump(const DumpOptions& options, repository::TreeWriter& tree);

// The rows of one table (a condition, or ""), in the way the dump reads them. Used for checksums of
// what was loaded, too. Returns the number of rows and adds their hashes to `checksum`.
uint64_t read_rows(sql::MariadbConnection& session, const TableInfo& table,
                   const std::string& condition, RowFormat format, uint64_t& checksum,
                   const std::function<void(ByteView)>& sink);
// Makes a session give rows as read_rows needs them.
void prepare_for_rows(sql::MariadbConnection& session);

}  // namespace sevenfold::database::mariadb
