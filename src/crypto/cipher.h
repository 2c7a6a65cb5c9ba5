// The repository's authenticated encryption: AES-256-CTR, then Poly1305-AES over the ciphertext
// with the IV as nonce (Bernstein, "The Poly1305-AES message-authentication code", 2005).
//
// Envelope: IV (16 random bytes) || ciphertext || tag (16). The IV is the initial counter block and
// the MAC nonce, so it must never repeat under one key: it is drawn fresh for every envelope.
#pragma once

#include <array>

#include "core/bytes.h"

namespace sevenfold::crypto {

inline constexpr size_t kIvSize = 16;
inline constexpr size_t kTagSize = 16;
inline constexpr size_t kEnvelopeOverhead = kIvSize + kTagSize;

// Wiped when it goes away. r is stored raw and clamped at use.
struct CipherKey {
    std::array<uint8_t, 32> encrypt{};
    std::array<uint8_t, 16> mac_k{};
    std::array<uint8_t, 16> mac_r{};

    CipherKey() = default;
    CipherKey(const CipherKey&) = default;
    CipherKey& operator=(const CipherKey&) = default;
    ~CipherKey();
    bool operator==(const CipherKey&) const = default;
    // All-zero encrypt, k or r (after clamping) are not keys.
    bool valid() const;
    static CipherKey generate();
};

// Poly1305-AES alone, for the test vectors. nonce: 16 bytes.
std::array<uint8_t, 16> poly1305_aes(const CipherKey& key, ByteView nonce, ByteView message);

// Encrypts and decrypts under one key. Holds OpenSSL contexts: one object per thread.
class Cipher {
  public:
    explicit Cipher(const CipherKey& key);
    ~Cipher();
    Cipher(Cipher&&) noexcept;
    Cipher& operator=(Cipher&&) noexcept;

    // Writes the envelope of `plaintext` to out[0, plaintext.size() + kEnvelopeOverhead).
    void seal(ByteView plaintext, uint8_t* out);
    Bytes seal(ByteView plaintext);
    // As seal with the given IV; for test vectors only.
    void seal_with_iv(ByteView plaintext, ByteView iv, uint8_t* out);

    // Verifies, then decrypts into `out` (exactly envelope.size() - kEnvelopeOverhead bytes, which
    // may be the envelope's own ciphertext bytes). False when the tag does not match or the
    // envelope is shorter than its overhead; `out` is then untouched. An all-zero IV is refused.
    [[nodiscard]] bool open(ByteView envelope, MutableByteView out);
    [[nodiscard]] bool open(ByteView envelope, Bytes& out);

    // True when `envelope` verifies and decrypts to exactly `plaintext`; needs no large buffer.
    [[nodiscard]] bool verifies_as(ByteView envelope, ByteView plaintext);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sevenfold::crypto
