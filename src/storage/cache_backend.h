// Keeps copies of a remote place's index and snapshot files, and of the packs that the caller names
// (those that hold trees), in a local folder.
//
// Only what hashes to its name is kept or served: a damaged copy is dropped and fetched again. The
// cache never makes an operation fail; when its folder cannot be used, it does nothing. Several
// processes may share the folder. One folder serves one repository: name it after the repository's
// id.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "storage/forwarding_backend.h"

namespace sevenfold::storage {

struct CacheOptions {
    std::string folder;                      // made when missing
    uint64_t max_bytes = uint64_t{4} << 30;  // of packs; the least recently used go first
};

class CacheBackend : public ForwardingBackend {
  public:
    CacheBackend(std::unique_ptr<Backend> inner, CacheOptions options);

    // Tells which packs to keep as a whole, once a range of them was asked for. Called from any
    // thread that loads; set it before. Without it no pack is kept.
    using Predicate = std::function<bool(const Id& pack)>;
    void set_cacheable_packs(Predicate predicate) { cacheable_ = std::move(predicate); }
    // Drops the copy of a file whose content turned out wrong.
    void forget(const FileName& name);

    struct Counts {
        uint64_t hits = 0, misses = 0;
    };
    Counts counts() const { return {hits_, misses_}; }

    void store(const FileName& name, ByteView body) override;
    Bytes load(const FileName& name, uint64_t offset, size_t length) override;
    Bytes load_all(const FileName& name, uint64_t limit = UINT64_MAX) override;
    // Also drops the copies of files that are gone.
    void list(FileType type, const std::function<void(const FileInfo&)>& each) override;
    void remove(const FileName& name) override;

  private:
    struct Entry {
        uint64_t size = 0;
        uint64_t last_use = 0;  // counts up with every use
        bool verified = false;  // by this process
    };
    bool kept_whole(FileType type) const {
        return type == FileType::index || type == FileType::snapshot;
    }
    std::string path_of(const FileName& name) const;
    std::optional<Bytes> verified_copy(const FileName& name);
    bool keep(const FileName& name, ByteView body);
    bool fetch_pack(const FileName& name);
    void find_packs();
    void make_room(uint64_t bytes);
    bool ready_pack(const FileName& name);

    const CacheOptions options_;
    bool usable_ = false;
    Predicate cacheable_;
    std::atomic<uint64_t> hits_{0}, misses_{0};
    // By the pack's first byte: two threads do not fetch the same pack.
    std::mutex fetching_[16];
    std::mutex mutex_;  // guards what follows
    std::map<Id, Entry> packs_;
    std::set<Id> refused_;  // packs that could not be kept: fetched whole once, then by range
    uint64_t bytes_ = 0, uses_ = 0;
};

}  // namespace sevenfold::storage
