// The archive of a database's log and its timeline, from everything that can be reached.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "database/timeline.h"
#include "protect/database_restore.h"

namespace sevenfold::protect {

struct DatabaseHistory {
    std::vector<JobPlace> places;  // opened, the index loaded; or why not
    std::unique_ptr<database::LogArchive> logs;
    std::unique_ptr<database::Timeline> timeline;  // up to date
};
// `only`: a place's name; empty: all, and the spool of this machine. A place brings its
// second spool. Throws when nothing can be
// reached, or there is no log at all.
DatabaseHistory open_history(const config::AppConfig& config,
                             const config::DatabaseConfig& database, std::vector<JobPlace> places,
                             const std::string& only = {});

// Where the index of the timeline is; its folder is made.
std::string timeline_file(const config::AppConfig& config, const config::DatabaseConfig& database);

// A server as it was at a moment, on a folder that goes away with it.
class PastServer {
  public:
    PastServer(const config::AppConfig& config, const config::DatabaseConfig& database,
               const std::vector<JobPlace>& places, DatabaseRestoreOptions options);
    database::ServerLogin login() const;
    const DatabaseRestore& how() const { return how_; }

  private:
    WorkFolder folder_;  // first: the server ends before it goes
    std::unique_ptr<database::Instance> instance_;
    DatabaseRestore how_;
};

// The net change of rows of one table between two transactions, told by the log.
struct RowDifference {
    std::vector<std::string> key;                       // values of the identifying columns
    std::vector<database::LoggedChange::Value> values;  // before: at `from`; after: at `to`
};
struct TableDifference {
    std::vector<RowDifference> rows;
    uint64_t changes = 0, transactions = 0;
    bool ddl = false;  // the table's form changed in between
};
// After `from` (a GTID) up to and including `to`. Rows are told apart by the columns in `key`.
// Memory: the changed rows.
TableDifference diff_table(database::Timeline& timeline, const std::string& table,
                           const std::vector<std::string>& key, const std::string& from,
                           const std::string& to, const database::ServerLogin* server);

}  // namespace sevenfold::protect
