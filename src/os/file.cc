#include "os/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "core/error.h"

namespace sevenfold::os {
namespace {

// Linux moves at most 0x7ffff000 bytes a call; smaller pieces also let a signal be noticed.
constexpr size_t kMaxTransfer = 1 << 30;

template <class Call>
ssize_t retry_eintr(Call call) {
    ssize_t result;
    do result = call();
    while (result < 0 && errno == EINTR);
    return result;
}

uint64_t random_suffix() {
    uint64_t value = 0;
    if (retry_eintr([&] { return ::getrandom(&value, sizeof value, 0); }) != sizeof value)
        throw errno_error("getrandom");
    return value;
}

}  // namespace

void UniqueFd::reset(int fd) {
    // Linux closes the descriptor even when close() reports EINTR, so it is never retried.
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
}

UniqueFd open_file(const std::string& path, int flags, mode_t mode) {
    auto fd = retry_eintr([&] { return ::open(path.c_str(), flags | O_CLOEXEC, mode); });
    if (fd < 0) throw errno_error("open " + path);
    return UniqueFd(static_cast<int>(fd));
}

size_t pread_all(int fd, MutableByteView out, uint64_t offset, std::string_view what) {
    size_t done = 0;
    while (done < out.size()) {
        size_t want = std::min(out.size() - done, kMaxTransfer);
        ssize_t n = retry_eintr([&] {
            return ::pread(fd, out.data() + done, want, static_cast<off_t>(offset + done));
        });
        if (n < 0) throw errno_error(fmt::format("read {}", what));
        if (n == 0) break;
        done += static_cast<size_t>(n);
    }
    return done;
}

void pwrite_all(int fd, ByteView data, uint64_t offset, std::string_view what) {
    while (!data.empty()) {
        size_t want = std::min(data.size(), kMaxTransfer);
        ssize_t n = retry_eintr(
            [&] { return ::pwrite(fd, data.data(), want, static_cast<off_t>(offset)); });
        if (n < 0) throw errno_error(fmt::format("write {}", what));
        data = data.subspan(static_cast<size_t>(n));
        offset += static_cast<uint64_t>(n);
    }
}

void write_all(int fd, ByteView data, std::string_view what) {
    while (!data.empty()) {
        size_t want = std::min(data.size(), kMaxTransfer);
        ssize_t n = retry_eintr([&] { return ::write(fd, data.data(), want); });
        if (n < 0) throw errno_error(fmt::format("write {}", what));
        data = data.subspan(static_cast<size_t>(n));
    }
}

size_t read_some(int fd, MutableByteView out, std::string_view what) {
    ssize_t n =
        retry_eintr([&] { return ::read(fd, out.data(), std::min(out.size(), kMaxTransfer)); });
    if (n < 0) throw errno_error(fmt::format("read {}", what));
    return static_cast<size_t>(n);
}

Bytes read_file(const std::string& path, uint64_t limit) {
    UniqueFd fd = open_file(path, O_RDONLY);
    struct stat st {};
    if (::fstat(fd.get(), &st) != 0) throw errno_error("stat " + path);
    if (S_ISDIR(st.st_mode)) throw errno_error("read " + path, EISDIR);
    auto too_large = [&] {
        return Error(
            ErrorKind::corrupt,
            fmt::format("{}: larger than the {} bytes a valid file can have", path, limit));
    };
    uint64_t expected = S_ISREG(st.st_mode) ? static_cast<uint64_t>(st.st_size) : 0;
    if (expected > limit) throw too_large();
    // One byte more than expected, so that the usual file needs one read and one that finds the
    // end.
    Bytes content(expected + 1);
    size_t filled = 0;
    for (;;) {
        if (filled == content.size()) content.resize(content.size() * 2 + 4096);
        size_t n = read_some(fd.get(), MutableByteView(content).subspan(filled), path);
        if (n == 0) break;
        filled += n;
        if (filled > limit) throw too_large();
    }
    content.resize(filled);
    return content;
}

void sync_fd(int fd, std::string_view what) {
    if (retry_eintr([&] { return ::fsync(fd); }) == 0) return;
    if (errno == EINVAL || errno == ENOTSUP || errno == ENOTTY) return;
    throw errno_error(fmt::format("sync {}", what));
}

void fsync_dir(const std::string& path) {
    UniqueFd fd = open_file(path, O_RDONLY | O_DIRECTORY);
    sync_fd(fd.get(), path);
}

std::string parent_dir(const std::string& path) {
    size_t end = path.find_last_not_of('/');
    if (end == path.npos) return path.empty() ? "." : "/";
    size_t slash = path.rfind('/', end);
    if (slash == path.npos) return ".";
    size_t last = path.find_last_not_of('/', slash);
    return last == path.npos ? "/" : path.substr(0, last + 1);
}

std::vector<std::string> make_dirs(const std::string& path, mode_t mode) {
    if (::mkdir(path.c_str(), mode) == 0) return {path};
    std::vector<std::string> made;
    if (errno == ENOENT && parent_dir(path) != path) {
        made = make_dirs(parent_dir(path), mode);
        if (::mkdir(path.c_str(), mode) == 0) {
            made.push_back(path);
            return made;
        }
    }
    int failure = errno;
    struct stat st {};
    if (failure == EEXIST && ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) return made;
    throw errno_error("make folder " + path, failure);
}

bool path_exists(const std::string& path) {
    struct stat st {};
    if (::lstat(path.c_str(), &st) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    throw errno_error("stat " + path);
}

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
    for (int attempt = 0;; ++attempt) {
        temporary_ = fmt::format("{}-tmp-{:016x}", path_, random_suffix());
        auto fd = retry_eintr([&] {
            return ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                          0600);
        });
        if (fd >= 0) {
            fd_.reset(static_cast<int>(fd));
            return;
        }
        if (errno != EEXIST || attempt == 10) throw errno_error("create " + temporary_);
    }
}

