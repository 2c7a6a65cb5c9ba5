#include "repository/chunker.h"

#include <algorithm>
#include <array>

#include "core/check.h"
#include "repository/internal/stripe_scan.h"

namespace sevenfold::repository {
namespace {

using namespace internal;

constexpr int kTopShift = 45;  // the 8 highest of the 53 bits of a fingerprint
constexpr uint64_t kCutMask = (uint64_t{1} << 20) - 1;

// Positions that one stripe scan takes at most. A cut inside makes the rest of the block wasted
// work, the first window of every stripe is an overhead that small blocks pay more often. As an odd
// number of cache lines for each stripe, stripes do not fall into the same cache sets.
constexpr size_t kMaxBlocks = 33;
// Fewer positions than these a lane are quicker one by one.
constexpr size_t kMinPositionsPerLane = 16;

// a·x^bits mod p, for a of degree < 53 and p of degree 53.
uint64_t times_power(uint64_t a, int bits, Polynomial p) {
    for (; bits > 0; --bits) {
        a <<= 1;
        if (a >> 53 & 1) a ^= p;
    }
    return a;
}

}  // namespace

ChunkerPath best_chunker_path() {
    static const bool avx2 = __builtin_cpu_supports("avx2") != 0;
    return avx2 ? ChunkerPath::avx2 : ChunkerPath::ssse3;
}

struct ChunkerTables::Impl {
    Polynomial polynomial;
    // top[b]: b·x^53 mod P, with b at bit 53 so that one XOR also removes what was reduced.
    // old[b]: b·x^512 mod P, which takes a byte out of the window that the new one has shifted.
    std::array<uint64_t, 256> top, old;
    StripeTables stripe_tables;

    uint64_t step(uint64_t digest, uint8_t new_byte, uint8_t old_byte) const {
        return (digest << 8 | new_byte) ^ top[digest >> kTopShift] ^ old[old_byte];
    }
    uint64_t fingerprint(const uint8_t* window) const {
        uint64_t digest = 0;
        for (size_t i = 0; i < kChunkWindow; ++i) digest = step(digest, window[i], 0);
        return digest;
    }
    void make_stripe_tables();
    size_t scan(const uint8_t* data, size_t from, size_t end) const;
    size_t scan_by_stripes(const uint8_t* data, size_t from, size_t end, size_t lanes,
                           StripeScan stripe_scan) const;
};

// Written plane by plane: GCC 12.2 at -O3 drops the stores of a loop that goes over the planes
// innermost, and leaves the tables zero.
void ChunkerTables::Impl::make_stripe_tables() {
    constexpr uint64_t kReduced = (uint64_t{1} << 53) - 1;
    for (size_t j = 0; j < 7; ++j) {
        auto byte = [j](uint64_t image) { return static_cast<uint8_t>(image << 3 >> (8 * j)); };
        auto& plane = stripe_tables.plane[j];
        for (size_t i = 0; i < 16; ++i) {
            plane[StripeTables::top_low][i] = byte(top[i] & kReduced);
            plane[StripeTables::top_high][i] = byte(top[i << 4] & kReduced);
            plane[StripeTables::old_low][i] = byte(old[i]);
            plane[StripeTables::old_high][i] = byte(old[i << 4]);
        }
    }
}

size_t ChunkerTables::Impl::scan(const uint8_t* data, size_t from, size_t end) const {
    if (from >= end) return kNoCut;
    uint64_t digest = fingerprint(data + from - (kChunkWindow - 1));
    for (size_t n = from;;) {
        if ((digest & kCutMask) == 0) return n;
        if (++n == end) return kNoCut;
        digest = step(digest, data[n], data[n - kChunkWindow]);
    }
}

size_t ChunkerTables::Impl::scan_by_stripes(const uint8_t* data, size_t from, size_t end,
                                            size_t lanes, StripeScan stripe_scan) const {
    // The stripes also read the byte before the first window.
    if (from < kChunkWindow && from < end) {
        if (scan(data, from, from + 1) != kNoCut) return from;
        ++from;
    }
    while (from < end && end - from >= lanes * kMinPositionsPerLane) {
        // Stripes of `length` positions at equal distances, the last of which ends where the data
        // do.
        size_t positions = std::min(end - from, lanes * kChunkWindow * kMaxBlocks);
        size_t blocks = (positions + lanes * kChunkWindow - 1) / (lanes * kChunkWindow);
        size_t length = blocks * kChunkWindow;
        CHECK(length <= positions);
        size_t stride = (positions - length) / (lanes - 1);
        size_t at = stripe_scan(stripe_tables, data + from, stride, blocks);
        if (at != kNoCut) return from + at;
        from += (lanes - 1) * stride + length;
    }
    return scan(data, from, end);
}

ChunkerTables::ChunkerTables(Polynomial polynomial) : impl_(std::make_unique<Impl>()) {
    CHECK(degree(polynomial) == 53);
    impl_->polynomial = polynomial;
    for (uint64_t b = 0; b < 256; ++b) {
        impl_->top[b] = times_power(b, 53, polynomial) | b << 53;
        impl_->old[b] = times_power(b, 512, polynomial);
    }
    impl_->make_stripe_tables();
}
ChunkerTables::~ChunkerTables() = default;

Polynomial ChunkerTables::polynomial() const { return impl_->polynomial; }

uint64_t ChunkerTables::fingerprint(ByteView window) const {
    CHECK(window.size() == kChunkWindow);
    return impl_->fingerprint(window.data());
}

std::optional<size_t> ChunkerTables::find_cut(ByteView data, size_t from, ChunkerPath path) const {
    CHECK(from >= kChunkWindow - 1);
    size_t at = kNoCut;
    switch (path) {
        case ChunkerPath::scalar:
            at = impl_->scan(data.data(), from, data.size());
            break;
        case ChunkerPath::ssse3:
            at = impl_->scan_by_stripes(data.data(), from, data.size(), kSsse3Lanes,
                                        scan_stripes_ssse3);
            break;
        case ChunkerPath::avx2:
            at = impl_->scan_by_stripes(data.data(), from, data.size(), kAvx2Lanes,
                                        scan_stripes_avx2);
            break;
    }
    if (at == kNoCut) return std::nullopt;
    return at;
}

Chunker::Chunker(const ChunkerTables& tables, ChunkerPath path) : tables_(tables), path_(path) {}

std::optional<size_t> Chunker::next(ByteView data) {
    CHECK(data.size() >= scanned_);
    // A cut after byte n makes a chunk of n + 1 bytes; nothing before the minimum is looked at.
    ByteView chunk = data.first(std::min(data.size(), kChunkMax));
    size_t from = std::max(scanned_, kChunkMin - 1);
    std::optional<size_t> cut = tables_.find_cut(chunk, from, path_);
    if (!cut && chunk.size() == kChunkMax) cut = kChunkMax - 1;
    scanned_ = cut ? 0 : chunk.size();
    if (!cut) return std::nullopt;
    return *cut + 1;
}

}  // namespace sevenfold::repository
