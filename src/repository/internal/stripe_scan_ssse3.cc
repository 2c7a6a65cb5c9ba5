// SSSE3 belongs to the baseline that everything is compiled for.
#include <immintrin.h>

#include "repository/internal/stripe_scan.h"

#define SCAN_TARGET
#define OPERATION inline __attribute__((always_inline))

namespace sevenfold::repository::internal {
namespace {

using V = __m128i;

OPERATION V broadcast16(const uint8_t* p) {
    return _mm_load_si128(reinterpret_cast<const __m128i*>(p));
}
OPERATION V zero() { return _mm_setzero_si128(); }
OPERATION V splat(int byte) { return _mm_set1_epi8(static_cast<char>(byte)); }
OPERATION V shuffle(V table, V index) { return _mm_shuffle_epi8(table, index); }
OPERATION V xor_(V a, V b) { return _mm_xor_si128(a, b); }
OPERATION V and_(V a, V b) { return _mm_and_si128(a, b); }
OPERATION V or_(V a, V b) { return _mm_or_si128(a, b); }
template <int N>
OPERATION V shift_right(V a) {
    return _mm_srli_epi16(a, N);
}
template <int N>
OPERATION V shift_left(V a) {
    return _mm_slli_epi16(a, N);
}
OPERATION uint32_t zero_bytes(V a) {
    return static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(a, zero())));
}
OPERATION V unpack_low(V a, V b) { return _mm_unpacklo_epi8(a, b); }
OPERATION V unpack_high(V a, V b) { return _mm_unpackhi_epi8(a, b); }
OPERATION V load_row(const uint8_t* column, size_t stride, size_t row) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(column + row * stride));
}

#include "repository/internal/stripe_scan.inc"

static_assert(sizeof(V) == kSsse3Lanes);

}  // namespace

size_t scan_stripes_ssse3(const StripeTables& tables, const uint8_t* first, size_t stride,
                          size_t blocks) {
    return scan_stripes(tables, first, stride, blocks);
}

}  // namespace sevenfold::repository::internal
