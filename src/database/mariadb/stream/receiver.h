// Receives a server's binlog into the local spool and, if wanted, a second one, and acknowledges
// what is durable in them: a commit that a client saw succeed is then not lost with the server.
//
// One receiver of a database runs at a time (the spool's lock). It goes on where its own spool
// ends, reconnects by itself, and begins a new incarnation where it cannot show that nothing is
// missing. Where another server answers, a replica that was promoted, it goes on by GTID: with a
// new incarnation, from the file of that server that has what follows. When the second spool does
// not answer within its limit, commits go on with the local one alone, and are counted as
// unprotected until the second has caught up.
//
// What is in the spools is at least what clients were told: a commit that was on its way when the
// server died may be there, too.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "database/base.h"
#include "database/mariadb/stream/mirror.h"
#include "database/mariadb/stream/received_log.h"
#include "database/mariadb/stream/replication_client.h"
#include "database/mariadb/stream/state.h"
#include "database/mariadb/stream/watch.h"

namespace sevenfold::database::mariadb {

struct ReceiverOptions {
    sql::MariadbOptions connection;
    uint32_t server_id = 0;  // ours; see receiver_server_id
    std::string spool;       // folder
    bool semi_sync = true;   // else commits never wait for us
    // Else an account that may do everything on the server is Error{refused}.
    bool allow_privileged = false;
    // The second spool; none without `connect`.
    std::string second_name;
    std::function<std::unique_ptr<SpoolTarget>()> connect_second;
    // Should be below rpl_semi_sync_master_timeout, after which the server itself stops waiting.
    std::chrono::milliseconds second_limit{1000};
    // With an empty spool: where it goes on by GTID, and the number of the log's last incarnation
    // elsewhere. The file counts only where it is of the same server.
    std::optional<database::Position> continue_after;
    unsigned last_incarnation = 0;
    // Else where the first start begins: the file of a base's position; empty: the newest file.
    std::string first_file;

    // What comes within these limits is synced and acknowledged together.
    uint64_t group_bytes = 8 << 20;
    std::chrono::milliseconds group_time{50};
    // What nobody waits for is synced this often.
    std::chrono::milliseconds sync_every{200};
    std::chrono::milliseconds heartbeat{1000};
    // Another server may lack what was received for so long: a replica that is still catching up.
    std::chrono::milliseconds behind_limit{30'000};
    std::chrono::milliseconds retry_first{200}, retry_most{10'000};
    std::string canary;  // see watch.h; empty: none
    std::chrono::milliseconds watch_every{1000};
};

// A number that no replica has by accident, and the same for the same host and spool each time.
uint32_t receiver_server_id(const std::string& host, const std::string& spool);

struct SyncedTo {
    LogPosition position;
    std::string gtid;
    uint64_t bytes = 0;   // new since the last call
    bool second = false;  // also durable at the second spool
};

// Called from run()'s thread; they shall be quick.
struct ReceiverCallbacks {
    std::function<void(const SyncedTo&)> on_synced;
    // Something may be missing: a new base is needed. Called when the new incarnation has begun.
    std::function<void(const StreamGap&)> on_gap;
    std::function<void(const StreamState&)> on_state;  // when the protection changes
};

class Receiver {
  public:
    Receiver(ReceiverOptions options, ReceiverCallbacks callbacks = {});
    ~Receiver();

    // Until stop is requested. Throws what cannot get better by trying again: locked, unsupported,
    // usage, config, a privileged account, and bugs.
    void run(const std::stop_token& stop);
    // At any time, from any thread.
    StreamState state() const;

  private:
    using Clock = std::chrono::steady_clock;
    struct Group;

    void session(const std::stop_token& stop);
    void start(ReplicationClient& client);
    void check_server(sql::MariadbConnection& connection);
    void check_continuity(sql::MariadbConnection& connection);
    bool is_another_server() const;
    bool continues_here(sql::MariadbConnection& connection);
    void follow_server();
    void check_history(sql::MariadbConnection& connection);
    void check_joined();
    std::string first_file(sql::MariadbConnection& connection);
    void receive(ReplicationClient& client, const std::stop_token& stop);
    void take(ReplicationClient& client, Group& group);
    bool due(const Group& group) const;
    void finish(ReplicationClient& client, Group& group);
    bool second_has(const LogPosition& position);
    void tick(bool force = false);
    void compare_ends(const SemiSyncStatus& status);
    void assess();
    void set_protection(Protection protection, const std::string& reason);
    void begin_gap(const std::string& reason);
    void end_gap();
    void failed(const Error& error);
    void save();

    const ReceiverOptions options_;
    const ReceiverCallbacks callbacks_;
    std::unique_ptr<ReceivedLog> log_;
    std::unique_ptr<Mirror> mirror_;
    std::unique_ptr<Watch> watch_;

    mutable std::mutex mutex_;  // guards state_ where others may read it
    StreamState state_;
    LogPosition durable_;
    bool connected_ = false, gap_open_ = false, changed_ = false, warned_statement_ = false;
    bool second_ok_ = false;  // the second spool keeps up: commits wait for it
    // Of the server's counts: when this connection began, and at the last look.
    std::optional<SemiSyncStatus> baseline_, last_status_;
    std::optional<LogPosition> history_;  // the server's end when a new incarnation began
    uint64_t last_look_ = 0;
    // Ends of ours and the server's log at the last look, and those for which we connected anew.
    std::pair<LogPosition, LogPosition> ends_at_look_, doubted_;
    int looks_apart_ = 0;                   // in a row, without any change
    bool acked_ = false, greeted_ = false;  // on this connection
    std::string broken_reason_ = "not connected yet", last_failure_;
    int refusals_ = 0;  // error 1236 in a row
    // What the new incarnation of another server must hold, until it does: see StreamState.
    std::optional<GtidList> joining_;
    bool join_begins_ = false;  // that has not been compared with anything yet
    bool elsewhere_ = false;    // the server's file of that name is not the one received
    std::optional<Clock::time_point> behind_;  // since when the other server lacks something
    Clock::time_point last_tick_, last_save_, last_heard_;
};

}  // namespace sevenfold::database::mariadb
