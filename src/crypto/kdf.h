// scrypt (RFC 7914): a password and a salt to a cipher key.
#pragma once

#include <chrono>
#include <cstdint>

#include "core/secret.h"
#include "crypto/cipher.h"

namespace sevenfold::crypto {

struct ScryptParameters {
    uint64_t n = 32768;  // a power of two > 1
    uint32_t r = 8;
    uint32_t p = 1;
    // Limits against hostile key files: at most `max_memory` = 1 GiB (128·n·r) and p·r < 2^30.
    bool valid() const;
};

// Bytes [0,32) of scrypt's 64 are the encryption key, [32,48) k, [48,64) r.
// Throws Error{corrupt} for invalid parameters.
CipherKey derive_key(const Secret& password, ByteView salt, const ScryptParameters& parameters);

// Parameters that take about `target` on this machine and at most 60 MiB, as restic calibrates:
// N and r first, then p. Never weaker than N=32768, r=8, p=1.
ScryptParameters calibrate_scrypt(std::chrono::milliseconds target);

}  // namespace sevenfold::crypto
