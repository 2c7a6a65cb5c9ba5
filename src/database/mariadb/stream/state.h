// How protected the newest transactions are, and the counts behind it: <spool>/state.json, for
// `status` and for the next run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/time.h"
#include "database/mariadb/stream/position.h"

namespace sevenfold::database::mariadb {

enum class Protection {
    broken,    // nothing is received
    degraded,  // received, but a commit may be lost with the server, or is in one spool only
    armed,     // a commit that a client saw succeed is in every spool; proven by one that waited
};
std::string_view name(Protection protection);

// A place where it cannot be shown that nothing is missing. What follows it needs a new base.
struct StreamGap {
    Time time;  // when it was noticed
    std::string reason;
    LogPosition from;         // the last that was received before
    std::string from_gtid;    // GTIDs up to there
    std::string incarnation;  // what goes on after it; empty: nothing yet
    std::string to_gtid;      // the state with which that begins
    bool operator==(const StreamGap&) const = default;
};

struct StreamState {
    Protection protection = Protection::broken;
    std::string reason;                 // why it is not armed
    Time since;                         // the present protection holds
    LogPosition position;               // durable here
    std::optional<LogPosition> second;  // durable at the second spool
    std::string gtid;                   // up to `position`
    uint64_t transactions = 0;          // received since the spool began
    uint64_t acknowledged = 0;          // of them, such that waited for our word
    // Received while not armed: clients may have been told of them before they were in the spools.
    uint64_t unprotected_transactions = 0;
    double unprotected_seconds = 0;  // neither armed, while this program ran
    uint64_t bytes = 0;
    Time last_received;  // the newest transaction's arrival
    uint32_t server_id = 0;
    std::string server_version;
    // The newest incarnation is another server's, and must still show that it has these GTIDs, up
    // to which the one before it was received. Empty: it has, or there is nothing to show.
    std::string joining;
    std::vector<StreamGap> gaps;  // oldest first; at most the last 100
};

std::string encode_state(const StreamState& state);
StreamState decode_state(ByteView json);  // throws Error{corrupt}

// Nothing when there is none, or when it is unreadable (which is logged): all of it can be had
// from the files, but for the counts.
std::optional<StreamState> load_state(const std::string& spool);
void save_state(const std::string& spool, const StreamState& state);

}  // namespace sevenfold::database::mariadb
