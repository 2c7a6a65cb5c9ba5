#include "database/mariadb/timeline/undo.h"

#include <fmt/format.h>

#include <algorithm>

#include "database/mariadb/timeline/effects.h"

namespace sevenfold::database::mariadb {
namespace {

using sql::quote_name;

constexpr size_t kDefaultPacket = 16 << 20;  // the server's max_allowed_packet

std::string joined(const std::vector<std::string>& parts, std::string_view between) {
    std::string out;
    for (const std::string& part : parts) out += (out.empty() ? "" : std::string(between)) + part;
    return out;
}

bool in_key(const TableSchema& table, const std::string& column) {
    return std::ranges::find(table.primary_key, column) != table.primary_key.end();
}

// Whether the column has exactly this value. Collations take different texts as equal, hence
// BINARY; that leaves no use for an index, so columns of the key are compared as they are, too.
std::string guard(const ColumnSchema& column, const Value& value, bool key) {
    std::string name = quote_name(column.name);
    std::string plain = fmt::format("{} <=> {}", name, sql_literal(value));
    switch (value.kind) {
        case Value::Kind::enumeration:
        case Value::Kind::set:
            return fmt::format("{} <=> {}", name, value.number);
        case Value::Kind::geometry:
            return fmt::format("HEX({}) <=> '{}'", name, [&] {
                std::string hex = to_hex(as_bytes(value.bytes));
                std::ranges::transform(hex, hex.begin(), [](char c) {
                    return static_cast<char>(c >= 'a' ? c - 'a' + 'A' : c);
                });
                return hex;
            }());
        case Value::Kind::text: {
            std::string exact = fmt::format("BINARY {} <=> {}", name, binary_literal(value));
            return key ? plain + " AND " + exact : exact;
        }
        default:
            return plain;
    }
}

std::string guards(const TableSchema& table, const RowImage& image) {
    std::vector<std::string> key, others;
    for (size_t i = 0; i < image.size(); ++i) {
        if (!image[i]) continue;
        bool is_key = in_key(table, table.columns[i].name);
        (is_key ? key : others).push_back(guard(table.columns[i], *image[i], is_key));
    }
    key.insert(key.end(), others.begin(), others.end());
    return joined(key, " AND ");
}

// Rows that came later and refer to this one would vanish, or lose their reference, without a
// trace: then the statement must not find its row.
std::string without_children(const TableSchema& table, const RowImage& image,
                             ForeignKeyRule ForeignKey::*rule, bool cascade_too,
                             const RowImage* replaced) {
    std::string out;
    for (const ForeignKey& key : table.referenced) {
        ForeignKeyRule r = key.*rule;
        if (r == ForeignKeyRule::restrict || (r == ForeignKeyRule::cascade && !cascade_too))
            continue;
        std::vector<size_t> parents = places(table, key.parent_columns);
        auto id = row_key(image, parents, false);
        if (!id || (replaced != nullptr && row_key(*replaced, parents, false) == id)) continue;
        std::string condition;
        for (size_t i = 0; i < parents.size(); ++i)
            condition +=
                fmt::format("{}c.{} <=> {}", i == 0 ? "" : " AND ",
                            quote_name(key.child_columns[i]), sql_literal(*image[parents[i]]));
        bool itself = key.child_database == table.database && key.child_table == table.name;
        if (itself && !table.primary_key.empty()) {
            std::string same;
            for (size_t at : places(table, table.primary_key))
                same += fmt::format("{}c.{} <=> {}", same.empty() ? "" : " AND ",
                                    quote_name(table.columns[at].name), sql_literal(*image[at]));
            condition += " AND NOT (" + same + ")";
        }
        out += fmt::format(" AND NOT EXISTS (SELECT 1 FROM {} c WHERE {})",
                           quote_name(key.child_database, key.child_table), condition);
    }
    return out;
}

std::string undo_insert(const Effect& effect) {
    const TableSchema& table = *effect.table;
    return fmt::format(
        "DELETE FROM {} WHERE {}{} LIMIT 1", quote_name(table.database, table.name),
        guards(table, effect.after),
        without_children(table, effect.after, &ForeignKey::on_delete, true, nullptr));
}

std::string undo_delete(const Effect& effect) {
    const TableSchema& table = *effect.table;
    std::vector<std::string> columns, values;
    for (size_t i = 0; i < effect.before.size(); ++i) {
        if (!effect.before[i]) continue;
        columns.push_back(quote_name(table.columns[i].name));
        values.push_back(sql_literal(*effect.before[i]));
    }
    return fmt::format("INSERT INTO {} ({}) VALUES ({})", quote_name(table.database, table.name),
                       joined(columns, ", "), joined(values, ", "));
}

// Empty when nothing but generated columns differs.
std::string undo_update(const Effect& effect) {
    const TableSchema& table = *effect.table;
    std::vector<std::string> sets, times;
    for (size_t i = 0; i < effect.before.size(); ++i) {
        if (!effect.before[i]) continue;
        std::string set = fmt::format("{} = {}", quote_name(table.columns[i].name),
                                      sql_literal(*effect.before[i]));
        if (effect.before[i] != effect.after[i])
            sets.push_back(std::move(set));
        else if (table.columns[i].data_type == "timestamp" ||
                 table.columns[i].data_type == "datetime")
            times.push_back(std::move(set));  // else ON UPDATE CURRENT_TIMESTAMP would set it
    }
    if (sets.empty()) return {};
    sets.insert(sets.end(), times.begin(), times.end());
    return fmt::format(
        "UPDATE {} SET {} WHERE {}{} LIMIT 1", quote_name(table.database, table.name),
        joined(sets, ", "), guards(table, effect.after),
        without_children(table, effect.after, &ForeignKey::on_update, false, &effect.before));
}

std::string comment_of(const Effect& effect) {
    const TableSchema& table = *effect.table;
    const RowImage& image = effect.kind == ChangeKind::deleted ? effect.before : effect.after;
    std::string row;
    for (size_t at : places(table, table.primary_key))
        if (image[at])
            row += fmt::format(" {}={}", table.columns[at].name, display(*image[at], 60));
    std::string out = fmt::format("{} of {}{}", name(effect.kind), table.display(), row);
    if (!effect.rule.empty()) out += " by " + effect.rule;
    std::ranges::replace(out, '\n', ' ');
    return out;
}

void check(const Transaction& transaction) {
    std::string_view why;
    if (transaction.ddl) why = "is DDL";
    if (transaction.statement_format) why = "was logged as a statement";
    if (transaction.xa_prepare) why = "was only prepared (XA)";
    if (why.empty()) return;
    throw Error(ErrorKind::unsupported,
                fmt::format("transaction {} {}", transaction.gtid.display(), why),
                "Its rows are not in the log. Rewind to just before it in a second instance, and "
                "take what is needed from there.");
}

// From statement `begin` on as many as go well together; where the next ones begin. What ran after
// one that did not find its row is rolled back with it.
size_t apply_some(sql::MariadbConnection& connection, const UndoPlan& plan, size_t begin) {
    constexpr size_t kMost = 1000, kMostBytes = 1 << 20;
    std::vector<std::string> texts;
    for (size_t bytes = 0; begin + texts.size() < plan.statements.size() && texts.size() < kMost;) {
        const std::string& sql = plan.statements[begin + texts.size()].sql;
        bytes += sql.size();
        if (!texts.empty() && bytes > kMostBytes) break;
        texts.push_back(sql);
    }
    std::vector<uint64_t> rows = connection.execute_all(texts);
    for (size_t i = 0; i < rows.size(); ++i) {
        const UndoStatement& statement = plan.statements[begin + i];
        if (rows[i] == statement.expected_rows) continue;
        throw Error(ErrorKind::refused,
                    fmt::format("undo of {}: {}: {} rows instead of {}", plan.gtid.display(),
                                statement.comment, rows[i], statement.expected_rows),
                    "The row was changed since; nothing has been undone. The list of conflicts "
                    "shows by which transactions.");
    }
    return begin + texts.size();
}

std::string one_line(std::string text) {
    for (char& c : text)
        if (static_cast<unsigned char>(c) < 0x20) c = ' ';
    return text;
}

}  // namespace

UndoPlan plan_undo(const LogArchive& archive, const Transaction& transaction, SchemaSource& schemas,
                   RowHistory* history, const UndoOptions& options) {
    check(transaction);
    UndoPlan plan{.gtid = transaction.gtid,
                  .time = transaction.time,
                  .session = {"SET SESSION time_zone = '+00:00'",
                              "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,"
                              "ALLOW_INVALID_DATES'",
                              "SET SESSION foreign_key_checks = 1"},
                  .statements = {},
                  .notes = {}};
    EffectList list(schemas, history, options.leave_out_cascades);
    visit_changes(archive, transaction, &schemas, [&](const ChangedRow& change) {
        list.add(change);
        if (list.effects.size() > options.max_rows)
            throw Error(ErrorKind::unsupported,
                        fmt::format("transaction {} changed more than {} rows",
                                    transaction.gtid.display(), options.max_rows),
                        "Take the rows from an instance of just before it.");
        return true;
    });
    plan.notes = std::move(list.notes);
    for (const Effect& effect : list.effects)
        if (effect.table->primary_key.empty()) {
            std::string text =
                effect.table->display() + " has no primary key: of equal rows, any one is changed";
            if (std::ranges::find(plan.notes, text) == plan.notes.end())
                plan.notes.push_back(std::move(text));
        }
    for (auto at = list.effects.rbegin(); at != list.effects.rend(); ++at) {
        std::string sql = at->kind == ChangeKind::inserted  ? undo_insert(*at)
                          : at->kind == ChangeKind::deleted ? undo_delete(*at)
                                                            : undo_update(*at);
        if (!sql.empty()) plan.statements.push_back({std::move(sql), 1, comment_of(*at)});
    }
    return plan;
}

std::string render_block(const UndoPlan& plan) {
    std::string out =
        "BEGIN NOT ATOMIC\n"
        "  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;\n"
        "  START TRANSACTION;\n";
    size_t number = 0;
    for (const UndoStatement& statement : plan.statements)
        out += fmt::format(
            "  -- {}: {}\n  {};\n"
            "  IF ROW_COUNT() <> {} THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'undo of {}: "
            "statement {} did not find its row as it was left'; END IF;\n",
            ++number, one_line(statement.comment), statement.sql, statement.expected_rows,
            plan.gtid.display(), number);
    return out + "  COMMIT;\nEND";
}

std::string render(const UndoPlan& plan) {
    std::string out = fmt::format("-- Takes back transaction {} of {}.\n", plan.gtid.display(),
                                  to_rfc3339(plan.time));
    out +=
        fmt::format("-- {} statements, last change first; all or none.\n", plan.statements.size());
    for (const std::string& note : plan.notes) out += "-- NOTE: " + one_line(note) + "\n";
    std::string block = render_block(plan);
    if (block.size() > kDefaultPacket)
        out += fmt::format("-- NOTE: server and client need max_allowed_packet of {} at least\n",
                           block.size() + 1024);
    for (const std::string& statement : plan.session) out += statement + ";\n";
    return out + "DELIMITER //\n" + block + "//\nDELIMITER ;\n";
}

void apply_undo(sql::MariadbConnection& connection, const UndoPlan& plan) {
    for (const std::string& statement : plan.session) connection.execute(statement);
    connection.execute("START TRANSACTION");
    try {
        for (size_t at = 0; at < plan.statements.size();) at = apply_some(connection, plan, at);
        connection.execute("COMMIT");
    } catch (...) {
        try {
            connection.execute("ROLLBACK");
        } catch (const Error&) {  // the connection is gone, and the transaction with it
        }
        throw;
    }
}

}  // namespace sevenfold::database::mariadb
