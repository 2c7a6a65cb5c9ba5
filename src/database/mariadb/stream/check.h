// Whether a server is set up so that its stream protects it: findings with the lines that cure
// them.
#pragma once

#include <string>
#include <vector>

#include "sql/mariadb.h"

namespace sevenfold::database::mariadb {

struct StreamFinding {
    enum class Weight {
        note,     // good to know
        warning,  // something may be lost, or not be restored exactly
        error,    // the stream does not work
    } weight = Weight::warning;
    std::string setting, value;  // the variable, or the right, and what it is now
    std::string meaning;         // a sentence
    std::string now;             // statements for the running server; empty: it needs a restart
    std::string config;          // lines for my.cnf; empty: none
    bool operator==(const StreamFinding&) const = default;
};

// As the connection's account sees the server; most severe first. With `semi_sync` off the settings
// that only matter to it are left out. Rights are tested with those of the account.
std::vector<StreamFinding> check_stream(sql::MariadbConnection& connection, bool semi_sync = true);

}  // namespace sevenfold::database::mariadb
