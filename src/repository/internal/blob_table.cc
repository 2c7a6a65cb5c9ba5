#include "repository/internal/blob_table.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "core/check.h"
#include "core/parallel.h"

namespace sevenfold::repository::internal {
namespace {

// Staged entry: id[32] type_and_pack[4] offset[4] length[3] uncompressed[3]; type and pack
// big-endian, so that entries of one id sort by type. Packed: the same without id[0..2).
// With kLong as length, the offset is an index into long_places_.
constexpr size_t kAfterId = 32;
constexpr uint32_t kTreeBit = 1U << 31;
constexpr uint32_t kLong = 0xffffff;

void put24(uint8_t* p, uint32_t v) {
    p[0] = static_cast<uint8_t>(v);
    p[1] = static_cast<uint8_t>(v >> 8);
    p[2] = static_cast<uint8_t>(v >> 16);
}
uint32_t get24(const uint8_t* p) {
    return p[0] | static_cast<uint32_t>(p[1]) << 8 | static_cast<uint32_t>(p[2]) << 16;
}
void put_be32(uint8_t* p, uint32_t v) { put_le32(p, __builtin_bswap32(v)); }
uint32_t get_be32(const uint8_t* p) { return __builtin_bswap32(get_le32(p)); }

// In-place radix pass (American flag sort) on one byte of the id over [first, last) staged entries.
template <size_t kEntry>
std::array<size_t, 257> flag_sort(uint8_t* data, size_t first, size_t last, size_t byte) {
    std::array<size_t, 257> start{};
    for (size_t i = first; i < last; ++i) ++start[data[i * kEntry + byte] + 1];
    start[0] = first;
    for (size_t b = 1; b <= 256; ++b) start[b] += start[b - 1];
    std::array<size_t, 256> next;
    std::copy_n(start.begin(), 256, next.begin());
    std::array<uint8_t, kEntry> moving;
    for (size_t b = 0; b < 256; ++b) {
        while (next[b] < start[b + 1]) {
            uint8_t* here = data + next[b] * kEntry;
            size_t home = here[byte];
            if (home == b) {
                ++next[b];
                continue;
            }
            uint8_t* there = data + next[home]++ * kEntry;
            std::memcpy(moving.data(), here, kEntry);
            std::memcpy(here, there, kEntry);
            std::memcpy(there, moving.data(), kEntry);
        }
    }
    return start;
}

}  // namespace

BlobTable::BlobTable() = default;
BlobTable::~BlobTable() { std::free(data_); }
BlobTable::BlobTable(BlobTable&& other) noexcept { *this = std::move(other); }
BlobTable& BlobTable::operator=(BlobTable&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    std::swap(starts_, other.starts_);
    std::swap(long_places_, other.long_places_);
    std::swap(long_numbers_, other.long_numbers_);
    return *this;
}

void BlobTable::reserve(size_t entries) {
    auto* grown =
        static_cast<uint8_t*>(std::realloc(data_, std::max<size_t>(1, entries * kStaged)));
    if (!grown) throw std::bad_alloc();
    data_ = grown;
    capacity_ = entries;
}

void BlobTable::append(const PackedBlob& blob, uint32_t pack) {
    CHECK(starts_.empty() && pack < kTreeBit);
    if (size_ == capacity_) reserve(std::max<size_t>(256, capacity_ + capacity_ / 2));
    uint8_t* p = staged(size_++);
    std::memcpy(p, blob.handle.id.bytes.data(), Id::kSize);
    put_be32(p + kAfterId, pack | (blob.handle.type == BlobType::tree ? kTreeBit : 0));
    bool is_long = blob.length >= kLong || blob.uncompressed_length >= kLong;
    LongPlace place{blob.offset, blob.length, blob.uncompressed_length};
    put_le32(p + kAfterId + 4, is_long ? number_of(place) : blob.offset);
    put24(p + kAfterId + 8, is_long ? kLong : blob.length);
    put24(p + kAfterId + 11, is_long ? 0 : blob.uncompressed_length);
}

uint32_t BlobTable::number_of(const LongPlace& place) {
    auto [it, fresh] = long_numbers_.try_emplace(place, static_cast<uint32_t>(long_places_.size()));
    if (fresh) long_places_.push_back(place);
    return it->second;
}

void BlobTable::sort() {
    CHECK(starts_.empty());
    auto first_level = flag_sort<kStaged>(data_, 0, size_, 0);
    parallel_for(256, cpu_count(), [&](size_t b) {
        auto second = flag_sort<kStaged>(data_, first_level[b], first_level[b + 1], 1);
        using Item = std::array<uint8_t, kStaged>;
        for (size_t c = 0; c < 256; ++c)
            std::sort(reinterpret_cast<Item*>(staged(second[c])),
                      reinterpret_cast<Item*>(staged(second[c + 1])));
    });
    starts_.assign(kBuckets + 1, 0);
    size_t kept = 0, bucket = 0;
    std::array<uint8_t, kStaged> previous;
    for (size_t i = 0; i < size_; ++i) {
        std::array<uint8_t, kStaged> item;
        std::memcpy(item.data(), staged(i), kStaged);
        if (i != 0 && item == previous) continue;
        previous = item;
        size_t own = static_cast<size_t>(item[0]) << 8 | item[1];
        while (bucket < own) starts_[++bucket] = static_cast<uint32_t>(kept);
        std::memcpy(data_ + kept * kPacked, item.data() + 2, kPacked);
        ++kept;
    }
    while (bucket < kBuckets) starts_[++bucket] = static_cast<uint32_t>(kept);
    size_ = kept;
    CHECK(size_ < UINT32_MAX);
    if (auto* shrunk =
            static_cast<uint8_t*>(std::realloc(data_, std::max<size_t>(1, size_ * kPacked))))
        data_ = shrunk;
    capacity_ = size_;
    long_numbers_ = {};
}

size_t BlobTable::memory_bytes() const {
    return size_ * kPacked + starts_.size() * sizeof(uint32_t) +
           long_places_.capacity() * sizeof(LongPlace);
}

size_t BlobTable::bucket_of(size_t i) const {
    return static_cast<size_t>(std::upper_bound(starts_.begin(), starts_.end(), i) -
                               starts_.begin()) -
           1;
}

BlobTable::Entry BlobTable::entry(size_t i) const {
    size_t bucket = bucket_of(i);
    const uint8_t* p = packed(i);
    Entry out;
    out.blob.handle.id.bytes[0] = static_cast<uint8_t>(bucket >> 8);
    out.blob.handle.id.bytes[1] = static_cast<uint8_t>(bucket);
    std::memcpy(out.blob.handle.id.bytes.data() + 2, p, 30);
    uint32_t type_and_pack = get_be32(p + 30);
    out.pack = type_and_pack & ~kTreeBit;
    out.blob.handle.type = type_and_pack & kTreeBit ? BlobType::tree : BlobType::data;
    out.blob.offset = get_le32(p + 34);
    out.blob.length = get24(p + 38);
    out.blob.uncompressed_length = get24(p + 41);
    if (out.blob.length == kLong) {
        const LongPlace& place = long_places_.at(out.blob.offset);
        out.blob.offset = place.offset;
        out.blob.length = place.length;
        out.blob.uncompressed_length = place.uncompressed_length;
    }
    return out;
}

std::pair<size_t, size_t> BlobTable::find(const BlobHandle& handle) const {
    if (size_ == 0) return {0, 0};
    const auto& id = handle.id.bytes;
    size_t bucket = static_cast<size_t>(id[0]) << 8 | id[1];
    size_t low = starts_[bucket], high = starts_[bucket + 1];
    auto compare = [&](size_t i) { return std::memcmp(packed(i), id.data() + 2, 30); };
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(middle) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    auto type_at = [&](size_t i) { return packed(i)[30] & 0x80 ? BlobType::tree : BlobType::data; };
    size_t end = starts_[bucket + 1];
    size_t last = low;
    while (last < end && compare(last) == 0) ++last;
    while (low < last && type_at(low) != handle.type) ++low;
    size_t stop = low;
    while (stop < last && type_at(stop) == handle.type) ++stop;
    return {low, stop};
}

}  // namespace sevenfold::repository::internal
