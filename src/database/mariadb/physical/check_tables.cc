#include "database/mariadb/physical/check_tables.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"

namespace sevenfold::database::mariadb {
namespace {

// "note" and "warning" rows come before the verdict; an engine without checks is no damage.
bool is_damage(const std::string& type, const std::string& text) {
    if (type == "error" || type == "Error") return true;
    return type == "status" && text != "OK" && text != "Table is already up to date";
}

}  // namespace

void check_tables(sql::MariadbConnection& server, std::stop_token stop) {
    auto tables = server.query(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type IN "
        "('BASE TABLE','SYSTEM VERSIONED') AND table_schema NOT IN "
        "('information_schema','performance_schema')");
    for (const sql::Row& table : tables) {
        if (stop.stop_requested()) throw Error(ErrorKind::interrupted, "interrupted");
        for (const sql::Row& row :
             server.query("CHECK TABLE " + sql::quote_name(*table[0], *table[1]))) {
            std::string type = row.at(2).value_or(""), text = row.at(3).value_or("");
            if (is_damage(type, text))
                throw Error(ErrorKind::corrupt, fmt::format("table {}.{}: {}", printable(*table[0]),
                                                            printable(*table[1]), printable(text)));
        }
    }
}

}  // namespace sevenfold::database::mariadb
