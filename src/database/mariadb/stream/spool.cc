#include "database/mariadb/stream/spool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "core/check.h"
#include "core/log.h"
#include "database/mariadb/binlog/log_file.h"

namespace sevenfold::database::mariadb {
namespace {

namespace fs = std::filesystem;

// Small events are gathered up to here; then the system has them.
constexpr size_t kBuffer = 256 * 1024;

std::vector<std::string> names_in(const std::string& folder, bool folders) {
    std::vector<std::string> names;
    std::error_code failure;
    for (const auto& entry : fs::directory_iterator(folder, failure))
        if (folders ? entry.is_directory() : entry.is_regular_file())
            names.push_back(entry.path().filename());
    if (failure && failure != std::errc::no_such_file_or_directory)
        throw errno_error("read " + folder, failure.value());
    std::ranges::sort(names, file_before);
    return names;
}

os::UniqueFd lock_folder(const std::string& folder) {
    std::string path = folder + "/lock";
    os::UniqueFd fd = os::open_file(path, O_RDWR | O_CREAT, 0600);
    if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
    if (errno != EWOULDBLOCK) throw errno_error("lock " + path);
    throw Error(ErrorKind::locked, fmt::format("another process receives into {}", folder),
                "Only one `sevenfold stream` of a database may run at a time.");
}

}  // namespace

std::vector<std::string> spool_incarnations(const std::string& folder) {
    std::vector<std::string> names = names_in(folder, true);
    std::erase_if(names, [](const std::string& n) { return incarnation_number(n) == 0; });
    std::ranges::stable_sort(names, {}, incarnation_number);
    return names;
}

std::vector<std::string> spool_files(const std::string& folder, const std::string& incarnation) {
    std::vector<std::string> names = names_in(folder + "/" + incarnation, false);
    std::erase_if(names, [](const std::string& n) { return !file_number(n); });
    return names;
}

Spool::Spool(std::string folder) : folder_(std::move(folder)) {
    for (const std::string& made : os::make_dirs(folder_, 0700))
        os::fsync_dir(os::parent_dir(made));
    lock_ = lock_folder(folder_);
    recover();
}

std::string Spool::path(const LogPosition& position) const {
    return fmt::format("{}/{}/{}", folder_, position.incarnation, position.file);
}

// Reads a file with all its checksums up to where the last whole transaction ends.
std::optional<Spool::Tail> Spool::scan(const std::string& incarnation,
                                       const std::string& file) const {
    auto archive = open_log_folder(folder_);
    const auto& all = archive->segments();
    auto at = std::ranges::find_if(
        all, [&](const LogSegment& s) { return s.incarnation == incarnation && s.name == file; });
    if (at == all.end()) return std::nullopt;
    Tail tail{.position = {incarnation, file, 0}, .tracker = {}, .description = {}};
    tail.tracker.begin_file();
    try {
        LogFileReader reader(*archive, static_cast<size_t>(at - all.begin()));
        Event event;
        while (reader.next(event)) {
            if (event.header.type == EventType::format_description)
                tail.description = to_bytes(event.raw);
            tail.tracker.add(event, reader.event_offset(), reader.offset());
        }
    } catch (const Error& error) {
        // A crash leaves a tail that was never acknowledged: zeros, half an event. If it is more,
        // the server has the rest.
        if (error.kind() != ErrorKind::corrupt) throw;
        log_debug("{}: {}", folder_, error.message());
    }
    if (!tail.description.empty()) tail.position.offset = tail.tracker.boundary();
    tail.cut = at->size - tail.position.offset;
    return tail;
}

void Spool::recover() {
    std::vector<std::string> incarnations = spool_incarnations(folder_);
    while (!incarnations.empty()) {
        std::string incarnation = incarnations.back();
        last_incarnation_ = std::max(last_incarnation_, incarnation_number(incarnation));
        std::vector<std::string> files = spool_files(folder_, incarnation);
        for (auto file = files.rbegin(); file != files.rend() && !tail_; ++file) {
            std::optional<Tail> found = scan(incarnation, *file);
            CHECK(found);
            if (found->position.offset == 0) {
                // Not even the head came: as if the file had not begun.
                os::UniqueFd empty = os::open_file(path(found->position), O_WRONLY);
                if (::unlink(path(found->position).c_str()) != 0)
                    throw errno_error("remove " + path(found->position));
                continue;
            }
            // The list of GTIDs comes right after the head; a file without one knows the state of
            // the file before.
            if (!found->tracker.state() && file + 1 != files.rend())
                if (auto before = scan(incarnation, *(file + 1)))
                    found->tracker.set_state(before->tracker.state());
            tail_ = std::move(found);
        }
        if (tail_) break;
        incarnations.pop_back();
    }
    if (!tail_) return;
    if (tail_->cut > 0)
        log_warning("spool {}: {} bytes after {} are no whole transaction and are received again",
                    folder_, tail_->cut, tail_->position.display());
    open(tail_->position.incarnation, tail_->position.file);
    truncate(tail_->position.offset);
    sync();
}

void Spool::open(const std::string& incarnation, const std::string& file) {
    if (fd_.valid() && end_.incarnation == incarnation && end_.file == file) return;
    if (fd_.valid()) sync();
    LogPosition next{incarnation, file, 0};
    std::string folder = fmt::format("{}/{}", folder_, incarnation);
    for (const std::string& made : os::make_dirs(folder, 0700)) os::fsync_dir(os::parent_dir(made));
    fd_ = os::open_file(path(next), O_RDWR | O_CREAT, 0600);
    os::fsync_dir(folder);
    struct stat info {};
    if (fstat(fd_.get(), &info) != 0) throw errno_error("stat " + path(next));
    next.offset = static_cast<uint64_t>(info.st_size);
    end_ = next;
    last_incarnation_ = std::max(last_incarnation_, incarnation_number(incarnation));
}

void Spool::append(ByteView bytes) {
    CHECK(fd_.valid());
    dirty_ = true;
    if (buffer_.size() + bytes.size() > kBuffer) flush();
    if (bytes.size() > kBuffer)
        os::pwrite_all(fd_.get(), bytes, end_.offset, path(end_));
    else
        sevenfold::append(buffer_, bytes);
    end_.offset += bytes.size();
}

void Spool::flush() {
    if (buffer_.empty()) return;
    os::pwrite_all(fd_.get(), buffer_, end_.offset - buffer_.size(), path(end_));
    buffer_.clear();
}

void Spool::truncate(uint64_t offset) {
    CHECK(fd_.valid());
    flush();
    if (offset == end_.offset) return;
    CHECK(offset < end_.offset);
    if (::ftruncate(fd_.get(), static_cast<off_t>(offset)) != 0)
        throw errno_error("truncate " + path(end_));
    end_.offset = offset;
    dirty_ = true;
}

void Spool::sync() {
    if (!fd_.valid()) return;
    flush();
    if (!dirty_) return;
    // Not os::sync_fd: a file system that cannot sync cannot keep a promise.
    if (::fdatasync(fd_.get()) != 0) throw errno_error("sync " + path(end_));
    dirty_ = false;
}

bool Spool::matches(uint64_t offset, ByteView bytes) {
    flush();
    constexpr size_t kStep = 1 << 20;
    Bytes there(std::min(bytes.size(), kStep));
    while (!bytes.empty()) {
        MutableByteView out = MutableByteView(there).first(std::min(bytes.size(), kStep));
        if (os::pread_all(fd_.get(), out, offset, path(end_)) != out.size()) return false;
        if (!std::ranges::equal(out, bytes.first(out.size()))) return false;
        offset += out.size();
        bytes = bytes.subspan(out.size());
    }
    return true;
}

uint64_t Spool::size_of(const std::string& incarnation, const std::string& file) const {
    struct stat info {};
    return ::stat(path({incarnation, file, 0}).c_str(), &info) == 0
               ? static_cast<uint64_t>(info.st_size)
               : 0;
}

}  // namespace sevenfold::database::mariadb
