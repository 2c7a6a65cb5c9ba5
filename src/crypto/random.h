// Cryptographically secure random bytes.
#pragma once

#include "core/bytes.h"
#include "core/id.h"

namespace sevenfold::crypto {

// Fills `out`; throws Error{internal} when the system has no randomness.
void random_bytes(MutableByteView out);
Id random_id();
uint64_t random_u64();
// `length` characters of a-z, A-Z, 2-9 without look-alikes (0 O 1 l I), uniform; 5.8 bits each.
std::string random_password(size_t length);

}  // namespace sevenfold::crypto
