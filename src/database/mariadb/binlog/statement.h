// What a statement in the log is, by its first words.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sevenfold::database::mariadb {

enum class StatementKind {
    begin,
    commit,
    rollback,
    savepoint,  // SAVEPOINT, ROLLBACK TO, RELEASE
    xa,
    rows,   // INSERT, UPDATE, DELETE, REPLACE, LOAD, CALL, …: changes rows
    other,  // the rest: DDL, accounts, maintenance
};
// Comments and brackets before the statement are passed over.
StatementKind statement_kind(std::string_view statement);

// The tables, as (database, table), that a CREATE, ALTER, DROP, TRUNCATE or RENAME TABLE names;
// `database` is the session's. Empty for other statements.
std::vector<std::pair<std::string, std::string>> named_tables(std::string_view statement,
                                                              const std::string& database);

// The statements of a text, cut at semicolons outside of quotes and comments, as the stock client
// does without DELIMITER; what holds comments alone is left out.
std::vector<std::string> statements_of(std::string_view text);
// The database of a USE statement; empty: it is another one.
std::string used_database(std::string_view statement);

// Valid UTF-8: bytes that are none become U+FFFD.
std::string valid_utf8(std::string_view text);

}  // namespace sevenfold::database::mariadb
