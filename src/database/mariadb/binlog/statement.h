// What a statement in the log is, by its first words.
#pragma once

#include <string_view>

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

}  // namespace sevenfold::database::mariadb
