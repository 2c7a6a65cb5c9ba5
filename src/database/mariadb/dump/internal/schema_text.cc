#include "database/mariadb/dump/internal/schema_text.h"

#include <fmt/format.h>

namespace sevenfold::database::mariadb {

std::string in_databases(const char* column, const std::vector<std::string>& databases) {
    if (databases.empty()) return "FALSE";
    std::vector<std::string> quoted;
    for (const std::string& database : databases) quoted.push_back(sql::quote_text(database));
    return fmt::format("{} IN ({})", column, fmt::join(quoted, ","));
}

std::string definition(const sql::Row& row, size_t column, const std::string& what) {
    if (column < row.size() && row[column]) return *row[column];
    throw Error(ErrorKind::permission, fmt::format("the definition of {} cannot be read", what),
                "`sevenfold db grants` prints the rights that are needed.");
}

const std::vector<std::string>& prologue() {
    static const std::vector<std::string> kStatements = {
        "SET NAMES utf8mb4",
        "SET SESSION foreign_key_checks=0, unique_checks=0, check_constraint_checks=0, "
        "sql_mode='NO_AUTO_VALUE_ON_ZERO', time_zone='+00:00'",
    };
    return kStatements;
}

RawResults::RawResults(sql::MariadbConnection& connection) : connection_(connection) {
    connection_.execute("SET SESSION character_set_results=NULL");
}

RawResults::~RawResults() {
    try {
        connection_.execute("SET SESSION character_set_results=utf8mb4");
    } catch (const Error&) {  // the connection is gone; the next statement says so
    }
}

}  // namespace sevenfold::database::mariadb
