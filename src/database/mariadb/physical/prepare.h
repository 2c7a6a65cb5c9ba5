// Makes a restored physical base a data folder that a server starts on.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

namespace sevenfold::database::mariadb {

struct PrepareOptions {
    // The files of a full base (its data/), which are changed in place. A folder whose preparation
    // failed is of no use any more: restore it anew.
    std::string data_dir;
    // Of the incremental bases that follow it, in order; each is read, and changed too.
    std::vector<std::string> incremental_dirs;
    std::string tool;                       // as in PhysicalOptions
    uint64_t memory = uint64_t{256} << 20;  // the redo log is applied faster with more
    std::string user;  // who shall own it; empty: mysql when we are root and it exists
    std::vector<std::string> tool_arguments;
    std::stop_token stop;
};

struct PrepareReport {
    uint64_t last_lsn = 0;
    // Files that would have tied the copy to its origin, and are gone: replication state, server
    // identity, links to tables' former folders. Names below the data folder.
    std::vector<std::string> removed;
    // Tables that lay elsewhere (DATA DIRECTORY), and are in the data folder now.
    std::vector<std::string> moved_tables;
};

// Throws Error: not_found for a missing tool, corrupt when these are not the files of a base or an
// incremental does not follow, no_space, interrupted; else io with the end of what the tool said.
// Preparing what is prepared already is no error, and changes nothing but owner and modes.
PrepareReport prepare(const PrepareOptions& options);

}  // namespace sevenfold::database::mariadb