AtomicFile::~AtomicFile() {
    if (!committed_) ::unlink(temporary_.c_str());
}

void AtomicFile::preallocate(uint64_t size) {
    if (size == 0) return;
    auto result = retry_eintr(
        [&] { return ::fallocate(fd(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size)); });
    if (result == 0 || errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL) return;
    throw errno_error("write " + path_);
}

void AtomicFile::write(ByteView data) { write_all(fd(), data, path_); }

void AtomicFile::commit(mode_t mode, bool durable) {
    if (durable) sync_fd(fd(), path_);
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw errno_error("rename to " + path_);
    finish(mode, durable);
}

void AtomicFile::commit_new(mode_t mode) {
    sync_fd(fd(), path_);
    if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) != 0) {
        // File systems that cannot do this can make a second name.
        if (errno != EINVAL && errno != ENOSYS) throw errno_error("rename to " + path_);
        if (::link(temporary_.c_str(), path_.c_str()) != 0) throw errno_error("link " + path_);
        ::unlink(temporary_.c_str());
    }
    finish(mode, true);
}

void AtomicFile::finish(mode_t mode, bool durable) {
    committed_ = true;
    // After the rename, because some network file systems refuse to rename read-only files.
    if (::fchmod(fd(), mode) != 0 && errno != EPERM && errno != ENOTSUP && errno != ENOSYS)
        throw errno_error("set mode of " + path_);
    // Not reset(): NFS and FUSE report a failed write-back at close.
    if (::close(fd_.release()) != 0 && errno != EINTR) throw errno_error("close " + path_);
    if (durable) fsync_dir(parent_dir(path_));
}

void write_file_atomically(const std::string& path, ByteView data, mode_t mode) {
    AtomicFile file(path);
    file.write(data);
    file.commit(mode);
}

}  // namespace sevenfold::os
