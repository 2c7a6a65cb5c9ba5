// bcrypt hashes of passwords ("$2y$10$…"), as files of users in the htpasswd format hold them.
#pragma once

#include <string>
#include <string_view>

namespace sevenfold::crypto {

// True for $2a$, $2b$ and $2y$ hashes of the right form whose cost is at most 2^16 rounds: more
// would let a line of the file keep a processor busy for many seconds.
bool is_bcrypt_hash(std::string_view hash);

// Takes from 10 ms to seconds, by the hash's cost. False also for what is not a bcrypt hash, and
// for passwords with a zero byte. Only the first 72 bytes of a password count.
bool bcrypt_matches(std::string_view password, const std::string& hash);

// A new hash with a random salt, 2^cost rounds. Throws Error{internal} when the system's libcrypt
// does not know bcrypt.
std::string bcrypt_hash(std::string_view password, unsigned cost = 10);

}  // namespace sevenfold::crypto
