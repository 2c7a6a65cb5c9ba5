#include "database/mariadb/dump/schema.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <map>
#include <set>

namespace sevenfold::database::mariadb {
namespace {

using sql::quote_name;
using sql::quote_text;
using sql::Row;

bool matches(const std::vector<std::string>& patterns, const std::string& name) {
    return std::ranges::any_of(patterns, [&](const std::string& pattern) {
        return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
    });
}

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

// "table_schema IN ('a','b')"; false when there is none.
std::string in_databases(const char* column, const std::vector<std::string>& databases) {
    if (databases.empty()) return "FALSE";
    std::vector<std::string> quoted;
    for (const std::string& database : databases) quoted.push_back(quote_text(database));
    return fmt::format("{} IN ({})", column, fmt::join(quoted, ","));
}

// The statement that makes an object; NULL means that we may not see it.
std::string definition(const Row& row, size_t column, const std::string& what) {
    if (column < row.size() && row[column]) return *row[column];
    throw Error(ErrorKind::permission, fmt::format("the definition of {} cannot be read", what),
                "`sevenfold db grants` prints the rights that are needed.");
}

uint64_t number(const std::optional<std::string>& text) {
    return text ? std::strtoull(text->c_str(), nullptr, 10) : 0;
}

// A stored program as it was made: its text is in the character set of the client that made it.
void add_program(std::vector<std::string>& to, const std::string& database, const Row& row,
                 size_t sql_mode, size_t client, const std::string& create) {
    to.push_back("USE " + quote_name(database));
    to.push_back(fmt::format(
        "SET SESSION sql_mode={}, character_set_client={}, collation_connection={}",
        quote_text(row[sql_mode].value_or("")), quote_text(row[client].value_or("utf8mb4")),
        quote_text(row[client + 1].value_or("utf8mb4_general_ci"))));
    to.push_back(create);
}

const std::vector<std::string> kPrologue = {
    "SET NAMES utf8mb4",
    "SET SESSION foreign_key_checks=0, unique_checks=0, check_constraint_checks=0, "
    "sql_mode='NO_AUTO_VALUE_ON_ZERO', time_zone='+00:00'",
};

// Raw bytes instead of text in our character set, while this lives.
class RawResults {
  public:
    explicit RawResults(sql::MariadbConnection& connection) : connection_(connection) {
        connection_.execute("SET SESSION character_set_results=NULL");
    }
    ~RawResults() {
        try {
            connection_.execute("SET SESSION character_set_results=utf8mb4");
        } catch (const Error&) {  // the connection is gone; the next statement says so
        }
    }
    RawResults(const RawResults&) = delete;
    RawResults& operator=(const RawResults&) = delete;

