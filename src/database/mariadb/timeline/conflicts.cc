#include "database/mariadb/timeline/conflicts.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "database/mariadb/coverage.h"
#include "database/mariadb/timeline/effects.h"

namespace sevenfold::database::mariadb {
namespace {

// In what way a row bears a key. A parent collides with a child, not a child with a child.
enum Role : uint8_t { kRow = 1, kUnique = 2, kParent = 4, kChild = 8 };

struct RowKey {
    std::string id;  // of the key and its values
    Role role;
    std::string name;  // of the key
    const std::vector<size_t>* columns;
    const RowImage* image;
};

// The keys of one table, as numbers of columns; made once for each description.
struct TableKeys {
    struct Key {
        std::string prefix, name;
        Role role;
        std::vector<size_t> columns;
    };
    std::vector<Key> keys;
    bool without_primary = false;
};

std::string reference_prefix(const std::string& database, const std::string& table,
                             const std::vector<std::string>& columns) {
    std::string out = fmt::format("F{}.{}(", database, table);
    for (const std::string& column : columns) out += column + ",";
    return out;
}

TableKeys keys_of(const TableMap& map, const TableSchema* schema) {
    TableKeys out;
    std::vector<size_t> primary = primary_key_of(map, schema);
    out.without_primary = primary.empty();
    if (out.without_primary)
        for (size_t i = 0; i < map.columns.size(); ++i) primary.push_back(i);
    out.keys.push_back({"R" + map.display() + "|", out.without_primary ? "" : "PRIMARY", kRow,
                        std::move(primary)});
    if (schema == nullptr) return out;
    auto add = [&](std::string prefix, const std::string& name, Role role,
                   const std::vector<std::string>& names) {
        if (auto columns = columns_at(map, names))
            out.keys.push_back({std::move(prefix), name, role, std::move(*columns)});
    };
    for (const KeySchema& key : schema->unique_keys)
        add(fmt::format("U{}|{}|", map.display(), key.name), key.name, kUnique, key.columns);
    for (const ForeignKey& key : schema->foreign_keys)
        add(reference_prefix(key.parent_database, key.parent_table, key.parent_columns), key.name,
            kChild, key.child_columns);
    std::set<std::string> parents;
    for (const ForeignKey& key : schema->referenced) {
        std::string prefix = reference_prefix(map.database, map.table, key.parent_columns);
        if (parents.insert(prefix).second) add(prefix, key.name, kParent, key.parent_columns);
    }
    return out;
}

// Rows without a primary key are named by all their columns, NULLs included.
std::string whole_row_key(const RowImage& image) {
    std::string key;
    for (const auto& value : image) {
        std::string part = value ? value_key(*value, false) : "?";
        key += fmt::format("{}:{}", part.size(), part);
    }
    return key;
}

class KeyFinder {
  public:
    // Calls `found` for every key that the change touches.
    template <class Found>
    void visit(const ChangedRow& change, const Found& found) {
        const TableKeys& keys = of(change);
        const RowChange& row = change.row;
        for (const TableKeys::Key& key : keys.keys) {
            bool whole = key.role == kRow && keys.without_primary;
            auto id_of = [&](const RowImage& image) -> std::optional<std::string> {
                if (image.empty()) return std::nullopt;
                if (whole) return whole_row_key(image);
                return row_key(image, key.columns, true);
            };
            std::optional<std::string> before = id_of(row.before), after = id_of(row.after);
            // An update that leaves the value alone neither gives nor frees it.
            bool kept = row.kind == ChangeKind::updated && (before == after || !after);
            if (kept && key.role != kRow) continue;
            if (before)
                found(RowKey{key.prefix + *before, key.role, key.name, &key.columns, &row.before});
            if (after && after != before)
                found(RowKey{key.prefix + *after, key.role, key.name, &key.columns, &row.after});
        }
    }
    bool without_primary(const ChangedRow& change) { return of(change).without_primary; }

  private:
    const TableKeys& of(const ChangedRow& change) {
        // A description belongs to one statement; its form decides the keys.
        std::string id = change.table.display();
        for (const Column& column : change.table.columns) id += "|" + column.name;
        auto at = known_.find(id);
        if (at == known_.end()) at = known_.emplace(id, keys_of(change.table, change.schema)).first;
        return at->second;
    }
    std::unordered_map<std::string, TableKeys> known_;
};

CollisionKind kind_of(Role role) {
    return role == kRow      ? CollisionKind::row
           : role == kUnique ? CollisionKind::unique_key
                             : CollisionKind::foreign_key;
}

class Finder {
  public:
    Finder(const LogArchive& archive, const Transaction& transaction, SchemaSource& schemas,
           const ConflictOptions& options, RowHistory* history)
        : archive_(archive),
          transaction_(transaction),
          schemas_(schemas),
          options_(options),
          history_(history) {}

    ConflictReport run() {
        collect();
        if (history_ != nullptr) collect_by_rules();
        GtidList done = state_at_start(archive_, transaction_.segment).value_or(GtidList());
        done.add(transaction_.gtid);
        ContinuedReader reader(archive_,
                               {.incarnation = transaction_.incarnation,
                                .file = transaction_.file,
                                .offset = transaction_.end},
                               done);
        Transaction later;
        while (reader.next(later)) {
            ++report_.scanned;
            Conflict conflict = compare(later);
            if (conflict.count > 0) {
                ++report_.conflicting;
                if (report_.conflicts.size() < options_.max_conflicts)
                    report_.conflicts.push_back(std::move(conflict));
            }
            if (options_.until_transactions != 0 && report_.scanned >= options_.until_transactions)
                break;
        }
        return std::move(report_);
    }

