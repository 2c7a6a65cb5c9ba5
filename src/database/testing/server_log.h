// The log files of a test's server as an archive.
#pragma once

#include <memory>
#include <string>

#include "database/log_archive.h"
#include "database/testing/mariadb_server.h"

namespace sevenfold::database {

// Copies the server's log files (bin.000001, …) as they are now to `folder`/`incarnation`.
void copy_log(const TestServer& server, const std::string& folder,
              const std::string& incarnation = "0001-test");
// The same, opened.
std::unique_ptr<LogArchive> archive_log(const TestServer& server, const std::string& folder);

}  // namespace sevenfold::database
