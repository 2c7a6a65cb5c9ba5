// Transactions of an archive, in the order of the log.
//
// A transaction lies in one log file, from its GTID event to its end: Xid, COMMIT, ROLLBACK, an XA
// prepare, or the one statement of those that need no end. What stands between transactions
// (format descriptions, checkpoints, rotates) belongs to none.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/time.h"
#include "database/mariadb/binlog/log_file.h"
#include "database/mariadb/binlog/rows.h"

namespace sevenfold::database::mariadb {

struct TableRows {
    std::string database, table;
    uint64_t inserted = 0, updated = 0, deleted = 0;
    std::string display() const { return database + "." + table; }
    bool operator==(const TableRows&) const = default;
};

// What is kept of a transaction while reading; its rows are read again from [start, end).
struct Transaction {
    Gtid gtid;
    uint8_t gtid_flags = 0;  // GtidEvent::Flag
    Time time;               // when its last statement began, whole seconds
    uint32_t thread_id = 0;  // 0: the log does not say
    size_t segment = 0;      // in the archive that was read
    std::string incarnation, file;
    uint64_t start = 0, end = 0;
    uint64_t events = 0;
    bool ddl = false;               // or another statement that is no change of rows
    bool statement_format = false;  // changes rows by a statement whose effect is not in the log
    bool rolled_back = false;
    bool xa_prepare = false;        // prepared only: its XA COMMIT is a transaction of its own
    std::vector<TableRows> tables;  // also those, without rows, that DDL names
    // The statements, as annotations and queries have them, a line each, in UTF-8; cut at about
    // kMaxText.
    std::string text;

    uint64_t bytes() const { return end - start; }
    uint64_t rows() const;
};
constexpr size_t kMaxText = 64 * 1024;

// Somewhere in an incarnation where the log is not whole.
struct Gap {
    std::string incarnation, after, before;  // files; `after` may be empty
    std::string reason;
};

struct ReadOptions {
    std::string incarnation;  // empty: all, one after the other
    // Where to begin: after everything that this position contains; or at a file's offset, which
    // must be the start of an event outside of a transaction. Both need an incarnation.
    GtidList after;
    std::string file;
    uint64_t offset = 4;
    // What is known to be done at that offset. Without it the first list that is met is believed.
    std::optional<GtidList> state;
    bool count_rows = true;  // else `tables` stay empty, and bodies are not looked at
    // Throw Error{corrupt} at a gap instead of noting it and going on.
    bool stop_at_gap = true;
};

class TransactionReader {
  public:
    // The archive must outlive it. A file or incarnation that is not there: Error{not_found}.
    TransactionReader(const LogArchive& archive, ReadOptions options = {});
    ~TransactionReader();
    // The next whole transaction. False at the end: one that is still being written is not given.
    bool next(Transaction& transaction);

    // Everything up to the last transaction, by what the files' own lists say and what was read.
    const GtidList& state() const;
    // Where reading goes on: the end of the last transaction or event outside of one.
    const LogSegment* file() const;  // nullptr before the first
    uint64_t offset() const;
    const std::vector<Gap>& gaps() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// The second pass: every event of a transaction, with its offset in the file. The events are valid
// during the call only. `visit` returns false to stop.
void visit_events(
    const LogArchive& archive, const Transaction& transaction,
    const std::function<bool(const Event& event, const Format& format, uint64_t offset)>& visit);

// The list at the head of a file: the state before its first transaction. Nothing when the file is
// too short to have one.
std::optional<GtidList> state_at_start(const LogArchive& archive, size_t segment);
// The place in segments(). Throws Error{not_found}.
size_t find_segment(const LogArchive& archive, const std::string& incarnation,
                    const std::string& file);

}  // namespace sevenfold::database::mariadb
