// Keeps a second copy of the local spool up to date, in a thread of its own: what was received is
// sent as it comes, and after an outage the copy catches up by itself from the local files.
//
// Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "core/error.h"
#include "database/mariadb/stream/position.h"
#include "database/mariadb/stream/second_spool.h"

namespace sevenfold::database::mariadb {

struct MirrorOptions {
    std::string spool;  // the local folder
    std::string name;   // for messages
    // Connects; called in the mirror's thread, again after every failure.
    std::function<std::unique_ptr<SpoolTarget>()> connect;
    // Where an earlier run had got to for certain; nothing: everything in the spool is copied.
    std::optional<LogPosition> copied;
    std::chrono::milliseconds retry_first{200}, retry_most{10'000};
};

class Mirror {
  public:
    explicit Mirror(MirrorOptions options);
    // Ends what is under way; may take as long as the target's answer.
    ~Mirror();

    // Everything up to here is in the local files and shall be copied. Returns at once.
    void request(const LogPosition& position);
    // True when everything up to `position` is durable at the target within the time.
    bool wait(const LogPosition& position, std::chrono::milliseconds limit);
    // Everything after `position` is void: it was cut off the local files.
    void rewind(const LogPosition& position);

    struct Status {
        bool connected = false;
        std::optional<LogPosition> copied;  // durable at the target
        std::string failure;                // the last one; empty while it works
    };
    Status status() const;

  private:
    void run(const std::stop_token& stop);
    void serve(const std::stop_token& stop, SpoolTarget& target);
    LogPosition begin(SpoolTarget& target) const;
    void copy(SpoolTarget& target, LogPosition& at, const LogPosition& until);
    void copy_file(SpoolTarget& target, LogPosition& at, uint64_t end);

    const MirrorOptions options_;
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    std::optional<LogPosition> wanted_, copied_;
    uint64_t rewinds_ = 0;
    std::optional<LogPosition> cut_;  // not durable at the target yet
    bool connected_ = false;
    std::string failure_;
    std::jthread thread_;
};

}  // namespace sevenfold::database::mariadb
