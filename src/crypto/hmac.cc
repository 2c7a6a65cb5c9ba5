#include "crypto/hmac.h"

#include <openssl/evp.h>

#include <algorithm>

#include "core/secret.h"
#include "crypto/sha256.h"

namespace sevenfold::crypto {

Id hmac_sha256(ByteView key, ByteView message) {
    constexpr size_t kBlock = 64;
    std::array<uint8_t, kBlock> block{};
    if (key.size() > kBlock) {
        Id hashed = sha256(key);
        std::ranges::copy(hashed.bytes, block.begin());
    } else {
        std::ranges::copy(key, block.begin());
    }
    for (uint8_t& byte : block) byte ^= 0x36;
    Sha256 inner;
    inner.update(block);
    inner.update(message);
    for (uint8_t& byte : block) byte ^= 0x36 ^ 0x5c;
    Sha256 outer;
    outer.update(block);
    outer.update(inner.digest().bytes);
    wipe(block.data(), block.size());
    return outer.digest();
}

std::optional<std::array<uint8_t, 16>> md5(ByteView message) {
    std::array<uint8_t, 16> digest{};
    unsigned size = 0;
    if (EVP_Digest(message.data(), message.size(), digest.data(), &size, EVP_md5(), nullptr) != 1 ||
        size != digest.size())
        return std::nullopt;
    return digest;
}

}  // namespace sevenfold::crypto
