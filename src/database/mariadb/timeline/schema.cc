#include "database/mariadb/timeline/schema.h"

#include <fmt/format.h>

namespace sevenfold::database::mariadb {
namespace {

using sql::quote_text;

ForeignKeyRule rule_of(std::string_view text) {
    if (text == "CASCADE") return ForeignKeyRule::cascade;
    return text == "SET NULL" ? ForeignKeyRule::set_null : ForeignKeyRule::restrict;
}

TableSchema::Kind kind_of(std::string_view type) {
    using Kind = TableSchema::Kind;
    if (type == "BASE TABLE") return Kind::table;
    if (type == "SEQUENCE") return Kind::sequence;
    return type == "SYSTEM VERSIONED" ? Kind::versioned : Kind::other;
}

}  // namespace

std::optional<size_t> TableSchema::column(const std::string& column_name) const {
    for (size_t i = 0; i < columns.size(); ++i)
        if (columns[i].name == column_name) return i;
    return std::nullopt;
}

const TableSchema* ServerSchema::find(const std::string& database, const std::string& table) {
    auto [at, added] = tables_.try_emplace({database, table});
    if (added) {
        try {
            at->second = read(database, table);
        } catch (...) {
            tables_.erase(at);
            throw;
        }
    }
    return at->second.get();
}

std::unique_ptr<TableSchema> ServerSchema::read(const std::string& database,
                                                const std::string& table) {
    auto found = connection_.query(fmt::format(
        "SELECT table_type, engine FROM information_schema.tables WHERE table_schema = {} AND "
        "table_name = {}",
        quote_text(database), quote_text(table)));
    if (found.empty()) return nullptr;
    auto schema = std::make_unique<TableSchema>();
    schema->database = database;
    schema->name = table;
    schema->kind = kind_of(found[0].at(0).value_or(""));
    schema->engine = found[0].at(1).value_or("");
    read_columns(*schema);
    read_keys(*schema);
    schema->foreign_keys = read_foreign_keys(fmt::format(
        "k.table_schema = {} AND k.table_name = {}", quote_text(database), quote_text(table)));
    schema->referenced = read_foreign_keys(
        fmt::format("k.referenced_table_schema = {} AND k.referenced_table_name = {}",
                    quote_text(database), quote_text(table)));
    schema->triggers =
        connection_.value(fmt::format("SELECT COUNT(*) FROM information_schema.triggers WHERE "
                                      "event_object_schema = {} AND event_object_table = {}",
                                      quote_text(database), quote_text(table))) != "0";
    return schema;
}

void ServerSchema::read_columns(TableSchema& table) {
    auto rows = connection_.query(fmt::format(
        "SELECT column_name, data_type, column_type, character_set_name, is_generated, "
        "datetime_precision FROM information_schema.columns WHERE table_schema = {} AND "
        "table_name = {} ORDER BY ordinal_position",
        quote_text(table.database), quote_text(table.name)));
    for (const sql::Row& row : rows)
        table.columns.push_back(
            {.name = row[0].value_or(""),
             .data_type = row[1].value_or(""),
             .column_type = row[2].value_or(""),
             .character_set = row[3].value_or(""),
             .generated = row[4].value_or("NEVER") != "NEVER",
             .decimals = static_cast<unsigned>(std::stoul(row[5].value_or("0")))});
}

void ServerSchema::read_keys(TableSchema& table) {
    auto rows = connection_.query(fmt::format(
        "SELECT index_name, column_name, sub_part IS NOT NULL FROM information_schema.statistics "
        "WHERE non_unique = 0 AND table_schema = {} AND table_name = {} ORDER BY index_name, "
        "seq_in_index",
        quote_text(table.database), quote_text(table.name)));
    for (const sql::Row& row : rows) {
        std::string key = row[0].value_or(""), column = row[1].value_or("");
        if (key == "PRIMARY") {
            table.primary_key.push_back(column);
            continue;
        }
        if (table.unique_keys.empty() || table.unique_keys.back().name != key)
            table.unique_keys.push_back({.name = key});
        table.unique_keys.back().columns.push_back(column);
        if (row[2] == "1") table.unique_keys.back().prefix = true;
    }
}

std::vector<ForeignKey> ServerSchema::read_foreign_keys(const std::string& condition) {
    auto rows = connection_.query(
        "SELECT k.constraint_name, k.table_schema, k.table_name, k.column_name, "
        "k.referenced_table_schema, k.referenced_table_name, k.referenced_column_name, "
        "r.delete_rule, r.update_rule FROM information_schema.key_column_usage k JOIN "
        "information_schema.referential_constraints r ON r.constraint_schema = "
        "k.constraint_schema AND r.constraint_name = k.constraint_name AND r.table_name = "
        "k.table_name WHERE k.referenced_table_name IS NOT NULL AND " +
        condition +
        " ORDER BY k.table_schema, k.table_name, k.constraint_name, "
        "k.ordinal_position");
    std::vector<ForeignKey> keys;
    for (const sql::Row& row : rows) {
        auto field = [&](size_t i) { return row[i].value_or(""); };
        bool same = !keys.empty() && keys.back().name == field(0) &&
                    keys.back().child_database == field(1) && keys.back().child_table == field(2);
        if (!same)
            keys.push_back({.name = field(0),
                            .child_database = field(1),
                            .child_table = field(2),
                            .parent_database = field(4),
                            .parent_table = field(5),
                            .on_delete = rule_of(field(7)),
                            .on_update = rule_of(field(8))});
        keys.back().child_columns.push_back(field(3));
        keys.back().parent_columns.push_back(field(6));
    }
    return keys;
}

}  // namespace sevenfold::database::mariadb
