#include "files/internal/resume_journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cursor.h"
#include "core/error.h"
#include "core/log.h"

namespace sevenfold::files::internal {
namespace {

// Record: path length u32le, node length u32le, path, the node's JSON.
constexpr size_t kFlushAt = 256 << 10;
constexpr size_t kRecordHead = 8;
constexpr uint64_t kMaxRecord = 64 << 20;
constexpr uint64_t kMaxJournal = 4ULL << 30;

uint64_t hash_of(std::string_view path) { return std::hash<std::string_view>{}(path); }

}  // namespace

ResumeJournal::ResumeJournal(const std::string& path) : path_(path) {
    if (path_.empty()) return;
    try {
        os::make_dirs(os::parent_dir(path_));
        fd_ = os::open_file(path_, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
        if (flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
            fd_.reset();
            return;
        }
        load();
    } catch (const Error& error) {
        log_warning("no resume journal: {}", error.message());
        fd_.reset();
        offsets_.clear();
    }
}

void ResumeJournal::load() {
    struct stat st {};
    if (fstat(fd_.get(), &st) != 0) throw errno_error("stat " + path_);
    auto size = static_cast<uint64_t>(st.st_size);
    if (size > kMaxJournal) size = 0;
    uint8_t head[kRecordHead];
    std::string name;
    while (end_ + kRecordHead <= size) {
        if (os::pread_all(fd_.get(), head, end_, path_) < kRecordHead) break;
        uint64_t name_size = get_le32(head), node_size = get_le32(head + 4);
        uint64_t next = end_ + kRecordHead + name_size + node_size;
        if (name_size > kMaxRecord || node_size > kMaxRecord || next > size) break;
        name.resize(name_size);
        os::pread_all(fd_.get(), {reinterpret_cast<uint8_t*>(name.data()), name.size()},
                      end_ + kRecordHead, path_);
        offsets_[hash_of(name)] = end_;
        end_ = next;
    }
    if (ftruncate(fd_.get(), static_cast<off_t>(end_)) != 0) throw errno_error("truncate " + path_);
}

std::optional<repository::Node> ResumeJournal::find(const std::string& path) {
    std::lock_guard lock(mutex_);
    if (!fd_.valid()) return std::nullopt;
    auto it = offsets_.find(hash_of(path));
    if (it == offsets_.end()) return std::nullopt;
    try {
        uint8_t head[kRecordHead];
        os::pread_all(fd_.get(), head, it->second, path_);
        Bytes body(size_t{get_le32(head)} + get_le32(head + 4));
        os::pread_all(fd_.get(), body, it->second + kRecordHead, path_);
        ByteView name = ByteView(body).first(get_le32(head));
        if (as_text(name) != path) return std::nullopt;
        return repository::decode_node(ByteView(body).subspan(name.size()));
    } catch (const Error&) {
        return std::nullopt;  // a hint that cannot be read is no hint
    }
}

void ResumeJournal::record(const std::string& path, const repository::Node& node) {
    Bytes json;
    repository::encode_node(json, node);
    std::lock_guard lock(mutex_);
    if (!fd_.valid()) return;
    size_t at = pending_.size();
    pending_.resize(at + kRecordHead);
    put_le32(pending_.data() + at, static_cast<uint32_t>(path.size()));
    put_le32(pending_.data() + at + 4, static_cast<uint32_t>(json.size()));
    append(pending_, as_bytes(path));
    append(pending_, json);
    if (pending_.size() >= kFlushAt) write_pending();
}

void ResumeJournal::flush() {
    std::lock_guard lock(mutex_);
    if (fd_.valid()) write_pending();
}

void ResumeJournal::write_pending() {
    try {
        os::pwrite_all(fd_.get(), pending_, end_, path_);
        end_ += pending_.size();
    } catch (const Error& error) {
        log_warning("resume journal: {}", error.message());
        fd_.reset();
    }
    pending_.clear();
}

void ResumeJournal::remove() {
    std::lock_guard lock(mutex_);
    if (!fd_.valid()) return;
    unlink(path_.c_str());
    fd_.reset();
}

}  // namespace sevenfold::files::internal
