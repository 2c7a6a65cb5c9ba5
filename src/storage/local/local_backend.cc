#include "storage/local/local_backend.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "core/error.h"
#include "core/log.h"
#include "os/file.h"

namespace sevenfold::storage {
namespace {

// Calls each(fd of the folder, entry name). False when the folder does not exist.
bool for_each_entry(const std::string& path,
                    const std::function<void(int dir_fd, const char* name)>& each) {
    std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(path.c_str()), ::closedir);
    if (!dir) {
        if (errno == ENOENT) return false;
        throw errno_error("list " + path);
    }
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(dir.get());
        if (entry == nullptr) {
            if (errno != 0) throw errno_error("list " + path);
            return true;
        }
        if (entry->d_name[0] != '.') each(::dirfd(dir.get()), entry->d_name);
    }
}

// With `first_byte` only ids that begin so: load() would not find others here.
bool list_folder(const std::string& path, std::optional<uint8_t> first_byte,
                 std::vector<FileInfo>& found) {
    return for_each_entry(path, [&](int dir_fd, const char* name) {
        auto id = Id::parse(name);
        if (!id || (first_byte && id->bytes[0] != *first_byte)) return;
        struct stat st {};
        if (::fstatat(dir_fd, name, &st, 0) != 0) {
            if (errno == ENOENT) return;  // removed by somebody since readdir
            throw errno_error(fmt::format("list {}: {}", path, name));
        }
        if (S_ISREG(st.st_mode)) found.push_back({*id, static_cast<uint64_t>(st.st_size)});
    });
}

void remove_leftovers(const std::string& path, FileType type) try {
    time_t oldest = std::time(nullptr) - std::chrono::seconds(kLeftoverAge).count();
    for_each_entry(path, [&](int dir_fd, const char* name) {
        struct stat st {};
        if (!is_temporary_name(type, name)) return;
        if (::fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            st.st_mtime < oldest)
            ::unlinkat(dir_fd, name, 0);
    });
} catch (const Error& error) {  // they only take space
    log_debug("leftovers: {}", error.message());
}

// Makes a folder's own name durable.
void sync_parent(const std::string& dir) try {
    os::fsync_dir(os::parent_dir(dir));
} catch (const Error& error) {
    // A folder above the repository may be open to writing and not to reading.
    if (error.kind() != ErrorKind::permission) throw;
}

Error with_disk_hint(const Error& error) {
    if (error.kind() == ErrorKind::no_space)
        return error.with_hint("Free space on this disk, or forget and prune old snapshots.");
    if (error.kind() == ErrorKind::permission)
        return error.with_hint("Check the owner and the modes of the repository's folder.");
    return error;
}

}  // namespace

LocalBackend::LocalBackend(std::string path) : root_(std::move(path)) {
    while (root_.size() > 1 && root_.back() == '/') root_.pop_back();
    struct stat st {};
    if (::stat(path_of({FileType::config}).c_str(), &st) == 0 && (st.st_mode & S_IRGRP) != 0) {
        file_mode_ = 0440;
        dir_mode_ = 0770;
    }
}

std::string LocalBackend::dir_of(const FileName& name) const {
    if (name.type == FileType::config) return root_;
    if (name.type == FileType::pack) return fmt::format("{}/data/{:02x}", root_, name.id.bytes[0]);
    return fmt::format("{}/{}", root_, folder(name.type));
}

std::string LocalBackend::path_of(const FileName& name) const {
    if (name.type == FileType::config) return root_ + "/config";
    return dir_of(name) + "/" + name.id.hex();
}

void LocalBackend::create() try {
    if (os::path_exists(path_of({FileType::config})))
        throw Error(ErrorKind::exists, root_ + ": a repository is there already",
                    "Use it as it is, or choose another folder.");
    std::vector<std::string> made = os::make_dirs(root_, dir_mode_);
    for (FileType type : kListedTypes)
        os::make_dirs(fmt::format("{}/{}", root_, folder(type)), dir_mode_);
    for (int i = 0; i < 256; ++i) os::make_dirs(fmt::format("{}/data/{:02x}", root_, i), dir_mode_);
    os::fsync_dir(root_ + "/data");
    os::fsync_dir(root_);
    sync_parent(root_);  // also when it was there: a run that was killed may have made it
    for (const std::string& dir : made)
        if (dir != root_) sync_parent(dir);
} catch (const Error& error) {
    throw error.hint().empty() ? with_disk_hint(error) : error;
}

