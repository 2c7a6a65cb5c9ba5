#include "database/mariadb/timeline/effects.h"

#include <fmt/format.h>

#include <algorithm>

namespace sevenfold::database::mariadb {
namespace {

Error changed_form(const TableSchema* table, const TableMap& map) {
    return Error(ErrorKind::refused,
                 fmt::format("table {} {}", map.display(),
                             table == nullptr ? "does not exist any more"
                                              : "has another form than at that time"),
                 "Restore its rows from an instance of just before the transaction instead.");
}

// The image in the schema's order of columns. Throws when something is missing in either.
RowImage arranged(const ChangedRow& change, const RowImage& image) {
    RowImage out(change.schema->columns.size());
    for (size_t i = 0; i < image.size(); ++i) {
        auto at = change.schema->column(change.table.columns[i].name);
        if (!at) throw changed_form(change.schema, change.table);
        if (change.schema->columns[*at].generated) continue;
        if (!image[i])
            throw Error(
                ErrorKind::unsupported,
                fmt::format("the log holds only parts of the rows of {}", change.table.display()),
                "Undo needs whole rows: set binlog_row_image=FULL on the server.");
        out[*at] = image[i];
    }
    return out;
}

void check_table(const ChangedRow& change) {
    if (change.schema == nullptr) throw changed_form(nullptr, change.table);
    if (change.schema->kind == TableSchema::Kind::versioned)
        throw Error(ErrorKind::unsupported,
                    change.table.display() + " keeps its own history (system versioning)",
                    "Its earlier rows can be had with SELECT … FOR SYSTEM_TIME.");
    bool numbered = !change.table.columns.empty() && change.table.columns[0].name == "@1";
    if (numbered) throw changed_form(change.schema, change.table);
}

bool has_rule(const std::vector<ForeignKey>& keys) {
    return std::ranges::any_of(keys, [](const ForeignKey& key) {
        return key.on_delete != ForeignKeyRule::restrict ||
               key.on_update != ForeignKeyRule::restrict;
    });
}

std::optional<std::string> reference(const TableSchema& table,
                                     const std::vector<std::string>& columns,
                                     const RowImage& image) {
    return row_key(image, places(table, columns), true);
}

// Names may hold anything but zero bytes.
std::string reference_name(const std::string& table, const ForeignKey& key,
                           const std::string& values) {
    std::string out = table + '\0';
    for (const std::string& column : key.child_columns) out += column + '\0';
    return out + values;
}

RowImage with_columns(const RowImage& image, const std::vector<size_t>& columns,
                      const std::vector<Value>& values) {
    RowImage out = image;
    for (size_t i = 0; i < columns.size(); ++i) out[columns[i]] = values[i];
    return out;
}

std::vector<Value> values_at(const TableSchema& table, const std::vector<std::string>& columns,
                             const RowImage& image) {
    std::vector<Value> values;
    for (size_t at : places(table, columns)) values.push_back(image[at].value_or(Value{}));
    return values;
}

}  // namespace

std::vector<size_t> places(const TableSchema& table, const std::vector<std::string>& columns) {
    std::vector<size_t> out;
    for (const std::string& column : columns) {
        auto at = table.column(column);
        if (!at) throw Error(ErrorKind::internal, "key column " + column + " is not in its table");
        out.push_back(*at);
    }
    return out;
}

void EffectList::note(std::string text) {
    if (std::ranges::find(notes, text) == notes.end()) notes.push_back(std::move(text));
}

void EffectList::add(const ChangedRow& change) {
    check_table(change);
    if (change.schema->kind == TableSchema::Kind::sequence) {
        note("numbers taken from the sequence " + change.table.display() + " stay taken");
        return;
    }
    if (change.schema->triggers)
        note(change.table.display() + " has triggers: they run for every statement below");
    if (change.schema->engine == "MyISAM" || change.schema->engine == "Aria" ||
        change.schema->engine == "MEMORY")
        note(change.table.display() +
             " knows no transactions: what was done to it stays when a "
             "later statement fails");
    if (change.schema->columns.size() > change.table.columns.size())
        note(change.table.display() + " got columns since: rows come back with their defaults");
    Effect effect{
        .kind = change.row.kind, .table = change.schema, .before = {}, .after = {}, .rule = {}};
    if (!change.row.before.empty()) effect.before = arranged(change, change.row.before);
    if (!change.row.after.empty()) effect.after = arranged(change, change.row.after);
    // The server did not look at foreign keys then; neither do we.
    if ((change.flags & RowsEvent::kNoForeignKeyChecks) == 0) {
        if (effect.kind == ChangeKind::deleted) on_delete(*effect.table, effect.before);
        if (effect.kind == ChangeKind::updated)
            on_update(*effect.table, effect.before, effect.after);
    }
    remember(*effect.table, effect.before, effect.after);
    effects.push_back(std::move(effect));
}

void EffectList::remember(const TableSchema& table, const RowImage& before, const RowImage& after) {
    if (!has_rule(table.foreign_keys) || table.primary_key.empty()) return;
    std::vector<size_t> primary = places(table, table.primary_key);
    std::string name = table.display();
    if (auto key = row_key(before, primary, false)) touched_[{name, *key}] = {};
    auto key = row_key(after, primary, false);
    if (!key) return;
    touched_[{name, *key}] = after;
    for (const ForeignKey& foreign : table.foreign_keys)
        if (auto to = reference(table, foreign.child_columns, after))
            referring_[reference_name(name, foreign, *to)].insert(*key);
}

const TableSchema* EffectList::child_of(const ForeignKey& key) {
    const TableSchema* child = schemas_.find(key.child_database, key.child_table);
    if (child == nullptr)
        note(fmt::format("{}.{} refers to changed rows and cannot be seen", key.child_database,
                         key.child_table));
    return child;
}

// The rows that refer to the parent's row at this point of the transaction.
std::vector<RowImage> EffectList::children(const ForeignKey& key, const TableSchema& child,
                                           const RowImage& parent,
                                           const TableSchema& parent_table) {
    auto wanted = reference(parent_table, key.parent_columns, parent);
    if (!wanted) return {};  // NULL: nothing refers to it
    if (history_ == nullptr && !leave_out_)
        throw Error(ErrorKind::refused,
                    fmt::format("foreign key {} may have changed rows of {} that are not in the "
                                "log",
                                key.name, child.display()),
                    "An instance of just before the transaction is needed to bring them back.");
    if (history_ == nullptr) {
        note(fmt::format("rows of {} that the foreign key {} took away stay as they are",
                         child.display(), key.name));
        return {};
    }
    std::vector<RowImage> rows = history_->rows(
        child, key.child_columns, values_at(parent_table, key.parent_columns, parent));
    if (child.primary_key.empty()) return rows;
    std::vector<size_t> primary = places(child, child.primary_key);
    std::string name = child.display();
    std::erase_if(rows, [&](const RowImage& row) {
        auto id = row_key(row, primary, false);
        return id && touched_.contains({name, *id});
    });
    auto found = referring_.find(reference_name(name, key, *wanted));
    if (found == referring_.end()) return rows;
    for (const std::string& id : found->second) {
        const RowImage& now = touched_[{name, id}];
        if (!now.empty() && reference(child, key.child_columns, now) == wanted) rows.push_back(now);
    }
    return rows;
}

// Effects of a row's own children come before it, so that in reverse they come after it.
void EffectList::on_delete(const TableSchema& table, const RowImage& before) {
    remember(table, before, {});  // rows may refer to each other in a circle
    for (const ForeignKey& key : table.referenced) {
        if (key.on_delete == ForeignKeyRule::restrict) continue;
        const TableSchema* child = child_of(key);
        if (child == nullptr) continue;
        bool cascade = key.on_delete == ForeignKeyRule::cascade;
        std::vector<size_t> columns = places(*child, key.child_columns);
        for (RowImage& row : children(key, *child, before, table)) {
            Effect effect{.kind = cascade ? ChangeKind::deleted : ChangeKind::updated,
                          .table = child,
                          .before = row,
                          .after = {},
                          .rule = fmt::format("ON DELETE {} of {}",
                                              cascade ? "CASCADE" : "SET NULL", key.name)};
            if (cascade) {
                on_delete(*child, row);
            } else {
                effect.after = with_columns(row, columns, std::vector<Value>(columns.size()));
                on_update(*child, row, effect.after);
            }
            remember(*child, effect.before, effect.after);
            effects.push_back(std::move(effect));
        }
    }
}

void EffectList::on_update(const TableSchema& table, const RowImage& before,
                           const RowImage& after) {
    for (const ForeignKey& key : table.referenced) {
        // A change of case alone is a change for the rule, whatever the collation says.
        std::vector<size_t> parents = places(table, key.parent_columns);
        if (key.on_update == ForeignKeyRule::restrict ||
            row_key(before, parents, false) == row_key(after, parents, false))
            continue;
        const TableSchema* child = child_of(key);
        if (child == nullptr) continue;
        bool cascade = key.on_update == ForeignKeyRule::cascade;
        if (cascade && history_ == nullptr) continue;  // undone by the same rule
        std::vector<size_t> columns = places(*child, key.child_columns);
        std::vector<Value> values = cascade ? values_at(table, key.parent_columns, after)
                                            : std::vector<Value>(columns.size());
        for (RowImage& row : children(key, *child, before, table)) {
            RowImage changed = with_columns(row, columns, values);
            remember(*child, row, changed);
            on_update(*child, row, changed);
            if (cascade) continue;
            effects.push_back({.kind = ChangeKind::updated,
                               .table = child,
                               .before = std::move(row),
                               .after = std::move(changed),
                               .rule = "ON UPDATE SET NULL of " + key.name});
        }
    }
}

}  // namespace sevenfold::database::mariadb
