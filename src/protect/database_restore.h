// Back in time: a database as it was at a moment, from the places' bases and binlogs.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "protect/database.h"

namespace sevenfold::protect {

struct DatabaseRestoreOptions {
    database::ReplayRequest::Until until;
    std::vector<std::string> skip;                            // transactions left out
    std::map<std::string, std::vector<std::string>> replace;  // transaction -> statements
    std::string base;        // id of a base's snapshot, or its beginning; empty: the nearest before
    std::string place;       // only this one; empty: any
    bool base_only = false;  // no replay

    // Where to; exactly one.
    std::string data_dir;                         // a new data folder, absent or empty
    std::optional<database::ServerLogin> server;  // a running server that holds nothing yet
    // Tables beside those of a running server, under the databases' new names.
    std::optional<database::ServerLogin> beside;
    std::map<std::string, std::string> rename;
    std::vector<std::string> tables;  // patterns of database.table; empty: all

    bool leave_running = false;  // the server on data_dir
    bool users = true;
    uint64_t memory = 256 << 20;  // for a server that we start
    Progress* progress = nullptr;
    std::function<void(const std::string& step)> on_step;
    std::stop_token stop;
};

struct DatabaseRestore {
    std::string place, method;
    repository::Snapshot base;
    database::BaseManifest manifest;
    database::LoadOutcome loaded;                   // of a logical base
    std::optional<database::ReplayOutcome> replay;  // when there was anything after the base
    std::string reached;                            // position
    // When `leave_running`.
    std::string socket;
    int64_t process = 0;
    double seconds = 0;
};

// Throws before anything is changed where it can be known that it cannot work: no base before the
// moment, a gap in the binlog, a target that is not empty.
DatabaseRestore restore_database(const config::AppConfig& config,
                                 const config::DatabaseConfig& database,
                                 const std::vector<JobPlace>& places,
                                 const DatabaseRestoreOptions& options);

// A folder for a server that lives as long as this object, below the state folder.
class WorkFolder {
  public:
    WorkFolder(const config::AppConfig& config, const config::DatabaseConfig& database);
    ~WorkFolder();
    WorkFolder(const WorkFolder&) = delete;
    WorkFolder& operator=(const WorkFolder&) = delete;
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }

  private:
    std::string path_;
};

}  // namespace sevenfold::protect
