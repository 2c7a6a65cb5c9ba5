#include "files/internal/open_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace sevenfold::files::internal {
namespace {

// The mode that a new file begins with. Where nothing but the mode itself is to be set, it is the
// final one, which saves a call for each file; else nobody but us may read it until it is right.
// What is written in several pieces may have to be opened again.
mode_t first_mode(const FileEntry& file) {
    const repository::Node& node = file.node;
    bool ours = node.uid == ::geteuid() && node.gid == ::getegid();
    if (!ours || !node.extended_attributes.empty()) return 0600;
    mode_t mode = repository::permission_bits(node.mode) & 0777;
    return file.placement_count > 1 ? mode | 0200 : mode;
}

}  // namespace

OpenFiles::Handle OpenFiles::open_now(FileEntry& file, bool set_size) {
    Target::FolderFd dir = target_.open(*file.folder);
    const char* name = file.node.name.c_str();
    int flags = O_WRONLY | O_NOFOLLOW | O_CLOEXEC;
    bool create = file.action == FileAction::create && !file.opened;
    if (create && file.clear_way) target_.clear_way(*file.folder, file.node.name);
    if (create) flags |= O_CREAT | O_EXCL;
    int fd;
    do fd = ::openat(dir->get(), name, flags, create ? first_mode(file) : 0);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) throw errno_error("open " + target_.display(file.path()));
    auto handle = std::make_shared<os::UniqueFd>(fd);
    // Holes, and where an existing file ends.
    if (set_size && !file.opened && ::ftruncate(fd, static_cast<off_t>(file.size)) != 0)
        throw errno_error("set size of " + target_.display(file.path()));
    file.opened = true;
    return handle;
}

OpenFiles::Handle OpenFiles::open_once(FileEntry& file) {
    return open_now(file, file.action != FileAction::create || file.placement_count != 1);
}

OpenFiles::Handle OpenFiles::open(FileEntry& file) {
    // Also while it opens: a second chunk of the same file must wait until the file is there.
    std::lock_guard lock(mutex_);
    if (auto it = cached_.find(&file); it != cached_.end()) {
        recent_.splice(recent_.begin(), recent_, it->second);
        return recent_.front().fd;
    }
    Handle fd = open_now(file, true);
    recent_.push_front({&file, fd});
    cached_[&file] = recent_.begin();
    if (recent_.size() > kOpen) {
        cached_.erase(recent_.back().file);
        recent_.pop_back();
    }
    return fd;
}

void OpenFiles::close(const FileEntry& file) {
    std::lock_guard lock(mutex_);
    auto it = cached_.find(&file);
    if (it == cached_.end()) return;
    recent_.erase(it->second);
    cached_.erase(it);
}

}  // namespace sevenfold::files::internal
