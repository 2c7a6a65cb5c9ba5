// The vector kernels of the chunker: one scan of a block of memory in 16 or 32 stripes, each in one
// byte lane of a vector register. See stripe_scan.inc for how.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sevenfold::repository::internal {

// A fingerprint of 53 bits, shifted left by 3, as 7 bytes. Multiplying it by x^8 moves every byte
// up one place and adds a linear function of the byte that falls out on top; taking the oldest byte
// out of the window adds a linear function of that byte. A linear function of a byte is one table
// of 16 for each half of the byte.
struct StripeTables {
    enum { top_low, top_high, old_low, old_high };
    alignas(64) uint8_t plane[7][4][16];
};

inline constexpr size_t kNoCut = SIZE_MAX;

// Scans `lanes` stripes: stripe i are the positions first + i·stride + [0, 64·blocks). Returns the
// smallest offset from `first` of a byte that ends a window whose fingerprint has its low 20 bits
// zero, or kNoCut. Reads from first - 64 to the end of the last stripe; stripes may overlap.
using StripeScan = size_t (*)(const StripeTables& tables, const uint8_t* first, size_t stride,
                              size_t blocks);

inline constexpr size_t kSsse3Lanes = 16;
size_t scan_stripes_ssse3(const StripeTables& tables, const uint8_t* first, size_t stride,
                          size_t blocks);

// Only on processors with AVX2.
inline constexpr size_t kAvx2Lanes = 32;
size_t scan_stripes_avx2(const StripeTables& tables, const uint8_t* first, size_t stride,
                         size_t blocks);

}  // namespace sevenfold::repository::internal
