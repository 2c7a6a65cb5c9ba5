#include "files/internal/stat_node.h"

#include <fcntl.h>
#include <unistd.h>

#include "os/metadata.h"

namespace sevenfold::files::internal {
namespace {

using repository::Node;
using repository::NodeType;

Time to_time(const timespec& ts) {
    return in_local_zone({ts.tv_sec, static_cast<int32_t>(ts.tv_nsec), 0});
}

std::string read_link(int dirfd, const std::string& name, off_t size_hint) {
    std::string target(static_cast<size_t>(std::max<off_t>(size_hint, 255)) + 1, '\0');
    for (;;) {
        ssize_t n = readlinkat(dirfd, name.c_str(), target.data(), target.size());
        if (n < 0) throw errno_error("read link");
        if (static_cast<size_t>(n) < target.size()) {
            target.resize(static_cast<size_t>(n));
            return target;
        }
        target.resize(target.size() * 2);
    }
}

}  // namespace

void fill_from_stat(Node& node, const struct stat& st, bool with_atime) {
    node.type = repository::node_type(st.st_mode);
    node.mode = repository::go_mode(st.st_mode);
    node.mtime = to_time(st.st_mtim);
    node.atime = with_atime ? to_time(st.st_atim) : node.mtime;
    node.ctime = to_time(st.st_ctim);
    node.uid = st.st_uid;
    node.gid = st.st_gid;
    node.inode = st.st_ino;
    node.device_id = st.st_dev;
    // The number of names is kept where restic keeps it: its trees, and so their ids, are the same.
    if (!node.is_dir() && node.type != NodeType::fifo) node.links = st.st_nlink;
    if (node.is_file()) node.size = static_cast<uint64_t>(st.st_size);
    if (node.type == NodeType::dev || node.type == NodeType::chardev) node.device = st.st_rdev;
}

Node make_node(int dirfd, const std::string& name, const struct stat& st, os::UserNames& names,
               bool with_atime, const std::function<void(const Error&)>& warn) {
    Node node;
    node.name = name;
    fill_from_stat(node, st, with_atime);
    node.user = names.user_name(st.st_uid);
    node.group = names.group_name(st.st_gid);
    if (node.type == NodeType::symlink) node.link_target = read_link(dirfd, name, st.st_size);
    std::vector<Error> problems;
    for (os::Xattr& attribute : os::read_xattrs(dirfd, name.c_str(), problems))
        node.extended_attributes.push_back({std::move(attribute.name), std::move(attribute.value)});
    for (const Error& problem : problems) warn(problem);
    return node;
}

bool is_unchanged(const Node& now, const Node& before, const ChangeRules& rules) {
    return before.type == now.type && before.size == now.size && before.mtime == now.mtime &&
           (rules.ignore_ctime || before.ctime == now.ctime) &&
           (rules.ignore_inode || before.inode == now.inode);
}

}  // namespace sevenfold::files::internal
