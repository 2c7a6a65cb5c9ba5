#include "database/mariadb/stream/mirror.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/log.h"
#include "database/mariadb/stream/spool.h"
#include "os/file.h"

namespace sevenfold::database::mariadb {
namespace {

// Read and sealed at once; the mirror's memory.
constexpr size_t kStep = 1 << 20;
// A long catching up is made durable this often, so that a broken connection costs little.
constexpr uint64_t kSyncEvery = 32 << 20;

}  // namespace

Mirror::Mirror(MirrorOptions options)
    : options_(std::move(options)),
      copied_(options_.copied),
      thread_([this](std::stop_token stop) { run(stop); }) {}

Mirror::~Mirror() {
    thread_.request_stop();
    changed_.notify_all();
}

void Mirror::request(const LogPosition& position) {
    std::lock_guard lock(mutex_);
    wanted_ = position;
    changed_.notify_all();
}

bool Mirror::wait(const LogPosition& position, std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return copied_ && position <= *copied_; });
}

void Mirror::rewind(const LogPosition& position) {
    std::lock_guard lock(mutex_);
    if (wanted_ && position < *wanted_) wanted_ = position;
    if (copied_ && position < *copied_) copied_ = position;
    cut_ = position;
    ++rewinds_;
    changed_.notify_all();
}

Mirror::Status Mirror::status() const {
    std::lock_guard lock(mutex_);
    return {connected_, copied_, failure_};
}

void Mirror::run(const std::stop_token& stop) {
    auto pause = options_.retry_first;
    while (!stop.stop_requested()) {
        try {
            std::unique_ptr<SpoolTarget> target = options_.connect();
            {
                std::lock_guard lock(mutex_);
                connected_ = true;
                failure_.clear();
            }
            pause = options_.retry_first;
            serve(stop, *target);
            return;
        } catch (...) {
            Error error = current_error();
            std::unique_lock lock(mutex_);
            if (failure_.empty() && !stop.stop_requested())
                log_warning("second spool {}: {}", options_.name, error.message());
            failure_ = error.message();
            connected_ = false;
            changed_.notify_all();
            changed_.wait_for(lock, stop, pause, [] { return false; });
            pause = std::min(pause * 2, options_.retry_most);
        }
    }
}

// Where copying goes on: after what is certainly there, else from the oldest local file on.
LogPosition Mirror::begin(SpoolTarget& target) const {
    std::optional<LogPosition> copied;
    {
        std::lock_guard lock(mutex_);
        copied = copied_;
    }
    if (copied && copied->offset > 0 && target.knows(copied->incarnation, copied->file))
        return *copied;
    if (copied && copied->offset == 0) return *copied;
    return {};
}

void Mirror::serve(const std::stop_token& stop, SpoolTarget& target) {
    LogPosition at = begin(target);
    uint64_t rewinds = 0;  // those that the target knows of, since the last sync
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, stop, [&] { return (wanted_ && at < *wanted_) || cut_; });
        if (stop.stop_requested() && !(wanted_ && at < *wanted_)) return;
        if (copied_ && *copied_ < at) at = *copied_;
        rewinds = rewinds_;
        std::optional<LogPosition> cut = cut_, until = wanted_;
        lock.unlock();
        LogPosition next = at;
        if (cut) target.cut(cut->incarnation, cut->file, cut->offset);
        if (until && at < *until) copy(target, next, *until);
        target.sync();
        lock.lock();
        // What was cut off meanwhile does not count, though it was sent.
        if (rewinds != rewinds_) continue;
        cut_.reset();
        if (at < next) copied_ = at = next;
        changed_.notify_all();
        if (stop.stop_requested()) return;
    }
}

// Sends what lies between; at most kSyncEvery of a file at a time.
void Mirror::copy(SpoolTarget& target, LogPosition& at, const LogPosition& until) {
    if (at.incarnation == until.incarnation && at.file == until.file)
        return copy_file(target, at, until.offset);
    for (const std::string& incarnation : spool_incarnations(options_.spool))
        for (const std::string& file : spool_files(options_.spool, incarnation)) {
            LogPosition here{incarnation, file, 0};
            if (at.incarnation == incarnation && at.file == file) here.offset = at.offset;
            if (here < at) continue;
            if (until < here) return;
            bool last = incarnation == until.incarnation && file == until.file;
            uint64_t start = here.offset;
            copy_file(target, here, last ? until.offset : UINT64_MAX);
            at = here;
            if (last || here.offset - start >= kSyncEvery) return;
        }
}

void Mirror::copy_file(SpoolTarget& target, LogPosition& at, uint64_t end) {
    std::string path = fmt::format("{}/{}/{}", options_.spool, at.incarnation, at.file);
    os::UniqueFd fd = os::open_file(path, O_RDONLY);
    Bytes buffer;
    for (uint64_t sent = 0; sent < kSyncEvery; sent += buffer.size()) {
        buffer.resize(std::min<uint64_t>(kStep, end - at.offset));
        buffer.resize(os::pread_all(fd.get(), buffer, at.offset, path));
        if (buffer.empty()) return;
        target.append(at.incarnation, at.file, at.offset, buffer);
        at.offset += buffer.size();
    }
}

}  // namespace sevenfold::database::mariadb
