// A node's metadata from the file system.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <string>

#include "core/error.h"
#include "os/user_names.h"
#include "repository/node.h"

namespace sevenfold::files::internal {

// Fills type, mode, times, owner, inode, device, links, size from a stat.
void fill_from_stat(repository::Node& node, const struct stat& st, bool with_atime);

// Everything but content and subtree of the entry `name` in dirfd, whose stat is given. Attributes
// that cannot be read are told to `warn` and left out. Throws when a link's target cannot be read.
repository::Node make_node(int dirfd, const std::string& name, const struct stat& st,
                           os::UserNames& names, bool with_atime,
                           const std::function<void(const Error&)>& warn);

// True when the parent's node says that the content cannot have changed.
struct ChangeRules {
    bool ignore_inode = false, ignore_ctime = false;
};
bool is_unchanged(const repository::Node& now, const repository::Node& before,
                  const ChangeRules& rules);

}  // namespace sevenfold::files::internal