  private:
    void collect();
    void collect_by_rules();
    void add(const ChangedRow& change);
    void add_table(const ChangedRow& change);
    Conflict compare(const Transaction& later);

    const LogArchive& archive_;
    const Transaction& transaction_;
    SchemaSource& schemas_;
    const ConflictOptions& options_;
    RowHistory* history_;
    KeyFinder keys_;
    std::unordered_map<std::string, uint8_t> footprint_;  // key to roles
    std::set<std::pair<std::string, std::string>> own_, near_;
    ConflictReport report_;
};

void Finder::add_table(const ChangedRow& change) {
    if (!own_.emplace(change.table.database, change.table.table).second) return;
    near_.emplace(change.table.database, change.table.table);
    if (keys_.without_primary(change)) report_.tables_without_key.push_back(change.table.display());
    if (change.schema == nullptr) {
        report_.notes.push_back(change.table.display() +
                                " does not exist now: its keys other than the primary key are not "
                                "known");
        return;
    }
    for (const ForeignKey& key : change.schema->foreign_keys)
        near_.emplace(key.parent_database, key.parent_table);
    for (const ForeignKey& key : change.schema->referenced)
        near_.emplace(key.child_database, key.child_table);
}

void Finder::add(const ChangedRow& change) {
    add_table(change);
    keys_.visit(change, [&](const RowKey& key) { footprint_[key.id] |= key.role; });
    if (footprint_.size() > options_.max_keys)
        throw Error(ErrorKind::unsupported,
                    fmt::format("transaction {} touches more than {} keys",
                                transaction_.gtid.display(), options_.max_keys),
                    "Its effect is too large for a list of conflicts.");
}

void Finder::collect() {
    visit_changes(archive_, transaction_, &schemas_, [&](const ChangedRow& change) {
        ++report_.rows;
        add(change);
        return true;
    });
    if (history_ != nullptr) return;
    for (const auto& [database, name] : own_) {
        const TableSchema* table = schemas_.find(database, name);
        if (table == nullptr) continue;
        for (const ForeignKey& key : table->referenced)
            if (key.on_delete != ForeignKeyRule::restrict ||
                key.on_update != ForeignKeyRule::restrict)
                report_.notes.push_back(fmt::format(
                    "rows of {}.{} that the foreign key {} changed are not known, if there are any",
                    key.child_database, key.child_table, key.name));
    }
}

// What rules of foreign keys did, as if it had been logged.
void Finder::collect_by_rules() {
    EffectList list(schemas_, history_, false);
    try {
        visit_changes(archive_, transaction_, &schemas_, [&](const ChangedRow& change) {
            list.add(change);
            std::erase_if(list.effects, [](const Effect& effect) { return effect.rule.empty(); });
            return true;
        });
    } catch (const Error& e) {
        if (e.kind() != ErrorKind::unsupported && e.kind() != ErrorKind::refused) throw;
        report_.notes.push_back("effects of foreign keys are not known: " + e.message());
    }
    std::string statement;
    for (const Effect& effect : list.effects) {
        TableMap map;
        map.database = effect.table->database;
        map.table = effect.table->name;
        for (const ColumnSchema& column : effect.table->columns)
            map.columns.push_back({.name = column.name});
        RowChange row{effect.kind, effect.before, effect.after};
        add({map, effect.table, row, statement, 0, transaction_.start});
    }
}

Conflict Finder::compare(const Transaction& later) {
    Conflict conflict;
    auto note = [&](Collision collision) {
        ++conflict.count;
        if (conflict.collisions.size() < kMaxShownCollisions &&
            std::ranges::find(conflict.collisions, collision) == conflict.collisions.end())
            conflict.collisions.push_back(std::move(collision));
    };
    bool close = false;
    for (const TableRows& table : later.tables) {
        close |= near_.contains({table.database, table.table}) &&
                 table.inserted + table.updated + table.deleted > 0;
        if (later.ddl && own_.contains({table.database, table.table}))
            note({CollisionKind::ddl, table.database, table.table, "", ""});
    }
    if (later.statement_format)
        note({CollisionKind::unknown, "", "", "", later.text.substr(0, 100)});
    if (close)
        visit_changes(archive_, later, &schemas_, [&](const ChangedRow& change) {
            if (!near_.contains({change.table.database, change.table.table})) return true;
            keys_.visit(change, [&](const RowKey& key) {
                auto at = footprint_.find(key.id);
                uint8_t against = key.role == kParent  ? kChild
                                  : key.role == kChild ? kParent
                                                       : key.role;
                if (at == footprint_.end() || (at->second & against) == 0) return;
                note({kind_of(key.role), change.table.database, change.table.table, key.name,
                      display_columns(change.table, *key.image, *key.columns)});
            });
            return true;
        });
    if (conflict.count > 0) conflict.transaction = later;
    return conflict;
}

}  // namespace

std::string_view name(CollisionKind kind) {
    switch (kind) {
        case CollisionKind::row:
            return "row";
        case CollisionKind::unique_key:
            return "unique key";
        case CollisionKind::foreign_key:
            return "foreign key";
        case CollisionKind::ddl:
            return "ddl";
        default:
            return "unknown";
    }
}

ConflictReport find_conflicts(const LogArchive& archive, const Transaction& transaction,
                              SchemaSource& schemas, const ConflictOptions& options,
                              RowHistory* history) {
    if (transaction.ddl || transaction.statement_format)
        throw Error(ErrorKind::unsupported,
                    fmt::format("transaction {} is {}: its rows are not in the log",
                                transaction.gtid.display(),
                                transaction.ddl ? "DDL" : "in statement format"),
                    "Every later transaction may depend on it. Rewind to just before it in a "
                    "second instance and compare.");
    return Finder(archive, transaction, schemas, options, history).run();
}

}  // namespace sevenfold::database::mariadb
