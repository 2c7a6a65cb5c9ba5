#include "files/internal/restore_target.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/check.h"
#include "os/beneath.h"
#include "os/metadata.h"

namespace sevenfold::files::internal {

using repository::Node;
using repository::NodeType;

namespace {

timespec to_timespec(const Time& time) { return {time.seconds, time.nanoseconds}; }

constexpr const char* kInTheWayHint =
    "Restore to an empty folder, or allow what is not in the snapshot to be deleted.";

std::string read_link(int dirfd, const char* name) {
    std::array<char, 4096> buffer;
    ssize_t size = ::readlinkat(dirfd, name, buffer.data(), buffer.size());
    return size < 0 ? std::string() : std::string(buffer.data(), static_cast<size_t>(size));
}

}  // namespace

Target::Target(const RestoreOptions& options, RestoreReport& report)
    : options_(options), report_(report), euid_(::geteuid()) {
    if (options.dry_run && !os::path_exists(options.target)) return;
    if (!options.dry_run) os::make_dirs(options.target, 0700);
    // The target itself may be a link: the user named it, not the repository.
    root_ = os::open_file(options.target, O_RDONLY | O_DIRECTORY);
}

std::string Target::display(const std::string& path) const {
    return path.empty() ? options_.target : options_.target + "/" + path;
}

Target::FolderFd Target::open(const Folder& folder) {
    {
        std::lock_guard lock(mutex_);
        if (auto it = cached_.find(folder.serial); it != cached_.end()) {
            recent_.splice(recent_.begin(), recent_, it->second);
            return recent_.front().fd;
        }
    }
    os::UniqueFd fd = os::open_beneath(root_.get(), folder.path, O_PATH | O_DIRECTORY);
    if (!fd.valid()) throw errno_error(fmt::format("open folder {}", display(folder.path)));
    auto shared = std::make_shared<os::UniqueFd>(std::move(fd));
    std::lock_guard lock(mutex_);
    if (!cached_.contains(folder.serial)) {
        recent_.push_front({folder.serial, shared});
        cached_[folder.serial] = recent_.begin();
        if (recent_.size() > kOpenFolders) {
            cached_.erase(recent_.back().serial);
            recent_.pop_back();
        }
    }
    return shared;
}

std::optional<struct stat> Target::stat(const Folder& folder, const std::string& name) {
    if (!folder.exists) return std::nullopt;
    FolderFd dir = open(folder);
    struct stat st {};
    if (::fstatat(dir->get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) return st;
    if (errno == ENOENT) return std::nullopt;
    throw errno_error(fmt::format("stat {}", display(join(folder.path, name))));
}

void Target::make_entry(Folder& folder) {
    std::optional<struct stat> st = stat(*folder.parent, folder.name);
    if (st && S_ISDIR(st->st_mode)) {
        folder.exists = true;
        // Our own folder that we may not write to: its mode is set right at the end anyway.
        if (!options_.dry_run && !is_superuser() && st->st_uid == euid_ &&
            (st->st_mode & 0700) != 0700)
            ::fchmodat(open(*folder.parent)->get(), folder.name.c_str(), 0700, AT_SYMLINK_NOFOLLOW);
        return;
    }
    if (st && (options_.overwrite == Overwrite::never || options_.overwrite == Overwrite::if_newer))
        throw Error(ErrorKind::exists, "a folder belongs where something else is",
                    "Restore to an empty folder, or overwrite always.");
    if (options_.dry_run) return;
    if (st) clear_way(*folder.parent, folder.name);
    if (::mkdirat(open(*folder.parent)->get(), folder.name.c_str(), 0700) != 0)
        throw errno_error(fmt::format("make folder {}", display(folder.path)));
    folder.exists = folder.fresh = true;
}

bool Target::make(Folder& folder) {
    if (folder.made) return true;
    if (folder.failed) return false;
    try {
        if (!make(*folder.parent)) {
            folder.failed = true;  // the parent's report stands for it
            return false;
        }
        make_entry(folder);
        folder.made = true;
        ++report_.folders;
        return true;
    } catch (const Error& error) {
        folder.failed = true;
        report_.problem(folder.path, error);
        return false;
    }
}

void Target::clear_way(const Folder& folder, const std::string& name) {
    FolderFd dir = open(folder);
    std::string path = display(join(folder.path, name));
    if (::unlinkat(dir->get(), name.c_str(), 0) == 0 || errno == ENOENT) return;
    if (errno != EISDIR && errno != EPERM) throw errno_error("remove " + path);
    if (::unlinkat(dir->get(), name.c_str(), AT_REMOVEDIR) == 0) return;
    if (errno != ENOTEMPTY && errno != EEXIST) throw errno_error("remove " + path);
    if (!options_.delete_extra)
        throw Error(ErrorKind::exists, path + ": a folder with entries is in the way",
                    kInTheWayHint);
    report_.deleted += os::remove_tree(dir->get(), name.c_str(), path);
}

void Target::make_special(const Folder& folder, const Node& node) {
    FolderFd dir = open(folder);
    const char* name = node.name.c_str();
    std::string path = display(join(folder.path, node.name));
    int result = 0;
    if (!folder.fresh) {
        auto st = stat(folder, node.name);
        bool same_link = st && node.type == NodeType::symlink && S_ISLNK(st->st_mode) &&
                         read_link(dir->get(), name) == node.link_target;
        if (same_link) return apply(folder, node, -1, true);
        if (st) clear_way(folder, node.name);
    }
    if (node.type == NodeType::symlink)
        result = ::symlinkat(node.link_target.c_str(), dir->get(), name);
    else if (node.type == NodeType::fifo)
        result = ::mkfifoat(dir->get(), name, 0600);
    else
        result = ::mknodat(dir->get(), name,
                           (node.type == NodeType::dev ? S_IFBLK : S_IFCHR) | 0600, node.device);
    if (result != 0) throw errno_error("make " + path);
    apply(folder, node, -1, true);
}

void Target::make_hard_link(const PendingLink& link) {
    FolderFd dir = open(*link.folder);
    std::string path = display(join(link.folder->path, link.name));
    std::string parent = os::parent_dir(link.primary);
    os::UniqueFd from =
        os::open_beneath(root_.get(), parent == "." ? "" : parent, O_PATH | O_DIRECTORY);
    std::string from_name = link.primary.substr(link.primary.rfind('/') + 1);
    struct stat primary {};
    if (!from.valid() ||
        ::fstatat(from.get(), from_name.c_str(), &primary, AT_SYMLINK_NOFOLLOW) != 0)
        throw errno_error(fmt::format("link {} to {}", path, link.primary));
    if (auto st = stat(*link.folder, link.name)) {
        if (st->st_dev == primary.st_dev && st->st_ino == primary.st_ino) return;
        clear_way(*link.folder, link.name);
    }
    if (::linkat(from.get(), from_name.c_str(), dir->get(), link.name.c_str(), 0) != 0)
        throw errno_error(fmt::format("link {} to {}", path, link.primary));
}

void Target::delete_extra(const Folder& folder, const std::vector<Node>& keep) {
    if (!folder.exists || folder.fresh) return;
    FolderFd dir = open(folder);
    os::for_each_entry(dir->get(), display(folder.path), [&](const char* name) {
        auto it = std::ranges::lower_bound(keep, std::string_view(name), {},
                                           [](const Node& n) { return std::string_view(n.name); });
        std::string path = join(folder.path, name);
        bool known = it != keep.end() && it->name == name;
        if (known || !options_.select.choose("/" + path).take) return;
        try {
            report_.deleted += options_.dry_run ? os::count_tree(dir->get(), name, display(path))
                                                : os::remove_tree(dir->get(), name, display(path));
            if (options_.on_delete) options_.on_delete(path);
        } catch (const Error& error) {
            report_.problem(path, error);
        }
    });
}

void Target::apply(const Folder& folder, const Node& node, int fd, bool complete) {
    FolderFd dir = fd < 0 ? open(folder) : nullptr;
    std::string path = join(folder.path, node.name);
    struct stat st {};
    int result = fd >= 0 ? ::fstat(fd, &st)
                         : ::fstatat(dir->get(), node.name.c_str(), &st, AT_SYMLINK_NOFOLLOW);
    if (result != 0) throw errno_error("stat " + display(path));
    os::Metadata wanted{.uid = node.uid,
                        .gid = node.gid,
                        .mode = repository::permission_bits(node.mode),
                        .atime = to_timespec(node.atime),
                        .mtime = to_timespec(node.mtime)};
    if (!complete) wanted.mtime.tv_nsec = UTIME_OMIT;
    for (const repository::ExtendedAttribute& x : node.extended_attributes)
        wanted.xattrs.push_back({x.name, x.value});
    std::vector<Error> problems;
    os::apply_metadata(
        {.dirfd = dir ? dir->get() : -1, .name = node.name.c_str(), .fd = fd, .what = path}, st,
        wanted, problems);
    for (const Error& error : problems) report_.problem(path, error);
}

void Target::finish_root(const Node& node) {
    if (!exists() || options_.dry_run) return;
    try {
        os::UniqueFd fd = os::open_file(options_.target, O_RDONLY | O_DIRECTORY);
        apply(Folder{}, node, fd.get(), true);
    } catch (const Error& error) {
        report_.problem(options_.target, error);
    }
}

void Target::finish(Folder& folder) {
    if (!folder.exists || options_.dry_run) return;
    if (options_.overwrite == Overwrite::never && !folder.fresh) return;
    try {
        auto st = stat(*folder.parent, folder.name);
        if (!st || !S_ISDIR(st->st_mode))
            throw Error(ErrorKind::io, display(folder.path) + ": is no longer a folder");
        apply(*folder.parent, folder.node, -1, true);
    } catch (const Error& error) {
        report_.problem(folder.path, error);
    }
}

}  // namespace sevenfold::files::internal
