#include <immintrin.h>

#include "repository/internal/stripe_scan.h"

#define SCAN_TARGET __attribute__((target("avx2")))
#define OPERATION SCAN_TARGET inline __attribute__((always_inline))

namespace sevenfold::repository::internal {
namespace {

using V = __m256i;

OPERATION V broadcast16(const uint8_t* p) {
    return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(p)));
}
OPERATION V zero() { return _mm256_setzero_si256(); }
OPERATION V splat(int byte) { return _mm256_set1_epi8(static_cast<char>(byte)); }
OPERATION V shuffle(V table, V index) { return _mm256_shuffle_epi8(table, index); }
OPERATION V xor_(V a, V b) { return _mm256_xor_si256(a, b); }
OPERATION V and_(V a, V b) { return _mm256_and_si256(a, b); }
OPERATION V or_(V a, V b) { return _mm256_or_si256(a, b); }
template <int N>
OPERATION V shift_right(V a) {
    return _mm256_srli_epi16(a, N);
}
template <int N>
OPERATION V shift_left(V a) {
    return _mm256_slli_epi16(a, N);
}
OPERATION uint32_t zero_bytes(V a) {
    return static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, zero())));
}
OPERATION V unpack_low(V a, V b) { return _mm256_unpacklo_epi8(a, b); }
OPERATION V unpack_high(V a, V b) { return _mm256_unpackhi_epi8(a, b); }
// Stripes 16 to 31 go through the same transposition in the upper half of the register.
OPERATION V load_row(const uint8_t* column, size_t stride, size_t row) {
    auto low = reinterpret_cast<const __m128i*>(column + row * stride);
    auto high = reinterpret_cast<const __m128i*>(column + (row + 16) * stride);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)),
                                   _mm_loadu_si128(high), 1);
}

#include "repository/internal/stripe_scan.inc"

static_assert(sizeof(V) == kAvx2Lanes);

}  // namespace

SCAN_TARGET size_t scan_stripes_avx2(const StripeTables& tables, const uint8_t* first,
                                     size_t stride, size_t blocks) {
    return scan_stripes(tables, first, stride, blocks);
}

}  // namespace sevenfold::repository::internal
