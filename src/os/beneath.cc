#include "os/beneath.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

namespace sevenfold::os {
namespace {

constexpr int kAlways = O_CLOEXEC | O_NOFOLLOW;
constexpr int kFolder = O_PATH | O_DIRECTORY | kAlways;
// Deeper trees are not made by anybody who wants to use them; recursion stays small.
constexpr int kMaxDepth = 4000;

int open_once(int root, const char* path, int flags, mode_t mode) {
    open_how how{};
    how.flags = static_cast<uint64_t>(flags | kAlways);
    how.mode = (flags & (O_CREAT | O_TMPFILE)) ? mode : 0;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    for (;;) {
        auto fd = ::syscall(SYS_openat2, root, path, &how, sizeof how);
        // EAGAIN: something was renamed while the kernel checked for "..", which we do not use.
        if (fd >= 0 || (errno != EINTR && errno != EAGAIN)) return static_cast<int>(fd);
    }
}

bool has_openat2() {
    static const bool has = [] {
        UniqueFd fd(open_once(AT_FDCWD, ".", O_PATH | O_DIRECTORY, 0));
        return fd.valid();
    }();
    return has;
}

int open_component(int dir, const std::string& name, int flags, mode_t mode) {
    int fd;
    do fd = ::openat(dir, name.c_str(), flags | kAlways, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

UniqueFd open_by_components(int root, std::string_view path, int flags, mode_t mode) {
    UniqueFd held;
    int dir = root;
    for (;;) {
        size_t slash = path.find('/');
        std::string name(path.substr(0, slash));
        if (name.empty() || name == "..") {
            errno = EXDEV;
            return UniqueFd();
        }
        if (slash == path.npos) return UniqueFd(open_component(dir, name, flags, mode));
        UniqueFd next(open_component(dir, name, kFolder, 0));
        if (!next.valid()) return next;
        held = std::move(next);
        dir = held.get();
        path.remove_prefix(slash + 1);
    }
}

struct CloseDir {
    void operator()(DIR* dir) const { ::closedir(dir); }
};

uint64_t remove_below(int dirfd, const char* name, dev_t device, std::string_view what, int depth) {
    if (::unlinkat(dirfd, name, 0) == 0) return 1;
    // POSIX says EPERM for a folder, Linux EISDIR.
    if (errno != EISDIR && errno != EPERM) throw errno_error(fmt::format("remove {}", what));
    UniqueFd fd(open_component(dirfd, name, O_RDONLY | O_DIRECTORY, 0));
    struct stat st {};
    if (!fd.valid() || ::fstat(fd.get(), &st) != 0)
        throw errno_error(fmt::format("remove {}", what));
    if (st.st_dev != device)
        throw Error(ErrorKind::refused,
                    fmt::format("remove {}: another file system is mounted there", what));
    if (depth > kMaxDepth) throw errno_error(fmt::format("remove {}", what), ENAMETOOLONG);
    uint64_t removed = 0;
    for_each_entry(fd.get(), what, [&](const char* child) {
        removed += remove_below(fd.get(), child, device, what, depth + 1);
    });
    if (::unlinkat(dirfd, name, AT_REMOVEDIR) != 0)
        throw errno_error(fmt::format("remove {}", what));
    return removed + 1;
}

uint64_t count_below(int dirfd, const char* name, dev_t device, std::string_view what, int depth) {
    struct stat st {};
    if (::fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        throw errno_error(fmt::format("stat {}", what));
    if (!S_ISDIR(st.st_mode)) return 1;
    if (st.st_dev != device)
        throw Error(ErrorKind::refused,
                    fmt::format("remove {}: another file system is mounted there", what));
    if (depth > kMaxDepth) throw errno_error(fmt::format("count {}", what), ENAMETOOLONG);
    UniqueFd fd(open_component(dirfd, name, O_RDONLY | O_DIRECTORY, 0));
    if (!fd.valid()) throw errno_error(fmt::format("open {}", what));
    uint64_t entries = 1;
    for_each_entry(fd.get(), what, [&](const char* child) {
        entries += count_below(fd.get(), child, device, what, depth + 1);
    });
    return entries;
}

dev_t device_of(int dirfd, std::string_view what) {
    struct stat st {};
    if (::fstatat(dirfd, "", &st, AT_EMPTY_PATH) != 0)
        throw errno_error(fmt::format("stat {}", what));
    return st.st_dev;
}

}  // namespace

UniqueFd open_beneath(int root, const std::string& path, int flags, mode_t mode,
                      BeneathAccess access) {
    if (path.empty()) return UniqueFd(open_component(root, ".", flags, mode));
    if (access == BeneathAccess::best)
        access = has_openat2() ? BeneathAccess::openat2 : BeneathAccess::components;
    if (access == BeneathAccess::openat2)
        return UniqueFd(open_once(root, path.c_str(), flags, mode));
    return open_by_components(root, path, flags, mode);
}

void for_each_entry(int dirfd, std::string_view what,
                    const std::function<void(const char* name)>& each) {
    // A descriptor of its own: readdir moves the position, and dirfd may be O_PATH.
    UniqueFd fd(open_component(dirfd, ".", O_RDONLY | O_DIRECTORY, 0));
    std::unique_ptr<DIR, CloseDir> dir(fd.valid() ? ::fdopendir(fd.get()) : nullptr);
    if (!dir) throw errno_error(fmt::format("list {}", what));
    (void)fd.release();  // the DIR owns it now
    for (;;) {
        errno = 0;
        dirent* entry = ::readdir(dir.get());
        if (!entry && errno != 0) throw errno_error(fmt::format("list {}", what));
        if (!entry) return;
        std::string_view name = entry->d_name;
        if (name != "." && name != "..") each(entry->d_name);
    }
}

uint64_t remove_tree(int dirfd, const char* name, std::string_view what) {
    return remove_below(dirfd, name, device_of(dirfd, what), what, 0);
}

uint64_t count_tree(int dirfd, const char* name, std::string_view what) {
    return count_below(dirfd, name, device_of(dirfd, what), what, 0);
}

bool is_absent_or_empty(const std::string& path) {
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0) {
        if (errno == ENOENT && ::lstat(path.c_str(), &st) != 0) return true;
        throw errno_error("stat " + path);
    }
    if (!S_ISDIR(st.st_mode)) return false;
    bool empty = true;
    UniqueFd fd = open_file(path, O_RDONLY | O_DIRECTORY);
    for_each_entry(fd.get(), path, [&](const char*) { empty = false; });
    return empty;
}

}  // namespace sevenfold::os
