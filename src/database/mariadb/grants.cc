#include "database/mariadb/grants.h"

#include <fmt/format.h>
// In this order:
#include <mysql.h>

#include <mariadb_rpl.h>

#include <algorithm>
#include <functional>

#include "database/mariadb/dump/privileges.h"
#include "database/mariadb/stream/watch.h"

namespace sevenfold::database::mariadb {
namespace {

using sql::MariadbConnection;
using State = RightCheck::State;

// A table's rights for a dump, on everything or on each database. LOCK TABLES: for engines without
// transactions, whose tables are read under a lock.
const std::vector<std::string> kTableRights = {"SELECT", "SHOW VIEW", "TRIGGER", "EVENT",
                                               "LOCK TABLES"};

// With one of these an account can destroy data, read or write the server's files, or give itself
// every other right.
constexpr std::string_view kDangerous[] = {
    "ALL PRIVILEGES", "SUPER",           "FILE",
    "CREATE USER",    "GRANT OPTION",    "INSERT",
    "UPDATE",         "DELETE",          "DROP",
    "CREATE",         "ALTER",           "SHUTDOWN",
    "BINLOG REPLAY",  "BINLOG ADMIN",    "DELETE HISTORY",
    "SET USER",       "CREATE ROUTINE",  "ALTER ROUTINE",
    "CREATE TRIGGER", "FEDERATED ADMIN", "REPLICATION SLAVE ADMIN"};

std::string account_name(const std::string& user, const std::string& host) {
    return sql::quote_text(user) + "@" + sql::quote_text(host);
}

// A database's name in GRANT is a pattern.
std::string database_pattern(const std::string& database) {
    std::string escaped;
    for (char c : database) {
        if (c == '_' || c == '%' || c == '\\') escaped += '\\';
        escaped += c;
    }
    return sql::quote_name(escaped);
}

void add_grants(std::vector<std::string>& out, Feature feature, const std::string& account,
                const GrantOptions& options) {
    if (feature == Feature::stream && options.canary)
        out.push_back(
            fmt::format("GRANT SELECT, INSERT, UPDATE ON `sevenfold`.`canary` TO {}", account));
    bool some = feature == Feature::dump && !options.databases.empty();
    out.push_back(fmt::format("GRANT {} ON *.* TO {}",
                              fmt::join(needed_rights(feature, some), ", "), account));
    if (!some) return;
    for (const std::string& database : options.databases)
        out.push_back(fmt::format("GRANT {} ON {}.* TO {}", fmt::join(kTableRights, ", "),
                                  database_pattern(database), account));
    if (options.users) {
        out.push_back(fmt::format("GRANT SELECT ON `mysql`.* TO {}", account));
    } else {  // where routines and events have their text
        out.push_back(fmt::format("GRANT SELECT ON `mysql`.`proc` TO {}", account));
        out.push_back(fmt::format("GRANT SELECT ON `mysql`.`event` TO {}", account));
    }
}

bool is_refusal(unsigned number) {
    // ER_DBACCESS_DENIED, ACCESS_DENIED, TABLEACCESS, COLUMNACCESS, SPECIFIC_ACCESS, PROCACCESS
    constexpr unsigned kRefusals[] = {1044, 1045, 1142, 1143, 1227, 1370};
    return std::ranges::find(kRefusals, number) != std::end(kRefusals);
}

// One account, one feature.
class Checker {
  public:
    Checker(Feature feature, const sql::MariadbOptions& login, const CheckOptions& options)
        : feature_(feature),
          login_(login),
          connection_(login),
          privileges_(connection_),
          databases_(options.databases),
          some_databases_(!databases_.empty()),
          canary_(options.canary) {}

    AccountCheck run() {
        out_.account = connection_.value("SELECT CURRENT_USER()").value_or("");
        switch (feature_) {
            case Feature::dump:
                dump();
                break;
            case Feature::physical:
                physical();
                break;
            case Feature::stream:
                stream();
                break;
            case Feature::replay:
                replay();
                break;
        }
        find_excess();
        return std::move(out_);
    }

  private:
    void add(State state, const std::string& right, const std::string& detail) {
        out_.rights.push_back({state, right, detail});
    }
    // Runs a statement. Another error than a refusal comes after the look at rights.
    bool attempt(const std::string& right, const std::string& statement, const std::string& why) {
        return attempt(right, statement + ": " + why, [&] { connection_.query(statement); });
    }
    bool attempt(const std::string& right, const std::string& detail,
                 const std::function<void()>& act) {
        try {
            act();
        } catch (const sql::ServerError& error) {
            if (is_refusal(error.number)) {
                add(State::missing, right, error.message());
                return false;
            }
            if (error.kind() == ErrorKind::network) throw;
        }
        add(State::present, right, detail);
        return true;
    }
    // START waits for a backup that holds the lock already; it blocks neither reads nor writes.
    void reload(const std::string& why) {
        connection_.execute("SET SESSION lock_wait_timeout=5");
        attempt("RELOAD", "BACKUP STAGE START: " + why, [&] {
            connection_.query("BACKUP STAGE START");
            connection_.query("BACKUP STAGE END");
        });
    }

