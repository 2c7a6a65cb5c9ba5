// SHA-256 (FIPS 180-4), with several independent messages hashed at once where the processor gains
// from it: on SHA-NI two interleaved messages take barely longer than one.
#pragma once

#include <array>
#include <span>

#include "core/bytes.h"
#include "core/id.h"

namespace sevenfold::crypto {

Id sha256(ByteView message);
// Of two messages at once: the faster the more alike they are in length.
std::array<Id, 2> sha256_pair(ByteView a, ByteView b);

// A running hash. Cheap to make (no allocation); not thread-safe.
class Sha256 {
  public:
    Sha256();
    void update(ByteView data);
    // The digest of everything so far; the object may be updated further.
    Id digest() const;

  private:
    friend void sha256_update_many(std::span<Sha256* const>, std::span<const ByteView>);
    std::array<uint32_t, 8> state_;
    uint64_t length_ = 0;              // bytes so far
    std::array<uint8_t, 64> partial_;  // the length_ % 64 bytes not yet compressed
};

// hashes[i]->update(data[i]) for all i, interleaving pairs. The hashes must be distinct objects.
void sha256_update_many(std::span<Sha256* const> hashes, std::span<const ByteView> data);

// Which implementation this machine uses ("sha-ni", "portable"), for tests and `--version -v`.
// Tests may force the portable one; returns the former setting.
const char* sha256_implementation();
bool force_portable_sha256(bool on);

}  // namespace sevenfold::crypto
