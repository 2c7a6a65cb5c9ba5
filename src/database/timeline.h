// What happened in a database, transaction by transaction, as its log tells it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/time.h"
#include "database/driver.h"

namespace sevenfold::database {

struct LoggedTable {
    std::string name;  // "shop.orders"
    uint64_t inserted = 0, updated = 0, deleted = 0;
};

struct LoggedTransaction {
    std::string id;  // GTID
    Time time;
    uint64_t thread = 0;  // 0: the log does not say
    uint64_t bytes = 0;
    std::vector<LoggedTable> tables;
    bool ddl = false;
    bool statement_format = false;  // changes rows by a statement whose effect is not in the log
    std::string text;               // the statements, where the log has them
    std::string file;
    uint64_t offset = 0;

    uint64_t inserted() const;
    uint64_t updated() const;
    uint64_t deleted() const;
    uint64_t rows() const { return inserted() + updated() + deleted(); }
};

// Empty fields do not restrict.
struct TimelineQuery {
    std::optional<Time> from, to;
    std::vector<std::string> tables;  // patterns of database.table
    bool inserts = false, updates = false, deletes = false, ddl = false;  // none: all
    uint64_t min_rows = 0;
    std::string text;
    size_t limit = 100;
    bool newest_first = true;
};

// One changed row; values as SQL literals for people.
struct LoggedChange {
    std::string table;
    enum class Kind { insert, update, remove } kind = Kind::insert;
    struct Value {
        std::string column;
        std::optional<std::string> before, after;
    };
    std::vector<Value> values;
    std::string statement;
};

// A later transaction that builds on what one did.
struct LaterConflict {
    LoggedTransaction transaction;
    uint64_t rows = 0;
    std::vector<std::string> reasons;  // "the same row: shop.item id=5"
};

struct ConflictPreview {
    uint64_t rows = 0, scanned = 0, conflicting = 0;
    std::vector<LaterConflict> conflicts;  // the first of them
    std::vector<std::string> notes;
};

// What takes a transaction back.
class UndoScript {
  public:
    virtual ~UndoScript() = default;
    virtual std::string text() const = 0;  // for review, and for the stock client
    virtual uint64_t statements() const = 0;
    virtual std::vector<std::string> notes() const = 0;
    // Runs it in one transaction. Throws when rows are no longer as the transaction left them, and
    // then nothing is changed.
    virtual void apply(const ServerLogin& writer) const = 0;
};

class Timeline {
  public:
    virtual ~Timeline() = default;

    // Reads what is new in the archive into the index; how many transactions.
    virtual uint64_t update() = 0;
    // The same where the archive has only the newest part of the log: what was indexed before
    // stays. Does nothing when the archive does not continue that, or another process is at it.
    virtual uint64_t extend() = 0;
    virtual std::vector<LoggedTransaction> query(const TimelineQuery& query) = 0;
    virtual uint64_t count(const TimelineQuery& query) = 0;
    // Throws Error{not_found}.
    virtual LoggedTransaction find(const std::string& id) = 0;
    // Every changed row in the order of the log, until `visit` returns false. `server` helps with
    // the names of columns where the log has none; it may be null.
    virtual void changes(const std::string& id, const ServerLogin* server,
                         const std::function<bool(const LoggedChange&)>& visit) = 0;
    // Keys come from `server`, as they are now.
    virtual ConflictPreview conflicts(const std::string& id, const ServerLogin& server) = 0;
    // `past`: a server as it was just before the transaction; null: cascades are refused.
    virtual std::unique_ptr<UndoScript> undo(const std::string& id, const ServerLogin& server,
                                             const ServerLogin* past, bool leave_out_cascades) = 0;
    // What is missing in the log, for people.
    virtual std::vector<std::string> gaps() = 0;
};

// The index is a file that is made, and made anew when it does not fit. The archive must outlive
// it.
std::unique_ptr<Timeline> open_timeline(const std::string& driver, const std::string& index_path,
                                        const LogArchive& archive);

}  // namespace sevenfold::database
