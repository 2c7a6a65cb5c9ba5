// The timeline: an index of all transactions of an archive, in one SQLite file, so that a moment, a
// table's history or a statement is found without reading the log.
//
// It is a cache: whatever is wrong with the file, it is made anew from the archive. One object
// belongs to one thread at a time; several processes may read while one updates.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "database/log_archive.h"
#include "database/mariadb/binlog/reader.h"

namespace sevenfold::database::mariadb {

// What is asked for; empty fields do not restrict.
struct TimelineFilter {
    std::optional<Time> from, to;     // both included
    std::vector<std::string> tables;  // globs of "database.table", or of "table" without a dot
    // What happened to those tables; neither kinds nor ddl: anything.
    std::vector<ChangeKind> kinds;
    bool ddl = false;
    uint64_t min_rows = 0;                   // of those kinds in those tables together
    std::string text;                        // in the statements, ASCII case aside
    std::optional<Gtid> from_gtid, to_gtid;  // of one domain; both included
    std::string incarnation;
    size_t limit = 100;
    size_t skip = 0;
    bool newest_first = true;
};

struct TimelineUpdate {
    uint64_t added = 0;
    bool rebuilt = false;
};

// A part of the log without gaps: with a base from within, every moment of it can be reached.
struct Interval {
    std::string incarnation;
    std::string start_state;   // a GTID list: the state before its first transaction
    std::string end_position;  // after its last one
    Gtid first, last;
    Time first_time, last_time;
    uint64_t transactions = 0;
};

class Timeline {
  public:
    // Opens or makes the file. One that is no timeline, is damaged or of another version is
    // replaced by an empty one.
    explicit Timeline(std::string path);
    ~Timeline();

    // Reads what is new in the archive. Starts anew when the archive is not the one that was
    // indexed. A damaged file is noted as a gap and passed over. Safe to interrupt: what was
    // indexed stays.
    TimelineUpdate update(const LogArchive& archive);
    // The same for an archive of the newest files only, as a spool is: what was indexed before
    // stays. Does nothing when the archive does not continue that, or while another process is
    // updating; the next update() catches up.
    TimelineUpdate extend(const LogArchive& archive);

    // Transaction::segment is not set: find_segment tells it for an archive.
    std::vector<Transaction> query(const TimelineFilter& filter);
    uint64_t count(const TimelineFilter& filter);  // without limit and skip
    // In all incarnations, the newest first.
    std::vector<Transaction> find(const Gtid& gtid);
    // The last transaction of the log, of the newest incarnation that reaches back to `time`, such
    // that neither it nor any before it is later than `time`. Times in a log may step back: a
    // statement is logged with the time at which it began.
    std::optional<Transaction> last_at(const Time& time);
    std::vector<Interval> intervals();
    std::vector<Gap> gaps();
    uint64_t size();  // transactions

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sevenfold::database::mariadb
