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

uint64_t file_size(int fd, const std::string& path) {
    struct stat st {};
    if (fstat(fd, &st) != 0) throw errno_error("stat " + path);
    return static_cast<uint64_t>(st.st_size);
}

struct Head {
    uint64_t name_size, node_size;
    uint64_t record_size() const { return kRecordHead + name_size + node_size; }
};

// The head of the record at `offset`; none when the record is not in the file as a whole.
std::optional<Head> read_head(int fd, uint64_t offset, const std::string& path) {
    uint64_t size = file_size(fd, path);
    uint8_t bytes[kRecordHead];
    if (os::pread_all(fd, bytes, offset, path) < kRecordHead) return std::nullopt;
    Head head{get_le32(bytes), get_le32(bytes + 4)};
    bool whole = offset <= size && head.record_size() <= size - offset;
    return whole && head.record_size() <= kMaxRecord ? std::optional(head) : std::nullopt;
}

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
    if (file_size(fd_.get(), path_) <= kMaxJournal) {
        while (auto head = read_head(fd_.get(), end_, path_)) {
            Bytes name(head->name_size);
            if (os::pread_all(fd_.get(), name, end_ + kRecordHead, path_) < name.size()) break;
            offsets_[hash_of(as_text(name))] = end_;
            end_ += head->record_size();
        }
    }
    if (ftruncate(fd_.get(), static_cast<off_t>(end_)) != 0) throw errno_error("truncate " + path_);
}

std::optional<repository::Node> ResumeJournal::find(const std::string& path) {
    std::lock_guard lock(mutex_);
    if (!fd_.valid()) return std::nullopt;
    auto it = offsets_.find(hash_of(path));
    if (it == offsets_.end()) return std::nullopt;
    try {
        auto head = read_head(fd_.get(), it->second, path_);
        if (!head || head->name_size != path.size()) return std::nullopt;
        Bytes body(head->name_size + head->node_size);
        if (os::pread_all(fd_.get(), body, it->second + kRecordHead, path_) < body.size())
            return std::nullopt;
        ByteView name = ByteView(body).first(path.size());
        if (as_text(name) != path) return std::nullopt;
        return repository::decode_node(ByteView(body).subspan(name.size()));
    } catch (const Error&) {
        return std::nullopt;  // a hint that cannot be read is no hint
    }
}

void ResumeJournal::record(const std::string& path, const repository::Node& node) {
    Bytes json;
    repository::encode_node(json, node);
    // Such a record would end the journal for the next run.
    if (Head{path.size(), json.size()}.record_size() > kMaxRecord) return;
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
