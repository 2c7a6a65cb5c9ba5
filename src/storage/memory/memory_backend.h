// A repository in memory, for tests and simulations.
#pragma once

#include <map>
#include <mutex>

#include "storage/backend.h"

namespace sevenfold::storage {

class MemoryBackend : public Backend {
  public:
    // All files; the id of config is zero.
    using Files = std::map<std::pair<FileType, Id>, Bytes>;

    MemoryBackend() = default;
    explicit MemoryBackend(Files files) : files_(std::move(files)) {}

    std::string location() const override { return "memory:"; }
    Capabilities capabilities() const override { return {.connections = 4}; }
    void create() override;
    void store(const FileName& name, ByteView body) override;
    Bytes load(const FileName& name, uint64_t offset, size_t length) override;
    uint64_t size(const FileName& name) override;
    void list(FileType type, const std::function<void(const FileInfo&)>& each) override;
    void remove(const FileName& name) override;

    // A copy of everything, and replacing everything: for taking and restoring states.
    Files files() const;
    void set_files(Files files);

  private:
    mutable std::mutex mutex_;
    Files files_;
};

}  // namespace sevenfold::storage
