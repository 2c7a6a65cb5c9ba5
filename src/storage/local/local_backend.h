// A repository in a folder of this machine, laid out as restic's local backend does: config, keys/,
// locks/, snapshots/, index/, data/<2 hex>/.
//
// Durability: store() returns after fsync of the file and of its folder. remove() of keys,
// snapshots and index files is durable too; of packs and locks it is not synced, because a pack or
// lock that comes back after a power cut does no harm while an index naming removed packs would.
// Files get the modes 0400 and folders 0700; when config is readable by its group, 0440 and 0770.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "os/file.h"
#include "storage/backend.h"
#include "storage/layout.h"

namespace sevenfold::storage {

class LocalBackend : public Backend {
  public:
    // The folder need not exist yet. Nothing is touched before the first operation.
    explicit LocalBackend(std::string path);

    std::string location() const override { return root_; }
    Capabilities capabilities() const override { return {.connections = 2}; }
    // Makes the folder (with parents) and the layout in it.
    void create() override;
    // The first store into a folder removes temporary files there that killed runs left more than a
    // day ago.
    void store(const FileName& name, ByteView body) override;
    Bytes load(const FileName& name, uint64_t offset, size_t length) override;
    uint64_t size(const FileName& name) override;
    // not_found when the repository's own folder is missing: an unmounted disk is not an empty one.
    void list(FileType type, const std::function<void(const FileInfo&)>& each) override;
    void remove(const FileName& name) override;
    std::optional<uint64_t> free_space() override;

    // Where a file lies.
    std::string path_of(const FileName& name) const;
    // For a body that comes in pieces: the new file that store() would write to, in a folder made
    // if it is missing. To be ended with its commit_new(file_mode()).
    std::unique_ptr<os::AtomicFile> begin_store(const FileName& name);
    mode_t file_mode() const { return file_mode_; }

  private:
    std::string dir_of(const FileName& name) const;
    void make_missing_dirs(const FileName& name) const;

    std::string root_;
    StoredInto stored_into_;
    mode_t file_mode_ = 0400;
    mode_t dir_mode_ = 0700;
};

}  // namespace sevenfold::storage