    void dump() {
        reload("several sessions see one moment; without it one session reads");
        if (!some_databases_) {
            for (const std::string& right : kTableRights) stands(right, "");
            for (const sql::Row& row : connection_.query("SHOW DATABASES"))
                if (*row[0] != "information_schema" && *row[0] != "performance_schema")
                    databases_.push_back(*row[0]);
        } else {
            for (const std::string& database : databases_)
                for (const std::string& right : kTableRights) stands(right, database);
        }
        for (const char* table : {"proc", "event"})
            attempt(fmt::format("SELECT on mysql.{}", table),
                    fmt::format("SELECT 1 FROM mysql.{} LIMIT 0", table),
                    "the text of routines and events");
        for (const std::string& database : databases_) read_some(database);
    }
    // Rights whose lack gives an empty answer instead of an error.
    void stands(const std::string& right, const std::string& database) {
        bool has = database.empty() ? privileges_.has(right) : privileges_.has(right, database);
        add(has ? State::present : State::missing,
            database.empty() ? right : right + " on " + database,
            has ? "stands in the grants" : "does not stand in the grants");
    }
    // A table and a view of the database, to see what the grants are worth.
    void read_some(const std::string& database) {
        std::string table, view;
        try {
            for (const sql::Row& row :
                 connection_.query("SHOW FULL TABLES FROM " + sql::quote_name(database)))
                (row[1] == "VIEW" ? view : table) = row[0].value_or("");
        } catch (const sql::ServerError& error) {
            if (!is_refusal(error.number)) throw;
            return add(State::missing, "SELECT on " + database, error.message());
        }
        if (!table.empty())
            attempt("SELECT on " + database,
                    fmt::format("SELECT 1 FROM {} LIMIT 0", sql::quote_name(database, table)),
                    "reading rows");
        if (!view.empty())
            attempt("SHOW VIEW on " + database,
                    "SHOW CREATE VIEW " + sql::quote_name(database, view), "definitions");
    }

    void physical() {
        reload("copying files that fit together");
        attempt("PROCESS", "SHOW ENGINE INNODB STATUS", "the tool reads InnoDB's state");
        attempt("BINLOG MONITOR", "SHOW MASTER STATUS", "the position of the base");
    }

    void stream() {
        attempt("REPLICATION SLAVE", "a binlog stream: receives the log", [&] { open_stream(); });
        attempt("BINLOG MONITOR", "SHOW BINARY LOGS", "which files the server still has");
        if (canary_) canary();
    }
    void canary() {
        const std::string right = "SELECT, INSERT, UPDATE on sevenfold.canary";
        connection_.execute("BEGIN");
        try {
            connection_.execute(kCanaryStatement);
            connection_.execute("ROLLBACK");
            add(State::present, right, "a write that is rolled back: proves that commits wait");
        } catch (const sql::ServerError& error) {
            if (error.kind() == ErrorKind::network) throw;
            add(State::missing, right, error.message());
        }
    }
    // Asks for the log from its beginning without waiting for more, and takes one event.
    void open_stream() {
        MariadbConnection connection(login_);
        connection.execute("SET @master_binlog_checksum=@@global.binlog_checksum");
        connection.execute("SET @mariadb_slave_capability=4");
        MARIADB_RPL* stream = mariadb_rpl_init(connection.handle());
        if (stream == nullptr) throw Error(ErrorKind::internal, "no memory for a binlog stream");
        std::unique_ptr<MARIADB_RPL, decltype(&mariadb_rpl_close)> closer(stream,
                                                                          mariadb_rpl_close);
        constexpr unsigned kNonBlocking = 1;
        // An id that no replica has: a second stream of one id ends the first.
        auto id = static_cast<unsigned>(0x70000000 | (connection.thread_id() & 0xFFFFFFF));
        mariadb_rpl_optionsv(stream, MARIADB_RPL_SERVER_ID, id);
        mariadb_rpl_optionsv(stream, MARIADB_RPL_START, 4ul);
        mariadb_rpl_optionsv(stream, MARIADB_RPL_FLAGS, kNonBlocking);
        if (mariadb_rpl_open(stream) != 0) connection.throw_last_error("binlog stream");
        MARIADB_RPL_EVENT* event = mariadb_rpl_fetch(stream, nullptr);
        if (event != nullptr)
            mariadb_free_rpl_event(event);
        else if (mysql_errno(connection.handle()) != 0)
            connection.throw_last_error("binlog stream");
    }

    void replay() {
        // A value set to itself.
        attempt("REPLICATION SLAVE ADMIN",
                "SET GLOBAL slave_net_timeout=@@global.slave_net_timeout", "runs the applier");
        // Of a connection that does not exist: the server looks at this right first.
        attempt("RELOAD", "RESET SLAVE 'sevenfold-probe'", "forgets the applier's source");
        attempt("SLAVE MONITOR", "SHOW SLAVE STATUS", "how far it is");
        attempt("BINLOG ADMIN", "SET SESSION sql_log_bin=0", "its own statements get no GTID");
        attempt("PROCESS", "SHOW ENGINE INNODB STATUS", "whether others use the target");
    }

