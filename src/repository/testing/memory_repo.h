// A repository in memory that a test can look into, hook and open several times.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "repository/repository.h"
#include "storage/forwarding_backend.h"
#include "storage/memory/memory_backend.h"

namespace sevenfold::repository::testing {

// What happens at the storage's door. Set before threads use it; called from any thread.
struct Hooks {
    // Before a store takes effect; may wait, or throw what the store shall throw.
    std::function<void(const storage::FileName&, ByteView)> on_store;
    // What a load gives may be changed here.
    std::function<void(const storage::FileName&, Bytes&)> on_loaded;
    unsigned connections = 4;
};

class HookedBackend : public storage::ForwardingBackend {
  public:
    HookedBackend(std::unique_ptr<storage::Backend> inner, Hooks& hooks)
        : ForwardingBackend(std::move(inner)), hooks_(hooks) {}
    storage::Capabilities capabilities() const override;
    void store(const storage::FileName& name, ByteView body) override;
    Bytes load(const storage::FileName& name, uint64_t offset, size_t length) override;
    Bytes load_all(const storage::FileName& name, uint64_t limit) override;

  private:
    Hooks& hooks_;
};

class MemoryRepo {
  public:
    // With a key that is quick to open.
    explicit MemoryRepo(CreateOptions options = {});

    static Secret password() { return Secret("only for tests"); }
    // The polynomial that all of these share, so that one read can feed several.
    static Polynomial polynomial();
    // The backend to `files` through `hooks`; any number of them at once.
    std::unique_ptr<storage::Backend> backend();
    // Opened anew, with its index loaded.
    std::unique_ptr<Repository> open();
    std::vector<Id> ids(storage::FileType type) const;
    // Flips a bit of a stored file.
    void damage(storage::FileType type, const Id& id, size_t at);

    storage::MemoryBackend files;
    Hooks hooks;
};

}  // namespace sevenfold::repository::testing
