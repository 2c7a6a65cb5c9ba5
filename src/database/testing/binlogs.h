// Binlogs of a test server as an archive, writers that fill them, and how to compare two servers.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "database/log_archive.h"
#include "database/testing/mariadb_server.h"

namespace sevenfold::database {

// Copies the binlogs as they are to <folder>/<incarnation> and opens <folder>.
std::unique_ptr<LogArchive> archive_binlogs(const TestServer& server, const std::string& folder,
                                            const std::string& incarnation = "0001-a");

struct Workload {
    unsigned writers = 8;
    unsigned transactions = 200;  // of each writer
    uint64_t seed = 1;
    bool rotate = true;  // several files
    bool ddl = true;
    unsigned domains = 1;  // more: each has a table of its own
};
// Makes the database "load" unless it is there.
void run_workload(const TestServer& server, const Workload& workload);

// CHECKSUM TABLE of every table that is not the system's.
std::map<std::string, std::string> checksums(const TestServer& server);

}  // namespace sevenfold::database
