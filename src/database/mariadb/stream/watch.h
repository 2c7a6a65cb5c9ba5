// Looks at the server from outside of the stream: whether it waits for our word, and whether a
// transaction ever did. A thread and a connection of its own, because the canary's commit waits
// until the receiver acknowledges it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "sql/mariadb.h"

namespace sevenfold::database::mariadb {

// Rpl_semi_sync_master_…, and Binlog_snapshot_….
struct SemiSyncStatus {
    bool enabled = false;
    bool on = false;       // commits wait at the moment
    uint64_t clients = 0;  // receivers
    uint64_t yes_tx = 0;   // commits that were acknowledged
    uint64_t no_tx = 0;    // commits that were not
    uint64_t uptime = 0;   // of the server, in seconds: the counts begin anew with it
    std::string file;      // the end of its binlog
    uint64_t offset = 0;
};
SemiSyncStatus read_semi_sync(sql::MariadbConnection& connection);

struct WatchOptions {
    sql::MariadbOptions connection;
    std::chrono::milliseconds every{1000};
    // A small transaction that is made until the server has let one wait, so that it trusts the
    // receiver again before production has to try. Empty: none.
    std::string canary;
};
// Makes table sevenfold.canary; what the canary does there needs SELECT, INSERT and
// UPDATE (the server asks for SELECT, too, where a row may be updated).
extern const char* const kCanaryTable;
extern const char* const kCanaryStatement;

class Watch {
  public:
    explicit Watch(WatchOptions options);
    ~Watch();
    // The last look, and how often there has been one; nothing while the server cannot be asked.
    struct Look {
        std::optional<SemiSyncStatus> status;
        uint64_t number = 0;
    };
    Look look() const;
    // Looks again at once.
    void hurry();
    void set_receiving(bool receiving);  // else nobody looks
    // Only a commit that waits is missing to be armed: canaries make sense.
    void want_canary(bool wanted);

  private:
    void run(const std::stop_token& stop);
    void release_canary(sql::MariadbConnection& connection);

    const WatchOptions options_;
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    Look look_;
    bool receiving_ = false, canary_ = false, hurry_ = false, complained_ = false;
    std::jthread thread_;
};

}  // namespace sevenfold::database::mariadb
