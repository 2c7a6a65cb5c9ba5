// A place as it was at some moment: deletions and overwriting since then have not happened. Whoever
// holds the key for writing, and "deleted" everything with it, has deleted nothing that is not
// still here.
//
// Read-only: store, remove and create are Error{refused}. Locks are an exception: they are kept in
// memory only, since nobody changes the past, so that readers need not know where they read.
// Memory: some 150 bytes for each version listed. Packs are listed by folder, when first needed.
#pragma once

#include <map>
#include <mutex>
#include <optional>

#include "core/error.h"
#include "storage/forwarding_backend.h"
#include "storage/versions.h"

namespace sevenfold::storage {

class PastBackend : public ForwardingBackend {
  public:
    // Throws Error{config} when `inner` has no versions.
    PastBackend(std::unique_ptr<Backend> inner, const Time& as_of);

    void create() override;
    void store(const FileName& name, ByteView body) override;
    Bytes load(const FileName& name, uint64_t offset, size_t length) override;
    Bytes load_all(const FileName& name, uint64_t limit = UINT64_MAX) override;
    uint64_t size(const FileName& name) override;
    void list(FileType type, const std::function<void(const FileInfo&)>& each) override;
    void remove(const FileName& name) override;
    std::optional<uint64_t> free_space() override { return std::nullopt; }
    Versions* versions() override { return nullptr; }

  private:
    using Files = std::map<Id, FileVersion>;
    const Files& files(FileType type, std::optional<uint8_t> pack_folder);
    const FileVersion& find(const FileName& name);
    [[noreturn]] void refuse() const;
    Error missing(const FileName& name) const;

    Versions& versions_;
    const Time as_of_;
    std::mutex mutex_;
    std::map<std::pair<FileType, int>, Files> seen_;  // by type and folder of packs, else -1
    std::map<Id, Bytes> locks_;
};

}  // namespace sevenfold::storage
