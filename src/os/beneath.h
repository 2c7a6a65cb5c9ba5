// Work below a folder that nothing can lead out of: no "..", no absolute path and no symbolic link
// is ever followed, whoever put it there.
//
// By openat2(2) with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS (Linux 5.6), or
// one component at a time with O_NOFOLLOW where that call is missing or forbidden. All functions
// may be called from any thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "os/file.h"

namespace sevenfold::os {

enum class BeneathAccess { best, openat2, components };

// Opens `path`, relative to the folder `root`, with `flags` (O_CLOEXEC and O_NOFOLLOW are added; so
// a symbolic link in the last place fails with ELOOP too). An empty path is `root` itself. An
// invalid descriptor and errno on failure: ELOOP or ENOTDIR for links on the way, EXDEV for paths
// that lead out.
UniqueFd open_beneath(int root, const std::string& path, int flags, mode_t mode = 0,
                      BeneathAccess access = BeneathAccess::best);

// Calls each(name) for every entry of the opened folder but "." and "..", in no order. `each` may
// remove the entry. Throws errno_error naming `what`.
void for_each_entry(int dirfd, std::string_view what,
                    const std::function<void(const char* name)>& each);

// Removes an entry and, if it is a folder, everything in it. Never follows a link, and does not go
// into folders of another device (mount points): those are refused. Throws errno_error naming
// `what`; part may be gone by then. Returns how many entries it removed.
uint64_t remove_tree(int dirfd, const char* name, std::string_view what);

// How many entries remove_tree() would remove; throws as it does, and changes nothing.
uint64_t count_tree(int dirfd, const char* name, std::string_view what);

// True when there is no entry at `path`, or it is a folder without entries.
bool is_absent_or_empty(const std::string& path);

}  // namespace sevenfold::os
