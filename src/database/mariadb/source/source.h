// A replication source without a server: serves archived binlogs to one replica, which applies
// them with all its threads. Transactions may be left out or replaced on the way.
//
// It listens on a free port of 127.0.0.1 and lets in one account with a random password, made for
// this object. The replica connects with GTIDs (MASTER_USE_GTID=slave_pos) and may disconnect, die
// and come again; it goes on after its last transaction. A new dump ends an older one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/secret.h"
#include "database/mariadb/source/plan.h"

namespace sevenfold::database::mariadb::source {

struct SourceStats {
    uint64_t bytes = 0;         // of events sent, over all connections
    uint64_t transactions = 0;  // sent, also those sent again
    std::optional<Gtid> last;   // whose sending was begun last
    unsigned dumps = 0;         // how often a replica asked for events
    bool at_end = false;        // everything up to the stop was sent
};

// How the names of these accounts begin; the rest is random.
inline constexpr std::string_view kUserPrefix = "replay-";

// Thread-safe.
class ReplicationSource {
  public:
    // Makes the plan (see make_plan for what that reads and throws) and begins to listen. The
    // archive must outlive the source. `window` bounds what is sent ahead of what
    // applied() reported, and so the relay logs of the replica; 0: no bound.
    ReplicationSource(const LogArchive& archive, const PlanOptions& options, uint64_t window = 0);
    // Ends all connections.
    ~ReplicationSource();

    const Plan& plan() const;
    uint16_t port() const;
    const std::string& user() const;
    const Secret& password() const;
    uint32_t server_id() const;  // of the source itself; events keep theirs

    // One more transaction to leave out, from the replica's next connection on.
    void drop(const Gtid& gtid);
    // What the replica has applied; opens the window.
    void applied(const Position& position);
    SourceStats stats() const;
    // What kept the source from serving a replica that had the right password; the replica got it
    // as its error, too.
    std::optional<Error> failure() const;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sevenfold::database::mariadb::source
