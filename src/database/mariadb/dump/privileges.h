// What an account may do, and whether that is enough for a whole dump. A missing TRIGGER right
// makes triggers invisible, without any error: so rights are looked at before anything is read.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "database/mariadb/dump/schema.h"

namespace sevenfold::database::mariadb {

// The rights of the session's account, through its current roles.
class Privileges {
  public:
    explicit Privileges(sql::MariadbConnection& connection);
    // From the lines of SHOW GRANTS.
    explicit Privileges(const std::vector<std::string>& grants);

    // On everything.
    bool has(const std::string& privilege) const;
    // On everything, or on the whole database.
    bool has(const std::string& privilege, const std::string& database) const;
    const std::set<std::string>& global() const { return global_; }
    // By the pattern of the database's name, over all accounts and roles.
    std::vector<std::pair<std::string, std::set<std::string>>> databases() const {
        std::vector<std::pair<std::string, std::set<std::string>>> out;
        for (const auto& [account, patterns] : databases_)
            out.insert(out.end(), patterns.begin(), patterns.end());
        return out;
    }
    bool all() const { return global_.contains("ALL PRIVILEGES"); }
    bool may_grant() const { return grant_option_; }

  private:
    void add(const std::string& line);
    std::set<std::string> global_;
    // By account or role: LIKE patterns of databases.
    std::map<std::string, std::vector<std::pair<std::string, std::set<std::string>>>> databases_;
    bool grant_option_ = false;
};

// Throws Error{permission} naming every right that is missing for a dump of these databases, and
// when others than these could exist that the account does not see.
void require_dump_privileges(sql::MariadbConnection& connection, const Selection& selection,
                             const std::vector<std::string>& databases, bool users);

}  // namespace sevenfold::database::mariadb
