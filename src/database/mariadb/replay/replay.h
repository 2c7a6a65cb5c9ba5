// Replay: a restored server runs the archived transactions that came after its base, up to a chosen
// point, with chosen ones left out or replaced. The server's own parallel applier does the work; a
// ReplicationSource in this process feeds it.
//
// The target is a server of its own, which nobody uses yet. Nothing may have been executed on it
// since it was restored: that would take the GTIDs of what is to come.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "database/log_archive.h"
#include "database/mariadb/source/plan.h"
#include "sql/mariadb.h"

namespace sevenfold::database::mariadb {

struct ReplayProgress {
    Position applied;
    uint64_t transactions = 0, transactions_total = 0;  // given to the appliers
    uint64_t bytes = 0, bytes_total = 0;                // sent to the server
    double transactions_per_second = 0;                 // since the start
    std::optional<std::chrono::seconds> left;           // at this rate
};

// What would be refused otherwise, because the target might be in use.
struct ReplayAllowed {
    bool clients = false;          // others are connected
    bool server_id = false;        // its id ran archived transactions: another is set meanwhile
    bool position = false;         // it has a position other than the base's: it is overwritten
    bool executed = false;         // its binlog holds transactions
    bool event_scheduler = false;  // it runs events
};

struct ReplayOptions {
    const LogArchive* archive = nullptr;  // must outlive the call
    // start: the position of the base. What to stop at, drop, replace: see there.
    source::PlanOptions plan;
    // Go on where an earlier replay to this target ended or died; `plan` is as it was then.
    bool resume = false;
    // Transactions that are left out if, and only if, the server fails to apply them.
    std::set<Gtid> skip_if_failing;
    unsigned threads = 0;                // 0: two for each processor, 4 at least
    bool relaxed_durability = true;      // meanwhile: a crash of the machine costs the replay
    uint64_t window_bytes = 1u << 30;    // bounds the target's relay logs
    std::chrono::seconds patience{600};  // without any progress; 0: for ever
    ReplayAllowed allowed;
    std::function<void(const ReplayProgress&)> progress;  // several times a second
    std::stop_token cancel;
};

struct ReplayResult {
    Position reached;
    uint64_t transactions = 0;  // applied, edited ones included
    std::set<Gtid> edited;      // dropped and replaced ones
    std::vector<Gtid> skipped;  // those of skip_if_failing that failed
    uint64_t bytes = 0;         // sent to the server
    double seconds = 0;
    std::optional<Time> last;      // when the last transaction began
    bool unfinished_tail = false;  // the archive ends inside of a transaction
};

// The server could not apply a transaction. Everything before it is applied.
class ApplierError : public Error {
  public:
    ApplierError(std::string message, std::string hint, unsigned server_number,
                 std::optional<Gtid> gtid, std::string table_name)
        : Error(ErrorKind::io, std::move(message), std::move(hint)),
          number(server_number),
          transaction(std::move(gtid)),
          table(std::move(table_name)) {}
    unsigned number;  // 1062, 1032, …
    std::optional<Gtid> transaction;
    std::string table;  // "shop.item"; empty: not known
};

// Runs to the end or throws; in both cases the target is no replica afterwards and its settings are
// as before, unless it is gone. On success its position equals the plan's end and the number of
// transactions that it ran is the archive's. Throws Error{refused} when the target seems to be in
// use, what make_plan throws (before anything is changed), ApplierError, Error{timeout} when
// nothing moves, Error{interrupted}, and what the connection throws.
ReplayResult replay(const ReplayOptions& options, const sql::MariadbOptions& target);

}  // namespace sevenfold::database::mariadb
