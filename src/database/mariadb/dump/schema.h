// What a server holds besides rows: every object with the statement that makes it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "database/mariadb/dump/row_format.h"
#include "sql/mariadb.h"

namespace sevenfold::database::mariadb {

// Patterns as the shell has them (fnmatch): whether one of them matches.
bool matches(const std::vector<std::string>& patterns, const std::string& name);

struct Selection {
    std::vector<std::string> databases;  // empty: all but the system's own
    std::vector<std::string> exclude;    // of "database.table"; "database.*" leaves it out whole
    // Whether databases are selected that the caller did not name.
    bool is_open() const;
    bool has_database(const std::string& database) const;
    bool has_table(const std::string& database, const std::string& table) const;
};

struct TableInfo {
    std::string database, name, engine, create;
    uint64_t estimated_rows = 0, data_length = 0;
    bool transactional = false, versioned = false;
    bool elsewhere = false;            // its rows belong to other tables or servers: none are read
    bool history_lost = false;         // versions by transaction cannot be inserted again
    std::vector<RowColumn> columns;    // those that are stored, in the table's order
    std::vector<std::string> selects;  // what reads each without loss
    struct KeyColumn {
        std::string name, data_type, charset;  // "bigint"
        bool prefix = false;                   // only the start of the column is in the key
    };
    std::vector<KeyColumn> primary_key;
    std::string display() const { return database + "." + name; }
};

// A file of statements for the stock client: the first line sets the delimiter, which stands alone
// on a line after each statement.
struct SqlFile {
    std::string path;  // in the base
    std::vector<std::string> statements;
};
std::string render(const std::vector<std::string>& statements);
// The inverse of render. Throws Error{corrupt}.
std::vector<std::string> split_statements(std::string_view text);

// A name that can be a file's: bytes other than letters, digits, '_', '-' become %XX.
std::string file_name(std::string_view name);

class Schema {
  public:
    // Reads everything. Throws Error{permission} when something could be seen but not its
    // definition: a smaller dump would be silent loss.
    Schema(sql::MariadbConnection& connection, const Selection& selection);

    std::vector<std::string> databases;
    std::vector<TableInfo> tables;  // by database and name
    // In the order of loading; tables' own files stand between sequences and routines. Broken
    // views name something that is not there: they cannot be made unless it is.
    SqlFile create_databases, sequences, routines, views, broken_views, triggers, events;
    uint64_t view_count = 0, trigger_count = 0, procedure_count = 0, function_count = 0,
             event_count = 0, sequence_count = 0;
    std::vector<std::string> broken;                               // display names of broken views
    std::set<std::pair<std::string, std::string>> sequence_names;  // with their databases

    // Whether both describe the same objects: counters and sequences may differ.
    bool same_definitions(const Schema& other) const;

  private:
    void read_tables(sql::MariadbConnection& connection, const Selection& selection);
    void read_columns(sql::MariadbConnection& connection);
    void read_keys(sql::MariadbConnection& connection);
    void read_sequences(sql::MariadbConnection& connection, const Selection& selection);
    void read_views(sql::MariadbConnection& connection, const Selection& selection);
    void read_routines(sql::MariadbConnection& connection);
    void read_triggers(sql::MariadbConnection& connection, const Selection& selection);
    void read_events(sql::MariadbConnection& connection);

    TableInfo* find(const sql::Row& database_and_name);
    // By database and name.
    std::map<std::pair<std::string, std::string>, size_t> table_numbers_;
    std::map<std::string, std::string> collations_;  // of databases
    struct Column {
        std::string data_type, charset;
    };
    std::map<std::pair<size_t, std::string>, Column> key_columns_;
};

// Accounts and roles, of everybody but the server's own.
struct Users {
    SqlFile accounts;  // made before anything that has a definer
    SqlFile grants;    // after everything that they name
    uint64_t count = 0;
};
Users read_users(sql::MariadbConnection& connection);

}  // namespace sevenfold::database::mariadb
