#include "database/mariadb/dump/inventory.h"

#include <fmt/format.h>

#include <set>

namespace sevenfold::database::mariadb {
namespace {

using sql::quote_name;
using sql::quote_text;

}  // namespace

ObjectCounts count_objects(sql::MariadbConnection& connection, const Selection& selection,
                           const std::vector<std::string>& databases, bool users) {
    ObjectCounts out;
    uint64_t &tables = out["table"], &views = out["view"], &sequences = out["sequence"],
             &triggers = out["trigger"];
    for (const std::string& database : databases) {
        std::string quoted = quote_name(database);
        for (const sql::Row& row : connection.query("SHOW FULL TABLES FROM " + quoted)) {
            if (!selection.has_table(database, *row[0])) continue;
            std::string type = row[1].value_or("");
            ++(type == "VIEW" ? views : type == "SEQUENCE" ? sequences : tables);
        }
        for (const sql::Row& row : connection.query("SHOW TRIGGERS FROM " + quoted))
            if (selection.has_table(database, row[2].value_or(""))) ++triggers;
        std::string of = " WHERE db=" + quote_text(database);
        out["function"] +=
            connection.number("SELECT COUNT(*) FROM mysql.proc" + of + " AND type='FUNCTION'");
        out["procedure"] +=
            connection.number("SELECT COUNT(*) FROM mysql.proc" + of + " AND type<>'FUNCTION'");
        out["event"] += connection.number("SELECT COUNT(*) FROM mysql.event" + of);
    }
    if (users)
        out["user"] = connection.number(
            "SELECT COUNT(*) FROM mysql.global_priv WHERE user NOT IN "
            "('mariadb.sys','PUBLIC')");
    return out;
}

std::vector<std::string> tables_only_innodb_knows(sql::MariadbConnection& connection,
                                                  const Selection& selection,
                                                  const Schema& schema) {
    std::set<std::pair<std::string, std::string>> known = schema.sequence_names;
    for (const TableInfo& table : schema.tables) known.emplace(table.database, table.name);
    std::vector<std::string> out;
    std::vector<sql::Row> rows;
    try {
        // Names are those of files: "#P#p0" marks a partition, "#sql" what is under way.
        rows = connection.query(
            "SELECT DISTINCT CONVERT(CONVERT(CAST(SUBSTRING_INDEX(name,'/',1) AS BINARY) USING "
            "filename) USING utf8mb4), CONVERT(CONVERT(CAST(SUBSTRING_INDEX(SUBSTRING_INDEX(name,"
            "'/',-1),'#',1) AS BINARY) USING filename) USING utf8mb4) FROM "
            "information_schema.innodb_sys_tables WHERE name LIKE '_%/_%' AND name NOT LIKE "
            "'%/#%' AND name NOT LIKE '%/FTS\\\\_%' AND name NOT REGEXP 'sql-(exchange|backup)'");
    } catch (const sql::ServerError& error) {
        if (error.kind() != ErrorKind::permission) throw;
    }
    for (const sql::Row& row : rows) {
        std::string database = row[0].value_or(""), name = row[1].value_or("");
        if (selection.has_table(database, name) && !known.contains({database, name}))
            out.push_back(database + "." + name);
    }
    return out;
}

std::vector<std::string> left_out(sql::MariadbConnection& connection) {
    std::vector<std::string> out;
    auto note = [&](const char* table, const char* what) {
        try {
            uint64_t n = connection.number(fmt::format("SELECT COUNT(*) FROM mysql.{}", table));
            if (n != 0) out.push_back(fmt::format("{} {} not in the base", n, what));
        } catch (const sql::ServerError&) {  // the account may not look, or there is no such table
        }
    };
    note("func", "loadable function(s) (CREATE FUNCTION … SONAME) are");
    note("servers", "server definition(s) (CREATE SERVER) are");
    return out;
}

}  // namespace sevenfold::database::mariadb
