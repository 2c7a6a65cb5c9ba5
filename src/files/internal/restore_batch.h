// A batch of a restore: what the planner found and the writer makes true.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "repository/blob.h"
#include "repository/node.h"

namespace sevenfold::files::internal {

// Paths of that many components fit neither a system call's 4096 bytes nor an object's key.
inline constexpr int kMaxDepth = 2048;

// A folder below the target (path "": the target). Its parents live as long as it does.
struct Folder {
    uint64_t serial = 0;  // for caches: never used twice
    Folder* parent = nullptr;
    std::string name, path;
    repository::Node node;  // its metadata; not for the target itself
    bool made = false;      // wanted, and made or shared (in a dry run: would be)
    bool exists = false;    // it is there, and a folder
    bool fresh = false;     // made by us: holds nothing that we did not put there
    bool failed = false;    // cannot be made; reported
};

inline std::string join(const std::string& folder, const std::string& name) {
    return folder.empty() ? name : folder + "/" + name;
}

// One chunk of one file and where it lies.
struct Placement {
    Id blob;
    uint64_t file_offset = 0;
    uint32_t file = 0;    // in Batch::files
    uint32_t pack = 0;    // in Batch::packs; kNoPack: not in the index
    uint32_t offset = 0;  // in the pack
    uint32_t length = 0;  // of the envelope
    uint32_t uncompressed_length = 0;
    uint32_t size = 0;   // of the plaintext
    bool needed = true;  // must be fetched and written
    static constexpr uint32_t kNoPack = UINT32_MAX;

    repository::PackedBlob packed() const {
        return {{repository::BlobType::data, blob}, offset, length, uncompressed_length};
    }
};

enum class FileAction {
    create,  // there is nothing of that name, or it is removed first
    modify,  // a regular file is there: compare, then write what differs
    trust,   // the same, but its content is taken as right
};

struct FileEntry {
    Folder* folder = nullptr;
    repository::Node node;  // its content is moved into placements
    uint64_t size = 0;
    uint32_t first_placement = 0, placement_count = 0;
    FileAction action = FileAction::create;
    bool resized = false;    // the existing file had another length, and has the right one now
    bool clear_way = false;  // something of that name is there and must go first

    std::atomic<uint32_t> open_pieces{0};     // chunks still to be written
    std::atomic<uint32_t> damaged_pieces{0};  // chunks that could not be read
    std::atomic<bool> failed{false};          // reported; nothing more is done to it
    bool opened = false;                      // guarded by the cache of open files

    std::string path() const { return join(folder->path, node.name); }
};

// A further name of a file (or link, fifo) that an earlier entry makes.
struct PendingLink {
    Folder* folder = nullptr;
    std::string name;
    std::string primary;  // path inside the target
    Time mtime;
};

struct Batch {
    std::deque<FileEntry> files;
    std::vector<Placement> placements;  // in order of files and their chunks
    std::vector<Id> packs;              // in order of first use
    std::vector<PendingLink> links;
    // Left by the walk: after this batch nothing in them changes any more. Children first.
    std::vector<std::unique_ptr<Folder>> finished;
};

}  // namespace sevenfold::files::internal
