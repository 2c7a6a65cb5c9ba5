// The JSON of a key file (format A.2) and of the master key inside it.
#pragma once

#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/time.h"
#include "crypto/cipher.h"
#include "crypto/kdf.h"

namespace sevenfold::repository {

inline constexpr size_t kSaltSize = 64;

struct KeyFile {
    Time created;
    std::string username, hostname;
    crypto::ScryptParameters scrypt;
    Bytes salt;  // kSaltSize bytes
    Bytes data;  // the envelope of the master key's JSON
};

std::string encode_key_file(const KeyFile& key);
// Throws Error{corrupt} on anything that cannot be a key file, also for parameters of scrypt that
// are invalid or dangerously large, and Error{unsupported} for another kind of kdf.
KeyFile decode_key_file(ByteView json, std::string_view what);

// Secret: wipe the bytes after use.
Bytes encode_master_key(const crypto::CipherKey& key);
// Throws Error{corrupt}; an all-zero key is none.
crypto::CipherKey decode_master_key(ByteView json);

}  // namespace sevenfold::repository
