// Lock files: their JSON (format A.9), staleness, listing and removal.
#include <fmt/format.h>
#include <signal.h>

#include <cerrno>
#include <limits>

#include "core/error.h"
#include "core/log.h"
#include "repository/internal/json_reader.h"
#include "repository/internal/json_writer.h"
#include "repository/internal/lock_keeper.h"
#include "repository/internal/process_identity.h"
#include "repository/lock.h"

namespace sevenfold::repository {
namespace {

using storage::FileName;
using storage::FileType;

constexpr std::chrono::minutes kStaleAfter{30};

bool process_is_gone(int64_t pid) {
    if (pid <= 0 || pid > std::numeric_limits<pid_t>::max()) return false;  // nothing to ask for
    return kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH;
}

// False when it was gone already.
bool remove_lock(const Repository& repository, const Id& id) try {
    repository.remove(FileType::lock, id);
    return true;
} catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found) throw;
    return false;
}

}  // namespace

bool LockInfo::abandoned(const std::string& this_host) const {
    return !this_host.empty() && hostname == this_host && process_is_gone(pid);
}

bool LockInfo::stale(const Time& now, const std::string& this_host) const {
    return now.since(time) > kStaleAfter || abandoned(this_host);
}

std::string encode_lock(const LockInfo& lock) {
    Bytes out;
    JsonWriter json(out);
    json.raw("{\"time\":");
    json.time(lock.time);
    json.raw(",\"exclusive\":");
    json.boolean(lock.exclusive);
    json.raw(",\"hostname\":");
    json.string(lock.hostname);
    json.raw(",\"username\":");
    json.string(lock.username);
    json.raw(",\"pid\":");
    json.i64(lock.pid);
    if (lock.uid != 0) {
        json.raw(",\"uid\":");
        json.u64(lock.uid);
    }
    if (lock.gid != 0) {
        json.raw(",\"gid\":");
        json.u64(lock.gid);
    }
    json.raw("}");
    json.finish();
    return std::string(as_text(out));
}

LockInfo decode_lock(ByteView bytes) {
    LockInfo out;
    bool has_time = false;
    JsonReader json(bytes, "lock");
    json.begin_object();
    while (json.next_key()) {
        std::string_view key = json.key();
        if (key == "time") {
            out.time = json.time();
            has_time = true;
        } else if (key == "exclusive") {
            out.exclusive = json.boolean();
        } else if (key == "hostname") {
            out.hostname = json.string();
        } else if (key == "username") {
            out.username = json.string();
        } else if (key == "pid") {
            out.pid = json.i64();
        } else if (key == "uid") {
            out.uid = json.u32();
        } else if (key == "gid") {
            out.gid = json.u32();
        } else {
            json.skip();
        }
    }
    json.end();
    if (!has_time) json.fail("no time");
    return out;
}

namespace internal {

std::optional<LockInfo> load_lock(const Repository& repository, const Id& id) {
    Bytes json;
    try {
        json = repository.load_unpacked(FileType::lock, id);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::not_found) throw;
        return std::nullopt;
    }
    try {
        LockInfo lock = decode_lock(json);
        lock.id = id;
        return lock;
    } catch (const Error& error) {
        throw error.with_context(FileName{FileType::lock, id}.display());
    }
}

}  // namespace internal

std::vector<LockInfo> list_locks(const Repository& repository) {
    std::vector<LockInfo> out;
    for (const storage::FileInfo& file : repository.backend().list_all(FileType::lock)) {
        if (file.size == 0) continue;  // being written, on a backend without atomic stores
        try {
            if (auto lock = internal::load_lock(repository, file.id))
                out.push_back(std::move(*lock));
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::corrupt) throw;
            log_warning("{}", error.message());
        }
    }
    std::sort(out.begin(), out.end(), [](const LockInfo& a, const LockInfo& b) {
        return a.time != b.time ? a.time < b.time : a.id < b.id;
    });
    return out;
}

size_t remove_locks(const Repository& repository, bool all, const Clock& clock) {
    size_t removed = 0;
    if (all) {
        for (const storage::FileInfo& file : repository.backend().list_all(FileType::lock))
            removed += remove_lock(repository, file.id);
        return removed;
    }
    std::string host = this_hostname();
    for (const LockInfo& lock : list_locks(repository))
        if (lock.stale(clock.now(), host)) removed += remove_lock(repository, lock.id);
    return removed;
}

}  // namespace sevenfold::repository