// Makes data/ and data/xx or another type's folder, but never the root: a disk that is not mounted
// must not be filled behind its mount point.
void LocalBackend::make_missing_dirs(const FileName& name) const {
    struct stat st {};
    if (::stat(root_.c_str(), &st) != 0)
        throw errno_error("open " + root_)
            .with_hint("Is the disk mounted? Otherwise make the repository first.");
    std::string dir = dir_of(name);
    if (name.type == FileType::pack && ::mkdir((root_ + "/data").c_str(), dir_mode_) == 0)
        os::fsync_dir(root_);
    if (::mkdir(dir.c_str(), dir_mode_) != 0 && errno != EEXIST)
        throw errno_error("make folder " + dir);
    os::fsync_dir(os::parent_dir(dir));
}

std::unique_ptr<os::AtomicFile> LocalBackend::begin_store(const FileName& name) {
    if (stored_into_.first_time(name)) remove_leftovers(dir_of(name), name.type);
    std::string path = path_of(name);
    try {
        return std::make_unique<os::AtomicFile>(path);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::not_found) throw;
        make_missing_dirs(name);
        return std::make_unique<os::AtomicFile>(path);
    }
}

void LocalBackend::store(const FileName& name, ByteView body) try {
    auto file = begin_store(name);
    file->preallocate(body.size());
    file->write(body);
    file->commit(file_mode_);
} catch (const Error& error) {
    throw error.hint().empty() ? with_disk_hint(error) : error;
}

Bytes LocalBackend::load(const FileName& name, uint64_t offset, size_t length) {
    std::string path = path_of(name);
    os::UniqueFd fd = os::open_file(path, O_RDONLY);
    struct stat st {};
    if (::fstat(fd.get(), &st) != 0) throw errno_error("stat " + path);
    uint64_t file_size = static_cast<uint64_t>(st.st_size);
    // Checked before the allocation, so that a damaged index cannot ask for terabytes of memory.
    if (offset > file_size || length > file_size - offset)
        throw Error(ErrorKind::io, fmt::format("{}: short read: {} bytes at {}, the file has {}",
                                               path, length, offset, file_size));
    Bytes out(length);
    if (os::pread_all(fd.get(), out, offset, path) != length)
        throw Error(ErrorKind::io, path + ": short read: the file shrank");
    return out;
}

uint64_t LocalBackend::size(const FileName& name) {
    std::string path = path_of(name);
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0) throw errno_error("stat " + path);
    return static_cast<uint64_t>(st.st_size);
}

void LocalBackend::list(FileType type, const std::function<void(const FileInfo&)>& each) {
    std::vector<FileInfo> found;
    std::string top = fmt::format("{}/{}", root_, folder(type));
    bool present = true;
    if (type == FileType::pack) {
        std::vector<uint8_t> dirs;
        present = for_each_entry(top, [&](int, const char* name) {
            if (auto byte = pack_folder(name)) dirs.push_back(*byte);
        });
        for (uint8_t byte : dirs) list_folder(fmt::format("{}/{:02x}", top, byte), byte, found);
    } else if (type != FileType::config) {
        present = list_folder(top, std::nullopt, found);
    }
    struct stat st {};
    if (!present && ::stat(root_.c_str(), &st) != 0) throw errno_error("list " + root_);
    for (const FileInfo& info : found) each(info);
}

void LocalBackend::remove(const FileName& name) {
    std::string path = path_of(name);
    if (::unlink(path.c_str()) != 0) throw with_disk_hint(errno_error("remove " + path));
    if (name.type != FileType::pack && name.type != FileType::lock) os::fsync_dir(dir_of(name));
}

std::optional<uint64_t> LocalBackend::free_space() {
    struct statvfs st {};
    if (::statvfs(root_.c_str(), &st) != 0) throw errno_error("free space of " + root_);
    return static_cast<uint64_t>(st.f_bavail) * st.f_frsize;
}

}  // namespace sevenfold::storage
