// Repository locks as restic has them (format A.9). A lock is a promise kept alive by refreshing:
// when it cannot be refreshed in time, the holder must stop.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "core/time.h"
#include "repository/repository.h"

namespace sevenfold::repository {

enum class LockMode { shared, exclusive };

struct LockInfo {
    Id id;
    Time time;
    bool exclusive = false;
    std::string hostname, username;
    int64_t pid = 0;
    uint32_t uid = 0, gid = 0;
    // Its process ran on this host and is gone.
    bool abandoned(const std::string& this_host) const;
    // Abandoned, or older than 30 minutes.
    bool stale(const Time& now, const std::string& this_host) const;
};
std::string encode_lock(const LockInfo& lock);
LockInfo decode_lock(ByteView json);

struct LockOptions {
    LockMode mode = LockMode::shared;
    std::chrono::milliseconds retry_for{0};  // keep trying this long when locked by others
    std::chrono::milliseconds settle{200};   // between writing ours and looking again
    std::chrono::minutes refresh_every{5};
    const Clock* clock = &Clock::system();
    std::stop_token stop = {};  // ends waiting with Error{interrupted}
};

// Held from construction to destruction; a thread refreshes it. Throws Error{locked} with who holds
// it. Locks of processes of this host that are gone (killed) are removed on the way; those that are
// merely old count until somebody runs unlock.
class Lock {
  public:
    Lock(const Repository& repository, const LockOptions& options);
    ~Lock();
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

    // Throws Error{locked} once the lock is lost (not refreshed for 22.5 minutes, or removed by
    // others while we slept). Long jobs call it between steps and before they write an index or
    // snapshot.
    void check_held() const;
    // Removes the lock file now; the destructor does it otherwise.
    void release();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

std::vector<LockInfo> list_locks(const Repository& repository);
// Removes stale locks (or all); returns how many.
size_t remove_locks(const Repository& repository, bool all, const Clock& clock = Clock::system());

}  // namespace sevenfold::repository
