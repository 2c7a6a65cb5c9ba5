// Files of a restore that are open for writing while their chunks come in. Thread-safe.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "files/internal/restore_target.h"

namespace sevenfold::files::internal {

class OpenFiles {
  public:
    // At most kOpen files stay open beside those in use.
    static constexpr size_t kOpen = 128;
    using Handle = std::shared_ptr<os::UniqueFd>;

    explicit OpenFiles(Target& target) : target_(target) {}

    // For writing; the first time as the entry's action says: made anew (after what is in the way
    // was removed) or as it is, and with its final size. Throws.
    Handle open(FileEntry& file);
    // The same, but the file is not kept open: for those that are written in one go.
    Handle open_once(FileEntry& file);
    void close(const FileEntry& file);

  private:
    struct Cached {
        const FileEntry* file;
        Handle fd;
    };
    Handle open_now(FileEntry& file, bool set_size);

    Target& target_;
    std::mutex mutex_;
    std::list<Cached> recent_;  // latest first
    std::unordered_map<const FileEntry*, std::list<Cached>::iterator> cached_;
};

}  // namespace sevenfold::files::internal
