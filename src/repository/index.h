// What blobs a repository holds and in which pack each lies, in memory: 44 bytes a blob plus 32 a
// pack. Index files are loaded in bulk into one sorted table; blobs stored since lie in a small
// hash table beside it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "repository/blob.h"

namespace sevenfold::repository {

// One pack as an index file lists it.
struct IndexedPack {
    Id pack;
    std::vector<PackedBlob> blobs;
};

// The JSON of an index file (format A.5), without envelope.
std::string encode_index(std::span<const IndexedPack> packs);
// Calls `each` for every pack. Throws Error{corrupt}; unknown fields are skipped.
void decode_index(ByteView json, const std::function<void(IndexedPack&&)>& each);

// Thread-safe: look-ups may run beside add().
class Index {
  public:
    Index();
    ~Index();
    Index(Index&&) noexcept;
    Index& operator=(Index&&) noexcept;

    // Bulk loading: append packs of any number of index files, then freeze() once. Packs and blobs
    // listed twice in the same place count once.
    void append(const IndexedPack& pack);
    void freeze();
    // One pack stored by this process.
    void add(const IndexedPack& pack);

    bool has(const BlobHandle& blob) const;
    std::optional<BlobLocation> find(const BlobHandle& blob) const;
    // Every copy, in different packs.
    std::vector<BlobLocation> find_all(const BlobHandle& blob) const;

    // True when the pack holds trees; such packs are worth a local cache.
    bool is_tree_pack(const Id& pack) const;

    size_t blob_count() const;  // entries, duplicates included
    size_t pack_count() const;
    size_t memory_bytes() const;

    // Every entry, in no order.
    void for_each(const std::function<void(const BlobLocation&)>& each) const;
    // Every pack with all its blobs, by offset. Costs a temporary 8 bytes a blob.
    void for_each_pack(const std::function<void(const IndexedPack&)>& each) const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sevenfold::repository
