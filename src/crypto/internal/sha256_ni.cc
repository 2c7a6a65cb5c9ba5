#include <cpuid.h>
#include <immintrin.h>

#include "crypto/internal/sha256_kernels.h"

#define SHA_TARGET __attribute__((target("sha,sse4.1,ssse3")))

namespace sevenfold::crypto::internal {
namespace {

// One message: the state in the order the instructions want (ABEF, CDGH), and the last 16 words of
// the message schedule.
struct Lane {
    __m128i abef, cdgh;
    __m128i abef_before, cdgh_before;
    __m128i w[4];
};

SHA_TARGET inline __attribute__((always_inline)) void load_state(Lane& lane,
                                                                 const uint32_t* state) {
    auto words = reinterpret_cast<const __m128i*>(state);
    __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(words), 0xB1);
    __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(words + 1), 0x1B);
    lane.abef = _mm_alignr_epi8(cdab, efgh, 8);
    lane.cdgh = _mm_blend_epi16(efgh, cdab, 0xF0);
}

SHA_TARGET inline __attribute__((always_inline)) void store_state(const Lane& lane,
                                                                  uint32_t* state) {
    auto words = reinterpret_cast<__m128i*>(state);
    __m128i feba = _mm_shuffle_epi32(lane.abef, 0x1B);
    __m128i dchg = _mm_shuffle_epi32(lane.cdgh, 0xB1);
    _mm_storeu_si128(words, _mm_blend_epi16(feba, dchg, 0xF0));
    _mm_storeu_si128(words + 1, _mm_alignr_epi8(dchg, feba, 8));
}

SHA_TARGET inline __attribute__((always_inline)) void start_block(Lane& lane) {
    lane.abef_before = lane.abef;
    lane.cdgh_before = lane.cdgh;
}

SHA_TARGET inline __attribute__((always_inline)) void end_block(Lane& lane) {
    lane.abef = _mm_add_epi32(lane.abef, lane.abef_before);
    lane.cdgh = _mm_add_epi32(lane.cdgh, lane.cdgh_before);
}

// Rounds 4·G to 4·G+3.
template <int G>
SHA_TARGET inline __attribute__((always_inline)) void four_rounds(Lane& lane,
                                                                  const uint8_t* block) {
    __m128i& w = lane.w[G % 4];
    if constexpr (G < 4) {
        const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
        w = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(block) + G),
                             big_endian);
    } else {
        __m128i last = lane.w[(G + 3) % 4];
        __m128i seven_back = _mm_alignr_epi8(last, lane.w[(G + 2) % 4], 4);
        w = _mm_add_epi32(_mm_sha256msg1_epu32(w, lane.w[(G + 1) % 4]), seven_back);
        w = _mm_sha256msg2_epu32(w, last);
    }
    auto constants = reinterpret_cast<const __m128i*>(kSha256Constants);
    __m128i wk = _mm_add_epi32(w, _mm_load_si128(constants + G));
    lane.cdgh = _mm_sha256rnds2_epu32(lane.cdgh, lane.abef, wk);
    lane.abef = _mm_sha256rnds2_epu32(lane.abef, lane.cdgh, _mm_shuffle_epi32(wk, 0x0E));
}

template <int G>
SHA_TARGET inline __attribute__((always_inline)) void all_rounds(Lane& a, const uint8_t* block_a) {
    if constexpr (G < 16) {
        four_rounds<G>(a, block_a);
        all_rounds<G + 1>(a, block_a);
    }
}

// Four rounds of one lane after four of the other: out-of-order execution overlaps them.
template <int G>
SHA_TARGET inline __attribute__((always_inline)) void all_rounds_x2(Lane& a, const uint8_t* block_a,
                                                                    Lane& b,
                                                                    const uint8_t* block_b) {
    if constexpr (G < 16) {
        four_rounds<G>(a, block_a);
        four_rounds<G>(b, block_b);
        all_rounds_x2<G + 1>(a, block_a, b, block_b);
    }
}

}  // namespace

bool sha_ni_available() {
    // CPUID leaf 7, EBX bit 29. SSSE3 and SSE4.1 belong to the baseline we are compiled for.
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ebx >> 29 & 1) != 0;
}

SHA_TARGET void sha256_blocks_ni(uint32_t* state, const uint8_t* data, size_t blocks) {
    Lane lane;
    load_state(lane, state);
    for (; blocks > 0; --blocks, data += 64) {
        start_block(lane);
        all_rounds<0>(lane, data);
        end_block(lane);
    }
    store_state(lane, state);
}

SHA_TARGET void sha256_blocks_ni_x2(uint32_t* state_a, const uint8_t* data_a, uint32_t* state_b,
                                    const uint8_t* data_b, size_t blocks) {
    Lane a, b;
    load_state(a, state_a);
    load_state(b, state_b);
    for (; blocks > 0; --blocks, data_a += 64, data_b += 64) {
        start_block(a);
        start_block(b);
        all_rounds_x2<0>(a, data_a, b, data_b);
        end_block(a);
        end_block(b);
    }
    store_state(a, state_a);
    store_state(b, state_b);
}

}  // namespace sevenfold::crypto::internal