    bool is_needed(const std::string& right, bool on_all) const {
        auto needed = needed_rights(feature_, some_databases_);
        if (right == "USAGE" || std::ranges::find(needed, right) != needed.end()) return true;
        return feature_ == Feature::dump && !on_all &&
               std::ranges::find(kTableRights, right) != kTableRights.end();
    }
    void find_excess() {
        auto judge = [&](const std::string& right, const std::string& where) {
            bool bad = std::ranges::find(kDangerous, right) != std::end(kDangerous);
            add(bad ? State::dangerous : State::excess, right + " on " + where,
                bad ? "not needed, and enough to destroy or take over data" : "not needed");
        };
        for (const std::string& right : privileges_.global())
            if (!is_needed(right, true)) judge(right, "*.*");
        for (const auto& [pattern, rights] : privileges_.databases())
            for (const std::string& right : rights)
                if (!is_needed(right, false)) judge(right, pattern + ".*");
        if (privileges_.may_grant()) judge("GRANT OPTION", "*.*");
    }

    const Feature feature_;
    const sql::MariadbOptions login_;
    MariadbConnection connection_;
    Privileges privileges_;
    std::vector<std::string> databases_;
    const bool some_databases_, canary_;
    AccountCheck out_;
};

}  // namespace

std::string_view name(Feature feature) {
    switch (feature) {
        case Feature::dump:
            return "dump";
        case Feature::physical:
            return "physical";
        case Feature::stream:
            return "stream";
        case Feature::replay:
            return "replay";
    }
    return "";
}

Feature feature_of(std::string_view wanted) {
    for (Feature feature : {Feature::dump, Feature::physical, Feature::stream, Feature::replay})
        if (name(feature) == wanted) return feature;
    throw Error(ErrorKind::usage, fmt::format("there are no grants for \"{}\"", wanted),
                "Say dump, physical, stream or replay.");
}

std::vector<std::string> needed_rights(Feature feature, bool some_databases) {
    switch (feature) {
        case Feature::dump: {
            std::vector<std::string> rights = {"RELOAD"};
            if (!some_databases)
                rights.insert(rights.end(), kTableRights.begin(), kTableRights.end());
            return rights;
        }
        case Feature::physical:
            return {"RELOAD", "PROCESS", "BINLOG MONITOR"};
        case Feature::stream:
            return {"REPLICATION SLAVE", "BINLOG MONITOR"};
        case Feature::replay:
            return {"REPLICATION SLAVE ADMIN", "SLAVE MONITOR", "RELOAD", "PROCESS",
                    "BINLOG ADMIN"};
    }
    return {};
}

std::vector<std::string> grant_statements(const std::vector<Feature>& features,
                                          const GrantOptions& options) {
    std::vector<std::string> out;
    if (options.canary && std::ranges::find(features, Feature::stream) != features.end()) {
        out.emplace_back("CREATE DATABASE IF NOT EXISTS `sevenfold`");
        out.emplace_back(kCanaryTable);
    }
    auto create = [&](const std::string& account, const std::string& how) {
        out.push_back(fmt::format("CREATE USER {} IDENTIFIED {}", account, how));
    };
    if (!options.system_user.empty()) {
        std::string account = account_name(options.system_user, "localhost");
        create(account, "VIA unix_socket");
        for (Feature feature : features) add_grants(out, feature, account, options);
        return out;
    }
    for (Feature feature : features) {
        std::string account =
            account_name(fmt::format("{}_{}", options.user, name(feature)), options.host);
        create(account, "BY " + sql::quote_text(options.password ? options.password->reveal()
                                                                 : "CHANGE-ME"));
        add_grants(out, feature, account, options);
    }
    return out;
}

bool AccountCheck::sufficient() const {
    return std::ranges::none_of(rights,
                                [](const RightCheck& r) { return r.state == State::missing; });
}

bool AccountCheck::minimal() const {
    return std::ranges::none_of(rights, [](const RightCheck& r) {
        return r.state == State::excess || r.state == State::dangerous;
    });
}

AccountCheck check_account(Feature feature, const sql::MariadbOptions& login,
                           const CheckOptions& options) {
    return Checker(feature, login, options).run();
}

bool is_privileged(MariadbConnection& connection) {
    Privileges privileges(connection);
    return privileges.all() || privileges.has("SUPER") || privileges.may_grant() ||
           privileges.has("CREATE USER");
}

void refuse_privileged(MariadbConnection& connection, Feature feature) {
    if (!is_privileged(connection)) return;
    throw Error(ErrorKind::refused,
                fmt::format("the account {} may do everything on the server",
                            connection.value("SELECT CURRENT_USER()").value_or("")),
                fmt::format("A leaked backup account must not be root. `sevenfold db grants {}` "
                            "prints the statements for a small one.",
                            name(feature)));
}

}  // namespace sevenfold::database::mariadb
