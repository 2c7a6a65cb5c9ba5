// The folder that a restore writes to. All paths are relative to it, and every operation goes
// through the descriptor of the entry's folder, opened without following a link (os/beneath.h).
//
// Thread-safe. Holds at most 64 folders open.
#pragma once

#include <sys/stat.h>

#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "files/internal/restore_batch.h"
#include "files/internal/restore_report.h"
#include "os/file.h"

namespace sevenfold::files::internal {

class Target {
  public:
    // Makes the target unless it exists or this is a dry run.
    Target(const RestoreOptions& options, RestoreReport& report);

    bool exists() const { return root_.valid(); }
    int root() const { return root_.get(); }
    std::string display(const std::string& path) const;
    // What the file system gives to entries that we make.
    bool is_superuser() const { return euid_ == 0; }

    using FolderFd = std::shared_ptr<os::UniqueFd>;
    // For operations on its entries. Throws errno_error.
    FolderFd open(const Folder& folder);
    // stat of an entry; nothing when there is none (or no folder yet, in a dry run).
    std::optional<struct stat> stat(const Folder& folder, const std::string& name);

    // Makes the folder and its parents where they are missing. What else is in the way is removed
    // when the options allow; false, and reported once, when it cannot be made.
    bool make(Folder& folder);
    // Applies the metadata of a folder whose content is complete.
    void finish(Folder& folder);

    // Removes what stands where another kind of entry must go. A folder goes only if it is empty or
    // delete_extra is on. Throws.
    void clear_way(const Folder& folder, const std::string& name);
    // Symbolic link, fifo or device. Throws.
    void make_special(const Folder& folder, const repository::Node& node);
    // A further name for an entry made before. Throws.
    void make_hard_link(const PendingLink& link);
    // Removes entries that `keep` does not know.
    void delete_extra(const Folder& folder, const std::vector<repository::Node>& keep);

    // Metadata of an entry, by descriptor where there is one. `complete` is false for a file with
    // damaged parts: its mtime then stays what writing made it, so that it is not trusted later.
    void apply(const Folder& folder, const repository::Node& node, int fd, bool complete);
    // The same for the target itself, when all in it is done.
    void finish_root(const repository::Node& node);

  private:
    struct Cached {
        uint64_t serial;
        FolderFd fd;
    };
    void make_entry(Folder& folder);

    static constexpr size_t kOpenFolders = 64;
    const RestoreOptions& options_;
    RestoreReport& report_;
    os::UniqueFd root_;
    uid_t euid_;
    std::mutex mutex_;
    std::list<Cached> recent_;  // latest first
    std::unordered_map<uint64_t, std::list<Cached>::iterator> cached_;
};

}  // namespace sevenfold::files::internal
