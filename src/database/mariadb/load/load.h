// Loading a logical base into a server, straight from the repository.
#pragma once

#include <functional>
#include <map>
#include <stop_token>

#include "core/progress.h"
#include "database/base.h"
#include "database/mariadb/dump/schema.h"
#include "repository/repository.h"

namespace sevenfold::database::mariadb {

struct LoadOptions {
    sql::MariadbOptions login;
    // Only these, with all that they hold: patterns of databases; empty: all.
    std::vector<std::string> databases;
    // Only these: patterns of "database.table"; empty: everything. With a selection of tables
    // views, routines, triggers and events are left out, and sequences that no table uses.
    std::vector<std::string> tables;
    // Old name -> new name of a database. Statements that name it get the new name, too.
    std::map<std::string, std::string> rename;
    bool users = false;    // accounts and grants, too; accounts that are there stay as they are
    bool programs = true;  // routines, views, triggers, events
    // A database that is there already is an error, unless it is `reuse`d; a table is always one.
    bool reuse_databases = false;
    bool write_binlog = false;  // the server's own binlog gets none of it
    bool verify = true;         // reads every table again and compares count and checksum
    unsigned threads = 0;       // 0: one a processor, at most 8
    Progress* progress = nullptr;
    std::stop_token stop;
};

struct LoadResult {
    uint64_t tables = 0, rows = 0, verified_tables = 0;
    std::vector<std::string> warnings;
};

// `repository` has its index loaded; `tree` is the root of a logical base. Throws Error: exists
// when something of that name is there already; corrupt when what arrived is not what the base says
// (the error names the table). What was loaded before an error stays, for a look.
LoadResult load(const LoadOptions& options, const repository::Repository& repository,
                const Id& tree);

}  // namespace sevenfold::database::mariadb
