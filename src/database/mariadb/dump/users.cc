// Accounts, roles and grants.
#include <fmt/format.h>

#include "database/mariadb/dump/internal/schema_text.h"
#include "database/mariadb/dump/schema.h"

namespace sevenfold::database::mariadb {
namespace {

using sql::quote_name;
using sql::quote_text;
using sql::Row;

// CREATE USER has set the password already, and in a form that can be repeated.
std::string without_password(const std::string& grant) {
    size_t identified = grant.find(" IDENTIFIED ");
    if (identified == grant.npos) return grant;
    bool option = grant.find(" WITH GRANT OPTION") != grant.npos;
    return grant.substr(0, identified) + (option ? " WITH GRANT OPTION" : "");
}

}  // namespace

Users read_users(sql::MariadbConnection& connection) {
    constexpr std::string_view kCreate = "CREATE USER ";
    Users users{{"15-accounts.sql", prologue()}, {"90-grants.sql", prologue()}, 0};
    for (const Row& row :
         connection.query("SELECT user, host, is_role FROM mysql.user WHERE user<>'mariadb.sys' "
                          "ORDER BY is_role DESC, user, host")) {
        bool role = *row[2] == "Y";
        // What everybody may do: a role that is there always.
        bool everybody = role && *row[0] == "PUBLIC";
        std::string account = everybody ? "PUBLIC"
                              : role    ? quote_name(*row[0])
                                        : quote_text(*row[0]) + "@" + quote_text(*row[1]);
        users.count += everybody ? 0 : 1;
        // An account that is there already keeps its password: that of whoever loads, above all.
        if (role && !everybody)
            users.accounts.statements.push_back("CREATE ROLE IF NOT EXISTS " + account);
        if (!role) {
            std::string create =
                definition(connection.query("SHOW CREATE USER " + account).at(0), 0, account);
            if (create.starts_with(kCreate))
                create = "CREATE USER IF NOT EXISTS " + create.substr(kCreate.size());
            users.accounts.statements.push_back(std::move(create));
        }
        for (const Row& grant : connection.query("SHOW GRANTS FOR " + account))
            users.grants.statements.push_back(without_password(*grant[0]));
    }
    return users;
}

}  // namespace sevenfold::database::mariadb
