// A place where a repository's files lie. This is all that the repository engine knows of storage.
//
// Files are immutable once stored; the only changes are store and remove. Every method may be
// called from several threads at once. Every failure is an Error: not_found, permission, no_space
// are final; io, network, timeout may be tried again (is_temporary). Backends do not retry:
// RetryBackend does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/id.h"

namespace sevenfold::storage {

// The kinds of files in a repository. `config` is a single file and has no name.
enum class FileType { config, key, lock, snapshot, index, pack };
inline constexpr FileType kListedTypes[] = {FileType::key, FileType::lock, FileType::snapshot,
                                            FileType::index, FileType::pack};
// "config", "keys", "locks", "snapshots", "index", "data": the folder's name in the repository.
std::string_view folder(FileType type);

struct FileName {
    FileType type = FileType::config;
    Id id{};  // ignored for config
    // Of a pack, where the caller knows: a hint for store(), and no part of the name.
    bool holds_trees = false;

    bool operator==(const FileName& other) const { return type == other.type && id == other.id; }
    // "snapshots/0123…" or "config", for messages.
    std::string display() const;
};

struct FileInfo {
    Id id;
    uint64_t size;
};

// What a backend can and cannot do; callers ask this, never what kind it is.
struct Capabilities {
    unsigned connections = 2;    // useful number of operations at once
    bool checks_hash = false;    // refuses a store whose bytes do not hash to the name
    bool atomic_replace = true;  // store of an existing name never shows a mixture
    bool remote = false;         // worth a local cache, range reads worth coalescing
};

class Versions;

class Backend {
  public:
    virtual ~Backend() = default;

    // The URL without credentials, for messages.
    virtual std::string location() const = 0;
    virtual Capabilities capabilities() const { return {}; }

    // Makes the empty layout. Throws Error{exists} when a config is already there; existing empty
    // folders are fine.
    virtual void create() = 0;

    // Stores a whole file; `body` stays valid and unchanged during the call, which may send it more
    // than once. On return the file is durable (fsync of file and folder, or the protocol's
    // equivalent) and visible under its name in full. After an error it may or may not be there,
    // but never in part under its final name where atomic_replace holds.
    virtual void store(const FileName& name, ByteView body) = 0;

    // Reads `length` bytes from `offset`; fewer bytes in the file are an Error{io} ("short read").
    // not_found when there is no such file.
    virtual Bytes load(const FileName& name, uint64_t offset, size_t length) = 0;
    // The whole file; with `limit`, Error{corrupt} when it is larger.
    virtual Bytes load_all(const FileName& name, uint64_t limit = UINT64_MAX);

    // Size in bytes; not_found when there is no such file.
    virtual uint64_t size(const FileName& name) = 0;
    bool exists(const FileName& name);

    // Calls `each` for every file of a type, in no order; names that are not 64 hex digits are
    // skipped. All or an error: a listing that breaks off is never taken as complete. A missing
    // folder is an empty listing. `each` runs on the caller's thread.
    virtual void list(FileType type, const std::function<void(const FileInfo&)>& each) = 0;
    std::vector<FileInfo> list_all(FileType type);

    // Removes a file; removing a missing one throws not_found.
    virtual void remove(const FileName& name) = 0;

    // Free bytes, where the backend can tell.
    virtual std::optional<uint64_t> free_space() { return std::nullopt; }

    // Earlier versions of files and their locks (versions.h), where the backend knows of such
    // things, else null. As thread-safe as the backend, and gone with it.
    virtual Versions* versions() { return nullptr; }
};

}  // namespace sevenfold::storage
