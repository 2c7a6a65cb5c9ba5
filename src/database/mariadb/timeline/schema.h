// What the log does not say of tables: keys, foreign keys, generated columns.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sql/mariadb.h"

namespace sevenfold::database::mariadb {

struct ColumnSchema {
    std::string name;
    std::string data_type;      // "int", "varchar", "enum", "uuid"
    std::string column_type;    // "int(10) unsigned", "enum('a','b')"
    std::string character_set;  // empty: none, or binary
    bool generated = false;     // also system versioning's
    unsigned decimals = 0;      // of times

    bool is_unsigned() const { return column_type.find("unsigned") != std::string::npos; }
};

struct KeySchema {
    std::string name;
    std::vector<std::string> columns;
    bool prefix = false;  // only of the beginnings of values
};

enum class ForeignKeyRule { restrict, cascade, set_null };

struct ForeignKey {
    std::string name;
    std::string child_database, child_table;
    std::vector<std::string> child_columns;
    std::string parent_database, parent_table;
    std::vector<std::string> parent_columns;
    ForeignKeyRule on_delete = ForeignKeyRule::restrict, on_update = ForeignKeyRule::restrict;
};

struct TableSchema {
    std::string database, name;
    enum class Kind { table, sequence, versioned, other } kind = Kind::table;
    std::vector<ColumnSchema> columns;
    std::vector<std::string> primary_key;
    std::vector<KeySchema> unique_keys;    // without the primary key
    std::vector<ForeignKey> foreign_keys;  // of this table: it is the child
    std::vector<ForeignKey> referenced;    // by other tables, or itself: it is the parent
    bool triggers = false;
    std::string engine;

    std::string display() const { return database + "." + name; }
    std::optional<size_t> column(const std::string& column_name) const;
};

// Where schemas come from. What it gives lives as long as the source.
class SchemaSource {
  public:
    virtual ~SchemaSource() = default;
    // nullptr: there is no such table (any more).
    virtual const TableSchema* find(const std::string& database, const std::string& table) = 0;
};

// A live server's: as its tables are now. Each is read once. Needs the right to see the tables, and
// all tables that refer to them.
class ServerSchema : public SchemaSource {
  public:
    // The connection must outlive it and is used by it alone during calls.
    explicit ServerSchema(sql::MariadbConnection& connection) : connection_(connection) {}
    const TableSchema* find(const std::string& database, const std::string& table) override;

  private:
    std::unique_ptr<TableSchema> read(const std::string& database, const std::string& table);
    void read_columns(TableSchema& table);
    void read_keys(TableSchema& table);
    std::vector<ForeignKey> read_foreign_keys(const std::string& condition);

    sql::MariadbConnection& connection_;
    std::map<std::pair<std::string, std::string>, std::unique_ptr<TableSchema>> tables_;
};

}  // namespace sevenfold::database::mariadb
