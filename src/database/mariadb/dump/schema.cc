#include "database/mariadb/dump/schema.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <set>

#include "database/mariadb/dump/internal/schema_text.h"

namespace sevenfold::database::mariadb {
namespace {

using sql::quote_name;
using sql::quote_text;
using sql::Row;

// How a column is read so that the same value comes back.
std::string lossless(const std::string& type, const std::string& name) {
    // FLOAT prints six digits, which is not what it holds.
    if (type == "float") return fmt::format("CAST({} AS DOUBLE)", name);
    // Without a character set these are taken as the bytes they are stored in.
    if (type == "uuid" || type == "inet6") return fmt::format("CAST({} AS BINARY(16))", name);
    if (type == "inet4") return fmt::format("CAST({} AS BINARY(4))", name);
    return name;
}

bool is_system(const std::string& database) {
    return database == "mysql" || database == "information_schema" ||
           database == "performance_schema" || database == "sys";
}

uint64_t number(const std::optional<std::string>& text) {
    return text ? std::strtoull(text->c_str(), nullptr, 10) : 0;
}

ColumnKind kind_of(const std::string& type) {
    static const std::set<std::string> kNumbers = {
        "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "year"};
    static const std::set<std::string> kBinary = {"bit",
                                                  "uuid",
                                                  "vector",
                                                  "inet6",
                                                  "inet4",
                                                  "binary",
                                                  "varbinary",
                                                  "tinyblob",
                                                  "blob",
                                                  "mediumblob",
                                                  "longblob",
                                                  "geometry",
                                                  "point",
                                                  "linestring",
                                                  "polygon",
                                                  "multipoint",
                                                  "multilinestring",
                                                  "multipolygon",
                                                  "geometrycollection"};
    if (kNumbers.contains(type)) return ColumnKind::number;
    return kBinary.contains(type) ? ColumnKind::binary : ColumnKind::text;
}

}  // namespace

bool Selection::is_open() const {
    return databases.empty() || std::ranges::any_of(databases, [](const std::string& pattern) {
               return pattern.find_first_of("*?[\\") != pattern.npos;
           });
}

bool matches(const std::vector<std::string>& patterns, const std::string& name) {
    return std::ranges::any_of(patterns, [&](const std::string& pattern) {
        return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
    });
}

bool Selection::has_database(const std::string& database) const {
    constexpr std::string_view kWhole = ".*";
    for (const std::string& pattern : exclude)
        if (pattern.ends_with(kWhole) &&
            matches({pattern.substr(0, pattern.size() - kWhole.size())}, database))
            return false;
    return !is_system(database) && (databases.empty() || matches(databases, database));
}

bool Selection::has_table(const std::string& database, const std::string& table) const {
    return has_database(database) && !matches(exclude, database + "." + table);
}

std::string file_name(std::string_view name) {
    std::string out;
    for (char c : name) {
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '_' || c == '-';
        if (plain)
            out += c;
        else
            out += fmt::format("%{:02X}", static_cast<uint8_t>(c));
    }
    return out;
}

std::string render(const std::vector<std::string>& statements) {
    std::string delimiter = ";;";
    auto taken = [&] {
        return std::ranges::any_of(statements, [&](const std::string& statement) {
            return statement.find(delimiter) != statement.npos;
        });
    };
    while (taken()) delimiter += ';';
    std::string out = "DELIMITER " + delimiter + "\n";
    for (const std::string& statement : statements) out += statement + "\n" + delimiter + "\n";
    return out + "DELIMITER ;\n";
}

std::vector<std::string> split_statements(std::string_view text) {
    constexpr std::string_view kFirst = "DELIMITER ", kLast = "DELIMITER ;\n";
    size_t line = text.find('\n');
    if (!text.starts_with(kFirst) || line == text.npos || !text.ends_with(kLast))
        throw Error(ErrorKind::corrupt, "a file of statements is cut off or is none");
    std::string end = "\n" + std::string(text.substr(kFirst.size(), line - kFirst.size())) + "\n";
    text = text.substr(line + 1, text.size() - line - 1 - kLast.size());
    std::vector<std::string> out;
    while (!text.empty()) {
        size_t at = text.find(end);
        if (at == text.npos)
            throw Error(ErrorKind::corrupt, "a file of statements has an unfinished one");
        out.emplace_back(text.substr(0, at));
        text.remove_prefix(at + end.size());
    }
    return out;
}

Schema::Schema(sql::MariadbConnection& connection, const Selection& selection) {
    create_databases = {"10-databases.sql", prologue()};
    sequences = {"20-sequences.sql", prologue()};
    routines = {"50-routines.sql", prologue()};
    views = {"60-views.sql", prologue()};
    broken_views = {"65-broken-views.sql", prologue()};
    triggers = {"70-triggers.sql", prologue()};
    events = {"80-events.sql", prologue()};
    for (const Row& row : connection.query(
             "SELECT schema_name, default_collation_name FROM information_schema.schemata ORDER BY "
             "CAST(schema_name AS BINARY)")) {
        if (!selection.has_database(*row[0])) continue;
        databases.push_back(*row[0]);
        collations_[*row[0]] = row[1].value_or("");
        std::string create =
            definition(connection.query("SHOW CREATE DATABASE " + quote_name(*row[0])).at(0), 1,
                       "database " + *row[0]);
        create_databases.statements.push_back(create);
    }
    read_tables(connection, selection);
    read_columns(connection);
    read_keys(connection);
    read_sequences(connection, selection);
    read_views(connection, selection);
    read_routines(connection);
    read_triggers(connection, selection);
    read_events(connection);
}

void Schema::read_tables(sql::MariadbConnection& connection, const Selection& selection) {
    std::set<std::string> transactional;
    for (const Row& row :
         connection.query("SELECT engine FROM information_schema.engines WHERE transactions='YES'"))
        transactional.insert(*row[0]);
    auto rows = connection.query(
        fmt::format("SELECT table_schema, table_name, engine, table_rows, data_length, table_type, "
                    "table_comment FROM information_schema.tables WHERE {} AND table_type IN "
                    "('BASE TABLE','SYSTEM VERSIONED') ORDER BY CAST(table_schema AS BINARY), "
                    "CAST(table_name AS BINARY)",
                    in_databases("table_schema", databases)));
    for (const Row& row : rows) {
        if (!selection.has_table(*row[0], *row[1])) continue;
        TableInfo table;
        table.database = *row[0];
        table.name = *row[1];
        if (!row[2])  // a damaged table has no engine, and says why
            throw Error(
                ErrorKind::corrupt,
                fmt::format("table {} cannot be opened: {}", table.display(), row[6].value_or("")),
                "Repair or drop it, or leave it out with exclude.");
        table.engine = *row[2];
        table.transactional = transactional.contains(table.engine);
        table.estimated_rows = number(row[3]);
        table.data_length = number(row[4]);
        table.versioned = *row[5] == "SYSTEM VERSIONED";
        static const std::set<std::string> kElsewhere = {"MRG_MyISAM", "FEDERATED", "SPIDER",
                                                         "CONNECT",    "OQGRAPH",   "SPHINX"};
        table.elsewhere = kElsewhere.contains(table.engine);
        table_numbers_[{table.database, table.name}] = tables.size();
        tables.push_back(std::move(table));
    }
    for (TableInfo& table : tables)
        table.create = definition(
            connection.query("SHOW CREATE TABLE " + quote_name(table.database, table.name)).at(0),
            1, "table " + table.display());
}

TableInfo* Schema::find(const Row& row) {
    auto at = table_numbers_.find({row[0].value_or(""), row[1].value_or("")});
    return at == table_numbers_.end() ? nullptr : &tables[at->second];
}

void Schema::read_columns(sql::MariadbConnection& connection) {
    std::set<const TableInfo*> own_period;  // declares its own ROW START
    for (const Row& row : connection.query(fmt::format(
             "SELECT table_schema, table_name, column_name, data_type, character_set_name, "
             "is_generated, generation_expression, column_key FROM information_schema.columns "
             "WHERE {} ORDER BY table_schema, table_name, ordinal_position",
             in_databases("table_schema", databases)))) {
        TableInfo* table = find(row);
        if (table == nullptr) continue;
        std::string expression = row[6].value_or("");
        bool period = expression == "ROW START" || expression == "ROW END";
        if (period && *row[3] == "bigint") {
            table->history_lost = true;
            table->versioned = false;
            continue;
        }
        if (row[5].value_or("") == "ALWAYS" && !(table->versioned && period)) continue;
        if (period) own_period.insert(table);
        table->columns.push_back({*row[2], kind_of(*row[3]), row[4].value_or("latin1")});
        table->selects.push_back(lossless(*row[3], quote_name(*row[2])));
        if (row[7].value_or("") == "PRI")
            key_columns_[{static_cast<size_t>(table - tables.data()), *row[2]}] = {
                *row[3], row[4].value_or("binary")};
    }
    for (TableInfo& table : tables) {
        if (!table.versioned || own_period.contains(&table)) continue;
        for (const char* name : {"row_start", "row_end"}) {
            table.columns.push_back({name, ColumnKind::text, "latin1"});
            table.selects.push_back(quote_name(name));
        }
    }
}

void Schema::read_keys(sql::MariadbConnection& connection) {
    for (const Row& row : connection.query(
             fmt::format("SELECT table_schema, table_name, column_name, sub_part FROM "
                         "information_schema.statistics WHERE index_name='PRIMARY' AND {} ORDER BY "
                         "table_schema, table_name, seq_in_index",
                         in_databases("table_schema", databases)))) {
        TableInfo* table = find(row);
        if (table == nullptr) continue;
        // A column without values of its own (ROW END) is not among them: no cuts by it.
        auto column = key_columns_.find({static_cast<size_t>(table - tables.data()), *row[2]});
        Column type = column == key_columns_.end() ? Column{} : column->second;
        table->primary_key.push_back({*row[2], type.data_type, type.charset, row[3].has_value()});
    }
}

bool Schema::same_definitions(const Schema& other) const {
    auto without_counter = [](const TableInfo& table) {
        size_t options = table.create.rfind("\n) ");
        size_t at = table.create.find(" AUTO_INCREMENT=", options);
        if (options == table.create.npos || at == table.create.npos) return table.create;
        size_t end = table.create.find(' ', at + 1);
        return table.create.substr(0, at) +
               (end == table.create.npos ? "" : table.create.substr(end));
    };
    auto same = [&](const TableInfo& a, const TableInfo& b) {
        return a.database == b.database && without_counter(a) == without_counter(b);
    };
    return databases == other.databases && views.statements == other.views.statements &&
           routines.statements == other.routines.statements &&
           triggers.statements == other.triggers.statements &&
           sequence_count == other.sequence_count && event_count == other.event_count &&
           std::ranges::equal(tables, other.tables, same);
}

void Schema::read_sequences(sql::MariadbConnection& connection, const Selection& selection) {
    for (const Row& row : connection.query(fmt::format(
             "SELECT table_schema, table_name FROM information_schema.tables WHERE {} AND "
             "table_type='SEQUENCE' ORDER BY table_schema, table_name",
             in_databases("table_schema", databases)))) {
        if (!selection.has_table(*row[0], *row[1])) continue;
        std::string name = quote_name(*row[0], *row[1]);
        std::string create = definition(connection.query("SHOW CREATE SEQUENCE " + name).at(0), 1,
                                        "sequence " + *row[1]);
        sequences.statements.push_back("USE " + quote_name(*row[0]));
        sequences.statements.push_back(create);
        Row state =
            connection.query("SELECT next_not_cached_value, cycle_count FROM " + name).at(0);
        sequences.statements.push_back(fmt::format("DO SETVAL({}, {}, 0, {})", name,
                                                   state[0].value_or("1"), state[1].value_or("0")));
        sequence_names.emplace(*row[0], *row[1]);
        ++sequence_count;
    }
}

}  // namespace sevenfold::database::mariadb
