// A sorted, immutable table of blobs: 44 bytes an entry, found by the first 16 bits of the id and
// then by binary search. Ids are hashes, so that the 65,536 buckets are even.
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <vector>

#include "repository/blob.h"

namespace sevenfold::repository::internal {

// Where a blob lies whose lengths do not fit 24 bits: kept beside the table. Real ones are few.
struct LongPlace {
    uint32_t offset, length, uncompressed_length;
    auto operator<=>(const LongPlace&) const = default;
};

class BlobTable {
  public:
    BlobTable();
    ~BlobTable();
    BlobTable(BlobTable&& other) noexcept;
    BlobTable& operator=(BlobTable&& other) noexcept;

    // Before sort(): collects. `pack` is the caller's number of the pack, below 2^31.
    void append(const PackedBlob& blob, uint32_t pack);
    // Sorts in place, drops exact repetitions, and packs the entries.
    void sort();

    struct Entry {
        PackedBlob blob;
        uint32_t pack;
    };
    size_t size() const { return size_; }
    size_t memory_bytes() const;
    Entry entry(size_t i) const;
    // The range of entries with this id and type: [first, last).
    std::pair<size_t, size_t> find(const BlobHandle& handle) const;

  private:
    // On the way in an entry carries its whole id; once sorted, the bucket gives the first two
    // bytes.
    static constexpr size_t kStaged = 46, kPacked = 44;
    static constexpr size_t kBuckets = 65536;
    uint8_t* staged(size_t i) { return data_ + i * kStaged; }
    const uint8_t* packed(size_t i) const { return data_ + i * kPacked; }
    size_t bucket_of(size_t i) const;
    void reserve(size_t entries);
    uint32_t number_of(const LongPlace& place);

    uint8_t* data_ = nullptr;  // malloc: realloc of large blocks moves pages and copies nothing
    size_t size_ = 0, capacity_ = 0;
    std::vector<uint32_t> starts_;  // kBuckets + 1 once sorted
    std::vector<LongPlace> long_places_;
    // Until sorted: equal places get one number, so that repetitions stay exact.
    std::map<LongPlace, uint32_t> long_numbers_;
};

}  // namespace sevenfold::repository::internal
