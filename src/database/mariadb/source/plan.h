// What a replay from an archive is going to do: which transactions, with which of them changed, and
// that none between base and target is missing. Made before anything is touched.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "core/time.h"
#include "database/log_archive.h"
#include "database/mariadb/source/position.h"

namespace sevenfold::database::mariadb::source {

// SQL that takes the place of a transaction, under its GTID, and with its time as NOW(). Statements
// are run in one transaction; a statement that commits by itself (DDL) must be the only one.
struct Replacement {
    std::vector<std::string> statements;
    std::string database;  // the default one
};
// Throws Error{usage}: these cannot take a transaction's place.
void check_replacement(const Gtid& gtid, const Replacement& replacement);
// Of SQL as files have it: several statements, a USE at the beginning.
Replacement parse_replacement(const std::vector<std::string>& texts, const std::string& database);

// One incarnation of the archive, as far as it counts.
struct SeriesPart {
    std::string incarnation;
    std::optional<Gtid> last;  // its last transaction that counts; nothing: all
};

struct Stop {
    enum class Where { end, after, before } where = Where::end;
    Gtid gtid;
};

struct PlanOptions {
    Position start;                  // of the base: everything up to here is there
    std::vector<SeriesPart> series;  // in the order of history; empty: the archive as it is
    Stop stop;
    std::set<Gtid> drop;  // become empty transactions, so that GTIDs continue
    std::map<Gtid, Replacement> replace;
    // `start` is where an interrupted replay got to: edits may lie before it.
    bool resumed = false;
    // Called for every MiB or so with the bytes read so far.
    std::function<void(uint64_t bytes)> progress;
    std::stop_token cancel;
};

struct Plan {
    Position begin, end;
    uint64_t transactions = 0;     // after begin, up to end; edited ones included
    uint64_t bytes = 0;            // of these in the archive
    std::set<Gtid> edited;         // also what follows: the commit of a dropped XA transaction
    std::set<uint32_t> servers;    // ids of the servers that ran them
    std::optional<Time> last;      // when the last transaction began
    bool out_of_order = false;     // written without gtid_strict_mode
    bool unfinished_tail = false;  // the archive ends inside of a transaction, which is left out
};

// Reads everything from the start to the stop. Throws Error{corrupt} naming file and offset for
// damage, Error{refused} for gaps, and for a stop or an edit that is not between start and end;
// Error{usage} for replacements that cannot work; Error{unsupported} for encrypted files.
Plan make_plan(const LogArchive& archive, const PlanOptions& options);

// Of each domain the first transaction up to `end` that `position` does not have, in the order of
// the log.
struct NextTransaction {
    Gtid gtid;
    std::string file;  // as a replica knows it
    uint64_t begin = 0, end = 0;
};
std::vector<NextTransaction> next_transactions(const LogArchive& archive,
                                               const PlanOptions& options, const Position& position,
                                               const Position& end);

// Where the server was at a time: everything before the first transaction that began later. Times
// in the log are those of the statement that began the transaction, in whole seconds, and need not
// grow; `late` counts transactions after that point which say that they began before it.
struct PositionAtTime {
    Position position;
    std::optional<Gtid> last;  // what to stop after; nothing: the start
    uint64_t late = 0;
};
PositionAtTime position_at(const LogArchive& archive, const PlanOptions& from, const Time& time);

}  // namespace sevenfold::database::mariadb::source
