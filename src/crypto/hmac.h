// HMAC-SHA256 (RFC 2104, FIPS 198-1), and MD5 for protocols that ask for it as a checksum.
#pragma once

#include <array>
#include <optional>

#include "core/bytes.h"
#include "core/id.h"

namespace sevenfold::crypto {

Id hmac_sha256(ByteView key, ByteView message);

// A checksum of what goes over a wire, never a protection. Nothing where the system's policy (FIPS)
// forbids MD5.
std::optional<std::array<uint8_t, 16>> md5(ByteView message);

}  // namespace sevenfold::crypto
