#include "os/metadata.h"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "os/file.h"

namespace sevenfold::os {
namespace {

// Linux 6.13, newer than the headers we build with (include/uapi/linux/xattr.h).
constexpr long kSetxattrat = 463, kGetxattrat = 464, kListxattrat = 465, kRemovexattrat = 466;
struct alignas(8) XattrArgs {
    uint64_t value;
    uint32_t size;
    uint32_t flags;
};

constexpr size_t kXattrLimit = 64 << 10;  // of a value and of the list of names (limits.h)

// One entry whose attributes are wanted, reached in one of the two ways.
class XattrEntry {
  public:
    XattrEntry(int dirfd, const char* name, XattrAccess access) : dirfd_(dirfd), name_(name) {
        if (access == XattrAccess::best) access = best_xattr_access();
        if (access == XattrAccess::syscalls) return;
        path_fd_.reset(::openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
        if (!path_fd_.valid()) throw errno_error(fmt::format("open {}", name));
        proc_path_ = fmt::format("/proc/self/fd/{}", path_fd_.get());
    }

    ssize_t list(char* out, size_t size) const {
        if (by_proc()) return ::listxattr(proc_path_.c_str(), out, size);
        return ::syscall(kListxattrat, dirfd_, name_, AT_SYMLINK_NOFOLLOW, out, size);
    }
    ssize_t get(const char* attribute, uint8_t* out, size_t size) const {
        if (by_proc()) return ::getxattr(proc_path_.c_str(), attribute, out, size);
        XattrArgs args{reinterpret_cast<uint64_t>(out), static_cast<uint32_t>(size), 0};
        return ::syscall(kGetxattrat, dirfd_, name_, AT_SYMLINK_NOFOLLOW, attribute, &args,
                         sizeof args);
    }
    int set(const char* attribute, ByteView value) const {
        if (by_proc())
            return ::setxattr(proc_path_.c_str(), attribute, value.data(), value.size(), 0);
        XattrArgs args{reinterpret_cast<uint64_t>(value.data()),
                       static_cast<uint32_t>(value.size()), 0};
        return static_cast<int>(::syscall(kSetxattrat, dirfd_, name_, AT_SYMLINK_NOFOLLOW,
                                          attribute, &args, sizeof args));
    }
    int remove(const char* attribute) const {
        if (by_proc()) return ::removexattr(proc_path_.c_str(), attribute);
        return static_cast<int>(
            ::syscall(kRemovexattrat, dirfd_, name_, AT_SYMLINK_NOFOLLOW, attribute));
    }

  private:
    bool by_proc() const { return path_fd_.valid(); }
    int dirfd_;
    const char* name_;
    UniqueFd path_fd_;
    std::string proc_path_;
};

// The same for an open descriptor.
struct XattrDescriptor {
    int fd;
    ssize_t list(char* out, size_t size) const { return ::flistxattr(fd, out, size); }
    ssize_t get(const char* attribute, uint8_t* out, size_t size) const {
        return ::fgetxattr(fd, attribute, out, size);
    }
    int set(const char* attribute, ByteView value) const {
        return ::fsetxattr(fd, attribute, value.data(), value.size(), 0);
    }
    int remove(const char* attribute) const { return ::fremovexattr(fd, attribute); }
};

bool means_no_xattrs(int failure) { return failure == ENOTSUP || failure == ENOSYS; }

// Calls each(name) for every attribute; false with errno when the list cannot be read.
template <class Entry, class Each>
bool for_each_name(const Entry& entry, Each each) {
    std::array<char, 1024> small;
    std::vector<char> large;
    char* names = small.data();
    ssize_t size = entry.list(names, small.size());
    if (size < 0 && errno == ERANGE) {
        large.resize(kXattrLimit);
        names = large.data();
        size = entry.list(names, large.size());
    }
    if (size < 0) return means_no_xattrs(errno);
    // A list that does not end with NUL would break the format; the last name is then cut off.
    for (ssize_t at = 0; at < size;) {
        size_t length = strnlen(names + at, static_cast<size_t>(size - at));
        if (at + static_cast<ssize_t>(length) == size) break;
        each(names + at);
        at += static_cast<ssize_t>(length) + 1;
    }
    return true;
}

// False with errno when the value cannot be read.
template <class Entry>
bool get_value(const Entry& entry, const char* attribute, Bytes& value) {
    value.resize(256);
    ssize_t size = entry.get(attribute, value.data(), value.size());
    if (size < 0 && errno == ERANGE) {
        value.resize(kXattrLimit);
        size = entry.get(attribute, value.data(), value.size());
    }
    if (size < 0) return false;
    value.resize(static_cast<size_t>(size));
    value.shrink_to_fit();
    return true;
}

bool is_system_label(std::string_view attribute) {
    return attribute.starts_with("security.") && attribute != "security.capability";
}

// Makes the entry's attributes those wanted. `what` names the entry.
template <class Entry>
void apply_xattrs(const Entry& entry, std::string_view what, std::span<const XattrView> wanted,
                  std::vector<Error>& problems) {
    std::vector<std::string> present;
    if (!for_each_name(entry, [&](const char* name) { present.emplace_back(name); }))
        problems.push_back(errno_error(fmt::format("list attributes of {}", what)));
    for (const std::string& name : present) {
        bool keep = is_system_label(name) ||
                    std::ranges::any_of(wanted, [&](const XattrView& w) { return w.name == name; });
        if (!keep && entry.remove(name.c_str()) != 0 && errno != ENODATA)
            problems.push_back(errno_error(fmt::format("remove attribute {} of {}", name, what)));
    }
    for (const XattrView& w : wanted) {
        Bytes value;
        if (std::ranges::find(present, w.name) != present.end() &&
            get_value(entry, w.name.c_str(), value) && std::ranges::equal(value, w.value))
            continue;
        // Labels of a system that this one does not run, or that only root may give.
        bool foreign =
            is_system_label(w.name) ||
            (::geteuid() != 0 && !w.name.starts_with("user.") && !w.name.starts_with("system."));
        if (entry.set(w.name.c_str(), w.value) != 0 &&
            !(foreign && (errno == ENOTSUP || errno == EPERM)))
            problems.push_back(errno_error(fmt::format("set attribute {} of {}", w.name, what)));
    }
}

constexpr mode_t kSetIds = S_ISUID | S_ISGID;

// True when the entry now has the wanted owner and group.
bool apply_owner(const EntryRef& e, const struct stat& current, const Metadata& wanted,
                 std::vector<Error>& problems) {
    if (current.st_uid == wanted.uid && current.st_gid == wanted.gid) return true;
    int result = e.fd >= 0
                     ? ::fchown(e.fd, wanted.uid, wanted.gid)
                     : ::fchownat(e.dirfd, e.name, wanted.uid, wanted.gid, AT_SYMLINK_NOFOLLOW);
    if (result == 0) return true;
    if (errno != EPERM || ::geteuid() == 0)
        problems.push_back(errno_error(fmt::format("set owner of {}", e.what)));
    return false;
}

void apply_mode(const EntryRef& e, mode_t mode, std::vector<Error>& problems) {
    // glibc's fchmodat goes through an O_PATH descriptor for AT_SYMLINK_NOFOLLOW.
    int result =
        e.fd >= 0 ? ::fchmod(e.fd, mode) : ::fchmodat(e.dirfd, e.name, mode, AT_SYMLINK_NOFOLLOW);
    if (result != 0) problems.push_back(errno_error(fmt::format("set mode of {}", e.what)));
}

void apply_times(const EntryRef& e, const Metadata& wanted, std::vector<Error>& problems) {
    timespec times[2] = {wanted.atime, wanted.mtime};
    int result = e.fd >= 0 ? ::futimens(e.fd, times)
                           : ::utimensat(e.dirfd, e.name, times, AT_SYMLINK_NOFOLLOW);
    if (result != 0) problems.push_back(errno_error(fmt::format("set times of {}", e.what)));
}

}  // namespace

XattrAccess best_xattr_access() {
    // An empty name is ENOENT where the call exists; a seccomp filter may answer EPERM.
    static const XattrAccess best = [] {
        ::syscall(kListxattrat, AT_FDCWD, "", 0, nullptr, size_t{0});
        return errno == ENOENT ? XattrAccess::syscalls : XattrAccess::proc;
    }();
    return best;
}

std::vector<Xattr> read_xattrs(int dirfd, const char* name, std::vector<Error>& problems,
                               XattrAccess access) {
    std::vector<Xattr> out;
    try {
        XattrEntry entry(dirfd, name, access);
        auto read = [&](const char* attribute) {
            Xattr xattr{attribute, {}};
            if (get_value(entry, attribute, xattr.value))
                out.push_back(std::move(xattr));
            else if (errno != ENODATA)  // removed since it was listed
                problems.push_back(
                    errno_error(fmt::format("read attribute {} of {}", attribute, name)));
        };
        if (!for_each_name(entry, read))
            problems.push_back(errno_error(fmt::format("list attributes of {}", name)));
    } catch (const Error& error) {
        problems.push_back(error);
    }
    return out;
}

void set_xattr(int dirfd, const char* name, const std::string& attribute, ByteView value,
               XattrAccess access) {
    if (XattrEntry(dirfd, name, access).set(attribute.c_str(), value) != 0)
        throw errno_error(fmt::format("set attribute {} of {}", attribute, name));
}

void remove_xattr(int dirfd, const char* name, const std::string& attribute, XattrAccess access) {
    if (XattrEntry(dirfd, name, access).remove(attribute.c_str()) != 0)
        throw errno_error(fmt::format("remove attribute {} of {}", attribute, name));
}

void apply_metadata(const EntryRef& e, const struct stat& current, const Metadata& wanted,
                    std::vector<Error>& problems) {
    // chown takes setuid and capabilities away, so it comes first. Attributes before the mode,
    // because a file that its owner may not write takes no user attributes; an ACL changes the
    // mode's group bits (its mask), which the mode then sets to the same value. Times come last.
    bool owner_is_right = apply_owner(e, current, wanted, problems);
    bool owner_changed =
        owner_is_right && (current.st_uid != wanted.uid || current.st_gid != wanted.gid);
    try {
        if (e.fd >= 0)
            apply_xattrs(XattrDescriptor{e.fd}, e.what, wanted.xattrs, problems);
        else
            apply_xattrs(XattrEntry(e.dirfd, e.name, XattrAccess::best), e.what, wanted.xattrs,
                         problems);
    } catch (const Error& error) {
        problems.push_back(error);
    }
    if (!S_ISLNK(current.st_mode)) {
        mode_t mode = owner_is_right ? wanted.mode : wanted.mode & ~kSetIds;
        bool may_have_changed = owner_changed || !wanted.xattrs.empty();
        if (may_have_changed || (current.st_mode & 07777) != mode) apply_mode(e, mode, problems);
    }
    apply_times(e, wanted, problems);
}

}  // namespace sevenfold::os
