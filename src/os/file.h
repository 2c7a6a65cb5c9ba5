// Files: descriptors that close themselves, reads and writes that finish, and replacing a file so
// that a crash leaves the old or the new one.
//
// Every function retries EINTR, opens with O_CLOEXEC and throws errno_error naming the path (or
// `what`, the name that messages use for a descriptor). All are safe to call from any thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/bytes.h"

namespace sevenfold::os {

// Owns a file descriptor; -1 is none.
class UniqueFd {
  public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        if (this != &other) reset(std::exchange(other.fd_, -1));
        return *this;
    }
    ~UniqueFd() { reset(); }

    int get() const { return fd_; }
    bool valid() const { return fd_ >= 0; }
    int release() { return std::exchange(fd_, -1); }
    void reset(int fd = -1);

  private:
    int fd_ = -1;
};

UniqueFd open_file(const std::string& path, int flags, mode_t mode = 0);

// Fills `out` from `offset`; returns how much there was (less than out.size() only at end of file).
size_t pread_all(int fd, MutableByteView out, uint64_t offset, std::string_view what);
void pwrite_all(int fd, ByteView data, uint64_t offset, std::string_view what);
void write_all(int fd, ByteView data, std::string_view what);
// One read(); 0 at the end.
size_t read_some(int fd, MutableByteView out, std::string_view what);

// The whole file; Error{corrupt} when it is larger than `limit`. Works for files without a size
// (pipes, /proc) too.
Bytes read_file(const std::string& path, uint64_t limit = UINT64_MAX);

// fsync. A file system that cannot sync (EINVAL, ENOTSUP on network mounts) is not an error.
void sync_fd(int fd, std::string_view what);
// Makes the names in a folder durable.
void fsync_dir(const std::string& path);

// The folder of a path: "/a" of "/a/b", "/" of "/b", "." of "b".
std::string parent_dir(const std::string& path);
// mkdir -p; folders that exist are fine. New folders get `mode` less the umask. Returns the folders
// it made, outermost first; their names are durable after fsync_dir of their parents.
std::vector<std::string> make_dirs(const std::string& path, mode_t mode = 0700);
bool path_exists(const std::string& path);

// A new file that takes the place of `path` in one step. Until commit() it is "<path>-tmp-<random>"
// in the same folder, which the destructor removes; a killed process leaves that name behind.
class AtomicFile {
  public:
    explicit AtomicFile(std::string path);
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    int fd() const { return fd_.get(); }
    // Reserves space so that a full disk shows before anything is written. A file system that
    // cannot reserve is not an error.
    void preallocate(uint64_t size);
    void write(ByteView data);
    // Syncs the file, renames it to its final name, sets the mode exactly (umask aside; file
    // systems without modes are forgiven) and syncs the folder. After an error the final name is
    // untouched, unless it was the folder's sync that failed.
    // With `durable` off nothing is synced: for files that can be had again.
    void commit(mode_t mode, bool durable = true);
    // As commit(), but Error{exists} when there is something under the final name: of several that
    // commit the same name at once, one wins. Durable on return.
    void commit_new(mode_t mode);

  private:
    void finish(mode_t mode, bool durable);

    std::string path_;
    std::string temporary_;
    UniqueFd fd_;
    bool committed_ = false;
};

// AtomicFile in one call; durable on return.
void write_file_atomically(const std::string& path, ByteView data, mode_t mode = 0600);

}  // namespace sevenfold::os
