// The compression function of SHA-256 (FIPS 180-4 section 6.2.2), portable and with the SHA
// extensions of x86. All take whole blocks of 64 bytes and update the eight words of state.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sevenfold::crypto::internal {

extern const uint32_t kSha256Constants[64];

void sha256_blocks_portable(uint32_t* state, const uint8_t* data, size_t blocks);

// True when the processor has the SHA extensions; the kernels below may be called only then.
bool sha_ni_available();
void sha256_blocks_ni(uint32_t* state, const uint8_t* data, size_t blocks);
// Two independent messages, interleaved: the rounds of one fill the latency of the other's.
void sha256_blocks_ni_x2(uint32_t* state_a, const uint8_t* data_a, uint32_t* state_b,
                         const uint8_t* data_b, size_t blocks);

}  // namespace sevenfold::crypto::internal
