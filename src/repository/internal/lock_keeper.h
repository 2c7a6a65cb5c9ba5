// What a Lock does, without the thread that does it: taking the lock, one step of keeping it, and
// giving it up. Tests drive it with a clock of their own.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "repository/lock.h"

namespace sevenfold::repository::internal {

// Nothing when the lock file is gone. Throws Error{corrupt} naming the file.
std::optional<LockInfo> load_lock(const Repository& repository, const Id& id);

// Thread-safe. Two clocks decide about age, the wall clock and the steady one: the steady clock
// stands still while the machine sleeps, the wall clock may be set back.
class LockKeeper {
  public:
    // A holder that has not refreshed for this long must stop: others may take the lock for stale
    // after 30 minutes.
    static constexpr std::chrono::seconds kExpiry{22 * 60 + 30};
    static constexpr int kReadAttempts = 4;

    // Takes the lock, or throws Error{locked}.
    LockKeeper(const Repository& repository, const LockOptions& options);
    // Gives the lock up, if release() has not; failures are logged.
    ~LockKeeper();
    LockKeeper(const LockKeeper&) = delete;
    LockKeeper& operator=(const LockKeeper&) = delete;

    // Refreshes the lock when it is due; a failure is logged and tried again by the next call,
    // until the lock has expired. Never throws.
    void tick();
    // Throws Error{locked} when the lock is lost. An expired one (the machine slept, or the storage
    // was out of reach) is looked for, and renewed if nobody has removed it.
    void check_held();
    void release();

    Id id() const;

  private:
    void acquire();
    // The first other lock that conflicts with ours. Tries kReadAttempts times to read them.
    std::optional<LockInfo> conflicting();
    std::optional<LockInfo> find_conflict();
    Error locked_by(const LockInfo& other) const;
    void write();  // a new lock file; sets mine_ and the times
    void remove_quietly(const Id& id) noexcept;
    bool still_there(const Id& id) const;
    std::chrono::nanoseconds age() const;
    void refresh();        // throws
    void renew_expired();  // throws when it cannot; loses the lock when others removed it
    void lose(std::string reason);

    const Repository& repository_;
    const LockOptions options_;
    LockInfo mine_;
    Time wall_;                                     // of the last refresh
    std::chrono::steady_clock::time_point steady_;  // likewise
    mutable std::mutex mutex_;                      // guards what changes after construction
    bool released_ = false;
    std::vector<Id> leftovers_;  // former lock files of ours that could not be removed yet
    std::string lost_;           // why; empty while held
};

}  // namespace sevenfold::repository::internal
