// What a file system keeps beside a file's content: owner, mode, times, extended attributes. POSIX
// ACLs are the attributes system.posix_acl_access and system.posix_acl_default, capabilities are
// security.capability.
//
// Nothing here follows a symbolic link in the last component, changes the working directory or
// depends on it (unless dirfd is AT_FDCWD). Everything may be called from any thread.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/error.h"

namespace sevenfold::os {

struct Xattr {
    std::string name;
    Bytes value;
    bool operator==(const Xattr&) const = default;
};

// How attributes are reached without following links: by the *xattrat system calls (Linux 6.13), or
// through /proc/self/fd of an O_PATH descriptor. `best` asks the kernel once.
enum class XattrAccess { best, syscalls, proc };
XattrAccess best_xattr_access();

// The attributes of `name` in dirfd, in the order in which the file system lists them. One system
// call (below 1 µs) when there are none. Attributes that cannot be read are left out and added to
// `problems`, as is a list that cannot be read; a file system without attributes has none.
std::vector<Xattr> read_xattrs(int dirfd, const char* name, std::vector<Error>& problems,
                               XattrAccess access = XattrAccess::best);
// Throw errno_error naming the attribute.
void set_xattr(int dirfd, const char* name, const std::string& attribute, ByteView value,
               XattrAccess access = XattrAccess::best);
void remove_xattr(int dirfd, const char* name, const std::string& attribute,
                  XattrAccess access = XattrAccess::best);

struct XattrView {
    const std::string& name;
    ByteView value;
};

// What apply_metadata() makes true of an entry.
struct Metadata {
    uid_t uid = 0;
    gid_t gid = 0;
    mode_t mode = 0;  // 07777; not used for symbolic links
    timespec atime{}, mtime{};
    std::vector<XattrView> xattrs;
};

// Sets owner, attributes, mode and times of `name` in dirfd (of `fd` instead where it is not -1; it
// must be open for reading or writing, not O_PATH). `what` names the entry in problems; `current`
// is its stat, so that only what differs is changed. Attributes that the entry has beyond those
// wanted are removed, but for security labels that the system gives (security.* except
// capability).
//
// Every step is tried; what fails is added to `problems`. An ordinary user cannot give files away:
// that is no problem, but setuid and setgid are then left out, for they would lend out the rights
// of somebody else. Neither are attributes that only root may set, or security labels of a system
// that this one does not run.
struct EntryRef {
    int dirfd = -1;
    const char* name = "";
    int fd = -1;
    std::string_view what;
};
void apply_metadata(const EntryRef& entry, const struct stat& current, const Metadata& wanted,
                    std::vector<Error>& problems);

}  // namespace sevenfold::os
