// All that a transaction did to rows, in order: what the log says, and what foreign keys' rules did
// besides.
#pragma once

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "database/mariadb/timeline/changes.h"
#include "database/mariadb/timeline/history.h"

namespace sevenfold::database::mariadb {

// Images have the schema's columns, in its order; no value: generated, or added later.
struct Effect {
    ChangeKind kind = ChangeKind::inserted;
    const TableSchema* table = nullptr;
    RowImage before, after;
    std::string rule;  // of a foreign key: "ON DELETE CASCADE of fk_order"; empty: logged
};

class EffectList {
  public:
    // `history`: see plan_undo. With `leave_out` effects that would need one are noted instead.
    EffectList(SchemaSource& schemas, RowHistory* history, bool leave_out)
        : schemas_(schemas), history_(history), leave_out_(leave_out) {}

    void add(const ChangedRow& change);

    std::vector<Effect> effects;
    std::vector<std::string> notes;  // each once

  private:
    using Key = std::pair<std::string, std::string>;  // table, primary key

    void note(std::string text);
    void remember(const TableSchema& table, const RowImage& before, const RowImage& after);
    std::vector<RowImage> children(const ForeignKey& key, const TableSchema& child,
                                   const RowImage& parent, const TableSchema& parent_table);
    void on_delete(const TableSchema& table, const RowImage& before);
    void on_update(const TableSchema& table, const RowImage& before, const RowImage& after);
    const TableSchema* child_of(const ForeignKey& key);

    SchemaSource& schemas_;
    RowHistory* history_;
    bool leave_out_;
    // Rows of child tables that the transaction touched, as they are by now; empty: gone.
    std::map<Key, RowImage> touched_;
    // Where to look for those that refer to a row: by table, key columns and their values the
    // primary keys of rows that did so at some time.
    std::unordered_map<std::string, std::set<std::string>> referring_;
};

// Numbers of columns in the schema.
std::vector<size_t> places(const TableSchema& table, const std::vector<std::string>& columns);

}  // namespace sevenfold::database::mariadb