  private:
    sql::MariadbConnection& connection_;
};

ColumnKind kind_of(const std::string& type) {
    static const std::set<std::string> kNumbers = {
        "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "year"};
    static const std::set<std::string> kBinary = {"bit",          "uuid",
                                                  "inet6",        "inet4",
                                                  "binary",       "varbinary",
                                                  "tinyblob",     "blob",
                                                  "mediumblob",   "longblob",
                                                  "geometry",     "point",
                                                  "linestring",   "polygon",
                                                  "multipoint",   "multilinestring",
                                                  "multipolygon", "geometrycollection"};
    if (kNumbers.contains(type)) return ColumnKind::number;
    return kBinary.contains(type) ? ColumnKind::binary : ColumnKind::text;
}

}  // namespace

bool Selection::has_database(const std::string& database) const {
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
    create_databases = {"10-databases.sql", kPrologue};
    sequences = {"20-sequences.sql", kPrologue};
    routines = {"50-routines.sql", kPrologue};
    views = {"60-views.sql", kPrologue};
    triggers = {"70-triggers.sql", kPrologue};
    events = {"80-events.sql", kPrologue};
    for (const Row& row : connection.query(
             "SELECT schema_name FROM information_schema.schemata ORDER BY CAST(schema_name AS "
             "BINARY)")) {
        if (!selection.has_database(*row[0])) continue;
        databases.push_back(*row[0]);
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
    auto rows = connection.query(fmt::format(
        "SELECT table_schema, table_name, engine, table_rows, data_length, table_type, "
        "create_options, table_comment FROM information_schema.tables WHERE {} AND table_type IN "
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
                fmt::format("table {} cannot be opened: {}", table.display(), row[7].value_or("")),
                "Repair or drop it, or leave it out with exclude.");
        table.engine = *row[2];
        table.transactional = transactional.contains(table.engine);
        table.estimated_rows = number(row[3]);
        table.data_length = number(row[4]);
        table.versioned = *row[5] == "SYSTEM VERSIONED";
        table.partitioned = row[6].value_or("").find("partitioned") != std::string::npos;
        tables.push_back(std::move(table));
    }
    for (TableInfo& table : tables)
        table.create = definition(
            connection.query("SHOW CREATE TABLE " + quote_name(table.database, table.name)).at(0),
            1, "table " + table.display());
}

void Schema::read_columns(sql::MariadbConnection& connection) {
    std::map<std::pair<std::string, std::string>, TableInfo*> by_name;
    for (TableInfo& table : tables) by_name[{table.database, table.name}] = &table;
    auto rows = connection.query(fmt::format(
        "SELECT table_schema, table_name, column_name, data_type, character_set_name, "
        "is_generated, generation_expression FROM information_schema.columns WHERE {} ORDER BY "
        "table_schema, table_name, ordinal_position",
        in_databases("table_schema", databases)));
    std::set<const TableInfo*> own_period;  // declares its own ROW START
    for (const Row& row : rows) {
        auto at = by_name.find({*row[0], *row[1]});
        if (at == by_name.end()) continue;
        TableInfo& table = *at->second;
        std::string expression = row[6].value_or("");
        bool period = expression == "ROW START" || expression == "ROW END";
        if (row[5].value_or("") == "ALWAYS" && !(table.versioned && period)) continue;
        if (period) own_period.insert(&table);
        table.columns.push_back({*row[2], kind_of(*row[3]), row[4].value_or("latin1")});
        std::string name = quote_name(*row[2]);
        table.selects.push_back(lossless(*row[3], name));
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
    std::map<std::pair<std::string, std::string>, TableInfo*> by_name;
    for (TableInfo& table : tables) by_name[{table.database, table.name}] = &table;
    auto rows = connection.query(fmt::format(
        "SELECT s.table_schema, s.table_name, s.column_name, c.data_type, s.sub_part FROM "
        "information_schema.statistics s JOIN information_schema.columns c USING (table_schema, "
        "table_name, column_name) WHERE s.index_name='PRIMARY' AND {} ORDER BY s.table_schema, "
        "s.table_name, s.seq_in_index",
        in_databases("s.table_schema", databases)));
    for (const Row& row : rows) {
        auto at = by_name.find({*row[0], *row[1]});
        if (at != by_name.end()) at->second->primary_key.push_back({*row[2], *row[3]});
    }
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
        auto value = connection.value("SELECT next_not_cached_value FROM " + name);
        if (value)
            sequences.statements.push_back(fmt::format("DO SETVAL({}, {}, 0)", name, *value));
        ++sequence_count;
    }
}

void Schema::read_views(sql::MariadbConnection& connection, const Selection& selection) {
    struct View {
        std::string database, name, create, collation;
    };
    std::vector<View> all;
    for (const Row& row : connection.query(fmt::format(
             "SELECT table_schema, table_name FROM information_schema.tables WHERE {} AND "
             "table_type='VIEW' ORDER BY table_schema, table_name",
             in_databases("table_schema", databases)))) {
        if (!selection.has_table(*row[0], *row[1])) continue;
        Row made = connection.query("SHOW CREATE VIEW " + quote_name(*row[0], *row[1])).at(0);
        all.push_back({*row[0], *row[1], definition(made, 1, "view " + *row[1]),
                       made.at(3).value_or("utf8mb4_general_ci")});
    }
    view_count = all.size();
    // A view follows those that its definition names; the server writes names in full.
    std::vector<bool> done(all.size());
    for (bool progress = true; progress;) {
        progress = false;
        for (size_t i = 0; i < all.size(); ++i) {
            if (done[i]) continue;
            bool waits = false;
            for (size_t j = 0; j < all.size() && !waits; ++j)
                waits = j != i && !done[j] &&
                        all[i].create.find(quote_name(all[j].database, all[j].name)) !=
                            std::string::npos;
            if (waits) continue;
            done[i] = progress = true;
            views.statements.push_back("USE " + quote_name(all[i].database));
            views.statements.push_back("SET SESSION collation_connection=" +
                                       quote_text(all[i].collation));
            views.statements.push_back(all[i].create);
        }
    }
    for (size_t i = 0; i < all.size(); ++i)
        if (!done[i])
            throw Error(ErrorKind::corrupt, fmt::format("views name each other in a circle ({}.{})",
                                                        all[i].database, all[i].name));
}

void Schema::read_routines(sql::MariadbConnection& connection) {
    auto rows = connection.query(fmt::format(
        "SELECT db, name, type FROM mysql.proc WHERE {} ORDER BY db, FIELD(type,'PACKAGE',"
        "'PACKAGE BODY','FUNCTION','PROCEDURE'), name",
        in_databases("db", databases)));
    RawResults raw(connection);
    for (const Row& row : rows) {
        std::string what = fmt::format("{} {}.{}", *row[2], *row[0], *row[1]);
        Row made =
            connection
                .query(fmt::format("SHOW CREATE {} {}", *row[2], quote_name(*row[0], *row[1])))
                .at(0);
        add_program(routines.statements, *row[0], made, 1, 3, definition(made, 2, what));
        ++(*row[2] == "FUNCTION" ? function_count : procedure_count);
    }
}

void Schema::read_triggers(sql::MariadbConnection& connection, const Selection& selection) {
    auto rows = connection.query(fmt::format(
        "SELECT trigger_schema, trigger_name, event_object_table FROM information_schema.triggers "
        "WHERE {} ORDER BY trigger_schema, event_object_table, action_timing, event_manipulation, "
        "action_order",
        in_databases("trigger_schema", databases)));
    RawResults raw(connection);
    for (const Row& row : rows) {
        if (!selection.has_table(*row[0], *row[2])) continue;
        Row made = connection.query("SHOW CREATE TRIGGER " + quote_name(*row[0], *row[1])).at(0);
        add_program(triggers.statements, *row[0], made, 1, 3,
                    definition(made, 2, "trigger " + *row[1]));
        ++trigger_count;
    }
}

void Schema::read_events(sql::MariadbConnection& connection) {
    auto rows = connection.query(fmt::format(
        "SELECT event_schema, event_name FROM information_schema.events WHERE {} ORDER BY "
        "event_schema, event_name",
        in_databases("event_schema", databases)));
    RawResults raw(connection);
    for (const Row& row : rows) {
        Row made = connection.query("SHOW CREATE EVENT " + quote_name(*row[0], *row[1])).at(0);
        events.statements.push_back("SET SESSION time_zone=" + quote_text(made[2].value_or("UTC")));
        add_program(events.statements, *row[0], made, 1, 4,
                    definition(made, 3, "event " + *row[1]));
        ++event_count;
    }
}

Users read_users(sql::MariadbConnection& connection) {
    Users users{{"90-users.sql", kPrologue}, 0};
    std::vector<std::string>& out = users.file.statements;
    auto rows = connection.query(
        "SELECT user, host, is_role FROM mysql.user WHERE user NOT IN "
        "('mariadb.sys','root','mysql') "
        "ORDER BY is_role DESC, user, host");
    for (const Row& row : rows) {
        bool role = *row[2] == "Y";
        std::string account =
            role ? quote_name(*row[0]) : quote_text(*row[0]) + "@" + quote_text(*row[1]);
        if (role)
            out.push_back("CREATE ROLE IF NOT EXISTS " + account);
        else
            out.push_back(
                definition(connection.query("SHOW CREATE USER " + account).at(0), 0, account));
        ++users.count;
    }
    for (const Row& row : rows) {
        bool role = *row[2] == "Y";
        std::string account =
            role ? quote_name(*row[0]) : quote_text(*row[0]) + "@" + quote_text(*row[1]);
        for (const Row& grant : connection.query("SHOW GRANTS FOR " + account)) {
            std::string text = *grant[0];
            // CREATE USER has set the password already.
            size_t identified = text.find(" IDENTIFIED ");
            if (identified != text.npos) {
                size_t option = text.find(" WITH GRANT OPTION");
                text =
                    text.substr(0, identified) + (option != text.npos ? " WITH GRANT OPTION" : "");
            }
            out.push_back(std::move(text));
        }
    }
    return users;
}

}  // namespace sevenfold::database::mariadb
