#include "repository/internal/lock_keeper.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "core/error.h"
#include "core/log.h"
#include "core/units.h"
#include "repository/internal/process_identity.h"
#include "storage/waiting.h"

namespace sevenfold::repository::internal {
namespace {

using storage::FileType;
using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kFirstRetry = 5s, kLongestRetry = 60s;
constexpr const char* kUnlockHint = "`sevenfold repo unlock` removes stale locks.";

}  // namespace

LockKeeper::LockKeeper(const Repository& repository, const LockOptions& options)
    : repository_(repository), options_(options) {
    mine_.exclusive = options.mode == LockMode::exclusive;
    mine_.hostname = this_hostname();
    mine_.username = this_username();
    mine_.pid = getpid();
    mine_.uid = getuid();
    mine_.gid = getgid();
    acquire();
}

LockKeeper::~LockKeeper() {
    try {
        release();
    } catch (const Error& error) {
        log_warning("removing our lock: {}", error.message());
    }
}

void LockKeeper::acquire() {
    auto deadline = options_.clock->steady() + options_.retry_for;
    auto pause = kFirstRetry;
    while (true) {
        std::optional<LockInfo> other = conflicting();
        if (!other) {
            write();
            try {
                // Somebody may have looked before our lock was there, and written theirs since.
                storage::sleep_unless_stopped(options_.settle, options_.stop);
                other = conflicting();
            } catch (...) {
                remove_quietly(mine_.id);
                throw;
            }
            if (!other) return;
            remove_quietly(mine_.id);
        }
        auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline -
                                                                          options_.clock->steady());
        if (left <= 0ms) throw locked_by(*other);
        log_info("{}; waiting", locked_by(*other).message());
        storage::sleep_unless_stopped(std::min(pause, left), options_.stop);
        pause = std::min(2 * pause, kLongestRetry);
    }
}

std::optional<LockInfo> LockKeeper::conflicting() {
    auto pause = options_.settle;
    for (int attempt = 1;; ++attempt) {
        try {
            return find_conflict();
        } catch (const Error& error) {
            // It may be half written on a storage without atomic stores. Other failures the
            // backend has tried again itself.
            if (error.kind() != ErrorKind::corrupt) throw;
            // A lock that cannot be read may be an exclusive one: it must not be ignored.
            if (attempt == kReadAttempts)
                throw error.with_hint(
                    "If nobody works on the repository, `sevenfold repo unlock --remove-all` "
                    "removes all locks.");
        }
        storage::sleep_unless_stopped(pause, options_.stop);
        pause *= 2;
    }
}

std::optional<LockInfo> LockKeeper::find_conflict() {
    const std::string host = this_hostname();
    for (const storage::FileInfo& file : repository_.backend().list_all(FileType::lock)) {
        // An empty file is a lock being written on a backend without atomic stores.
        if (file.size == 0 || file.id == mine_.id) continue;
        std::optional<LockInfo> other = load_lock(repository_, file.id);
        if (!other) continue;
        if (other->abandoned(host)) {
            log_info("removing the lock of process {}, which is gone", other->pid);
            remove_quietly(file.id);
            continue;
        }
        if (mine_.exclusive || other->exclusive) return other;
    }
    return std::nullopt;
}

Error LockKeeper::locked_by(const LockInfo& other) const {
    Time now = options_.clock->now();
    bool stale = other.stale(now, this_hostname());
    return Error(
        ErrorKind::locked,
        fmt::format("repository {}: locked {}by {}@{} (pid {}) since {}, {} ago{}",
                    repository_.location(), other.exclusive ? "exclusively " : "",
                    printable(other.username), printable(other.hostname), other.pid,
                    to_display(other.time), format_age(std::max(now.since(other.time), 0ns)),
                    stale ? "; that lock is stale" : ""),
        kUnlockHint);
}

void LockKeeper::write() {
    mine_.time = options_.clock->now();
    auto steady = options_.clock->steady();
    mine_.id = repository_.save_unpacked(FileType::lock, as_bytes(encode_lock(mine_)));
    wall_ = mine_.time;  // from before the store: it may have taken long
    steady_ = steady;
}

void LockKeeper::remove_quietly(const Id& id) noexcept try {
    repository_.remove(FileType::lock, id);
} catch (const Error& error) {
    if (error.kind() == ErrorKind::not_found) return;
    log_warning("removing lock {}: {}", id.short_hex(), error.message());
    leftovers_.push_back(id);
}

bool LockKeeper::still_there(const Id& id) const {
    return repository_.backend().exists({FileType::lock, id});
}

std::chrono::nanoseconds LockKeeper::age() const {
    return std::max<std::chrono::nanoseconds>(options_.clock->now().since(wall_),
                                              options_.clock->steady() - steady_);
}

// The new file is there before the old one goes. Were the old one gone already, somebody would have
// removed it and might hold an exclusive lock by now.
void LockKeeper::refresh() {
    Id old = mine_.id;
    if (!still_there(old)) return lose("it was removed by somebody else");
    write();
    remove_quietly(old);
}

void LockKeeper::renew_expired() {
    Id old = mine_.id;
    if (still_there(old)) {
        write();
        std::this_thread::sleep_for(options_.settle);
        bool undisturbed = still_there(old);
        remove_quietly(undisturbed ? old : mine_.id);
        if (undisturbed)
            return log_warning("the lock of repository {} had not been refreshed in time; renewed",
                               repository_.location());
    }
    lose("it was not refreshed in time, and somebody else removed it");
}

void LockKeeper::lose(std::string reason) {
    lost_ = std::move(reason);
    log_error("lost the lock of repository {}: {}", repository_.location(), lost_);
}

void LockKeeper::tick() {
    std::lock_guard lock(mutex_);
    if (released_ || !lost_.empty() || age() < options_.refresh_every) return;
    try {
        // After a sleep the network may need a while: whether an expired lock is lost because it
        // cannot be renewed is for check_held() to say.
        age() < kExpiry ? refresh() : renew_expired();
    } catch (const Error& error) {
        log_warning("refreshing the lock of repository {}: {}", repository_.location(),
                    error.message());
    }
}

void LockKeeper::check_held() {
    std::lock_guard lock(mutex_);
    if (released_)
        throw Error(ErrorKind::locked, fmt::format("repository {}: our lock has been released",
                                                   repository_.location()));
    if (lost_.empty() && age() >= kExpiry) try {
            renew_expired();
        } catch (const Error& error) {
            lose("it could not be refreshed in time: " + error.message());
        }
    if (!lost_.empty())
        throw Error(
            ErrorKind::locked,
            fmt::format("repository {}: our lock is lost: {}", repository_.location(), lost_),
            "Nothing is damaged; run the command again.");
}

void LockKeeper::release() {
    std::lock_guard lock(mutex_);
    if (released_) return;
    released_ = true;
    for (const Id& id : std::exchange(leftovers_, {})) remove_quietly(id);
    try {
        repository_.remove(FileType::lock, mine_.id);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::not_found) throw;
    }
}

Id LockKeeper::id() const {
    std::lock_guard lock(mutex_);
    return mine_.id;
}

}  // namespace sevenfold::repository::internal
