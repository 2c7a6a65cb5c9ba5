// Which transactions are served changed, and how.
#pragma once

#include <mutex>
#include <set>

#include "database/mariadb/binlog/event.h"
#include "database/mariadb/source/plan.h"

namespace sevenfold::database::mariadb::source {

struct Edit {
    enum Kind { none, empty, roll_back_xa, statements } kind = none;
    const Replacement* replacement = nullptr;
};

// Thread-safe.
class Edits {
  public:
    // Throws Error{usage} for replacements that cannot work.
    explicit Edits(const PlanOptions& options);
    void drop(const Gtid& gtid);
    // To be called in the order of the log: what was done to the first half of an XA transaction
    // decides about its second. Throws Error{unsupported} for what cannot be edited.
    Edit of(const GtidEvent& transaction);

  private:
    std::mutex mutex_;
    std::set<Gtid> drop_;
    const std::map<Gtid, Replacement> replace_;
    std::set<std::string> dropped_xa_;  // by name
};

// Does the statement commit by itself, as DDL does?
bool commits_itself(std::string_view statement);

}  // namespace sevenfold::database::mariadb::source
