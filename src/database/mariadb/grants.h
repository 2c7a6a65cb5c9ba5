// Accounts with the least rights that each part of the program needs, and a look at whether an
// account has them, by using them.
//
// An account for each part: the one that streams the binlog day and night need not read tables, and
// none of them can change anything on a source.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/secret.h"
#include "sql/mariadb.h"

namespace sevenfold::database::mariadb {

enum class Feature {
    dump,      // logical bases
    physical,  // physical bases
    stream,    // the binlog as it is written
    replay,    // on a target only, never on a source
};
std::string_view name(Feature feature);     // "dump", …
Feature feature_of(std::string_view name);  // throws Error{usage}

struct GrantOptions {
    std::string user = "sevenfold";  // and "_dump", "_physical", …
    std::string host = "localhost";
    // Of a dump; empty: all.
    std::vector<std::string> databases;
    bool users = true;  // a dump holds accounts, so reads mysql.*
    // Not empty: no password; this user of the system logs in over the socket. The account must
    // have that name, so there is one for all features.
    std::string system_user;
    std::optional<Secret> password;  // none, and no system_user: the text CHANGE-ME
    bool canary = false;             // a stream writes into its canary table: see stream/watch.h
};

// The rights that a feature needs on everything, in the server's words ("BINLOG MONITOR"). With
// `databases` a dump's rights on tables are needed on these only, and are not part of this.
std::vector<std::string> needed_rights(Feature feature, bool some_databases = false);

// "CREATE USER …", "GRANT …": to be run by an administrator. They hold the password if one is
// given.
std::vector<std::string> grant_statements(const std::vector<Feature>& features,
                                          const GrantOptions& options);

struct RightCheck {
    enum class State {
        present,  // it was used, or stands in the grants where using would change something
        missing,
        excess,     // more than needed, harmless by itself
        dangerous,  // more than needed, and could destroy or take over the server
    } state;
    std::string right;   // "RELOAD", "TRIGGER on shop"
    std::string detail;  // what was tried and what the server said; why it is needed
};

struct AccountCheck {
    std::string account;  // "sevenfold_dump@localhost"
    std::vector<RightCheck> rights;
    bool sufficient() const;
    bool minimal() const;
};

// Logs in and tries. Nothing is changed on the server; commits are never blocked. For a dump the
// databases are those given, or all that can be seen; of a stream with `canary` its write is tried
// and rolled back. Throws Error when the login fails.
struct CheckOptions {
    std::vector<std::string> databases;
    bool canary = false;
};
AccountCheck check_account(Feature feature, const sql::MariadbOptions& login,
                           const CheckOptions& options = {});

// True for root and its like: all rights, SUPER, or rights that it may hand on.
bool is_privileged(sql::MariadbConnection& connection);
// Throws Error{refused} for such an account, with the way to a small one as its hint.
void refuse_privileged(sql::MariadbConnection& connection, Feature feature);

}  // namespace sevenfold::database::mariadb
