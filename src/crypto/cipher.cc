#include "crypto/cipher.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>

#include "core/check.h"
#include "core/error.h"
#include "core/secret.h"
#include "crypto/random.h"

namespace sevenfold::crypto {
namespace {

// Encrypting and authenticating piece by piece finds the ciphertext still in the first-level cache.
constexpr size_t kPiece = 16 << 10;

struct Free {
    void operator()(EVP_CIPHER_CTX* p) const { EVP_CIPHER_CTX_free(p); }
    void operator()(EVP_MAC_CTX* p) const { EVP_MAC_CTX_free(p); }
    void operator()(EVP_MAC* p) const { EVP_MAC_free(p); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Free>;
using MacContext = std::unique_ptr<EVP_MAC_CTX, Free>;

CipherContext make_cipher_context(const EVP_CIPHER* cipher, const uint8_t* key) {
    CipherContext context(EVP_CIPHER_CTX_new());
    if (!context || EVP_EncryptInit_ex2(context.get(), cipher, key, nullptr, nullptr) != 1)
        throw Error(ErrorKind::internal, "AES is not available");
    EVP_CIPHER_CTX_set_padding(context.get(), 0);
    return context;
}

void cipher_update(EVP_CIPHER_CTX* context, const uint8_t* in, size_t size, uint8_t* out) {
    int written = 0;
    CHECK(EVP_EncryptUpdate(context, out, &written, in, static_cast<int>(size)) == 1);
    CHECK(written == static_cast<int>(size));
}

bool all_zero(ByteView bytes) {
    uint8_t any = 0;
    for (uint8_t byte : bytes) any |= byte;
    return any == 0;
}

// Poly1305-AES (Bernstein 2005): the one-time Poly1305 of RFC 8439 keyed with r || AES128_k(nonce).
class Poly1305Aes {
  public:
    explicit Poly1305Aes(const CipherKey& key)
        : aes_(make_cipher_context(EVP_aes_128_ecb(), key.mac_k.data())), r_(key.mac_r) {
        std::unique_ptr<EVP_MAC, Free> mac(EVP_MAC_fetch(nullptr, "POLY1305", nullptr));
        if (mac) context_.reset(EVP_MAC_CTX_new(mac.get()));
        if (!context_) throw Error(ErrorKind::internal, "Poly1305 is not available");
    }
    ~Poly1305Aes() { wipe(r_.data(), r_.size()); }
    Poly1305Aes(const Poly1305Aes&) = delete;
    Poly1305Aes& operator=(const Poly1305Aes&) = delete;

    void start(const uint8_t* nonce) {
        std::array<uint8_t, 32> once;
        std::copy(r_.begin(), r_.end(), once.begin());
        cipher_update(aes_.get(), nonce, 16, once.data() + 16);
        CHECK(EVP_MAC_init(context_.get(), once.data(), once.size(), nullptr) == 1);
        wipe(once.data(), once.size());
    }
    void update(const uint8_t* data, size_t size) {
        CHECK(EVP_MAC_update(context_.get(), data, size) == 1);
    }
    // Also wipes the one-time key inside the context.
    std::array<uint8_t, 16> finish() {
        std::array<uint8_t, 16> tag;
        size_t size = 0;
        CHECK(EVP_MAC_final(context_.get(), tag.data(), &size, tag.size()) == 1 && size == 16);
        return tag;
    }

  private:
    CipherContext aes_;
    MacContext context_;
    std::array<uint8_t, 16> r_;
};

}  // namespace

CipherKey::~CipherKey() {
    wipe(encrypt.data(), encrypt.size());
    wipe(mac_k.data(), mac_k.size());
    wipe(mac_r.data(), mac_r.size());
}

bool CipherKey::valid() const {
    static constexpr std::array<uint8_t, 16> kClamp = {0xff, 0xff, 0xff, 0x0f, 0xfc, 0xff,
                                                       0xff, 0x0f, 0xfc, 0xff, 0xff, 0x0f,
                                                       0xfc, 0xff, 0xff, 0x0f};
    uint8_t any_r = 0;
    for (size_t i = 0; i < kClamp.size(); ++i) any_r |= mac_r[i] & kClamp[i];
    return !all_zero(encrypt) && !all_zero(mac_k) && any_r != 0;
}

CipherKey CipherKey::generate() {
    CipherKey key;
    do {
        random_bytes(key.encrypt);
        random_bytes(key.mac_k);
        random_bytes(key.mac_r);
    } while (!key.valid());
    return key;
}

std::array<uint8_t, 16> poly1305_aes(const CipherKey& key, ByteView nonce, ByteView message) {
    CHECK(nonce.size() == 16);
    Poly1305Aes mac(key);
    mac.start(nonce.data());
    mac.update(message.data(), message.size());
    return mac.finish();
}

struct Cipher::Impl {
    explicit Impl(const CipherKey& key)
        : ctr(make_cipher_context(EVP_aes_256_ctr(), key.encrypt.data())), mac(key) {}
    ~Impl() { wipe(scratch.data(), scratch.size()); }

    // In counter mode encryption and decryption are the same.
    void start_ctr(const uint8_t* iv) {
        CHECK(EVP_EncryptInit_ex2(ctr.get(), nullptr, nullptr, iv, nullptr) == 1);
    }
    bool verify(ByteView envelope) {
        if (envelope.size() < kEnvelopeOverhead || all_zero(envelope.first(kIvSize))) return false;
        mac.start(envelope.data());
        mac.update(envelope.data() + kIvSize, envelope.size() - kEnvelopeOverhead);
        return tag_is(envelope);
    }
    bool tag_is(ByteView envelope) {
        auto tag = mac.finish();
        const uint8_t* stored = envelope.data() + envelope.size() - kTagSize;
        return CRYPTO_memcmp(tag.data(), stored, kTagSize) == 0;
    }

    CipherContext ctr;
    Poly1305Aes mac;
    std::array<uint8_t, kPiece> scratch;
};

Cipher::Cipher(const CipherKey& key) {
    if (!key.valid()) throw Error(ErrorKind::corrupt, "an encryption key is all zero");
    impl_ = std::make_unique<Impl>(key);
}
Cipher::~Cipher() = default;
Cipher::Cipher(Cipher&&) noexcept = default;
Cipher& Cipher::operator=(Cipher&&) noexcept = default;

void Cipher::seal(ByteView plaintext, uint8_t* out) {
    std::array<uint8_t, kIvSize> iv;
    do random_bytes(iv);
    while (all_zero(iv));
    seal_with_iv(plaintext, iv, out);
}

Bytes Cipher::seal(ByteView plaintext) {
    Bytes envelope(plaintext.size() + kEnvelopeOverhead);
    seal(plaintext, envelope.data());
    return envelope;
}

void Cipher::seal_with_iv(ByteView plaintext, ByteView iv, uint8_t* out) {
    CHECK(iv.size() == kIvSize && !all_zero(iv));
    std::memcpy(out, iv.data(), kIvSize);
    impl_->start_ctr(out);
    impl_->mac.start(out);
    uint8_t* to = out + kIvSize;
    for (size_t at = 0; at < plaintext.size(); at += kPiece) {
        size_t n = std::min(kPiece, plaintext.size() - at);
        cipher_update(impl_->ctr.get(), plaintext.data() + at, n, to + at);
        impl_->mac.update(to + at, n);
    }
    auto tag = impl_->mac.finish();
    std::memcpy(to + plaintext.size(), tag.data(), kTagSize);
}

bool Cipher::open(ByteView envelope, MutableByteView out) {
    if (!impl_->verify(envelope)) return false;
    size_t size = envelope.size() - kEnvelopeOverhead;
    CHECK(out.size() == size);
    impl_->start_ctr(envelope.data());
    const uint8_t* from = envelope.data() + kIvSize;
    for (size_t at = 0; at < size; at += kPiece)
        cipher_update(impl_->ctr.get(), from + at, std::min(kPiece, size - at), out.data() + at);
    return true;
}

bool Cipher::open(ByteView envelope, Bytes& out) {
    if (!impl_->verify(envelope)) return false;
    out.resize(envelope.size() - kEnvelopeOverhead);
    impl_->start_ctr(envelope.data());
    const uint8_t* from = envelope.data() + kIvSize;
    for (size_t at = 0; at < out.size(); at += kPiece)
        cipher_update(impl_->ctr.get(), from + at, std::min(kPiece, out.size() - at),
                      out.data() + at);
    return true;
}

bool Cipher::verifies_as(ByteView envelope, ByteView plaintext) {
    if (envelope.size() < kEnvelopeOverhead ||
        envelope.size() - kEnvelopeOverhead != plaintext.size() ||
        all_zero(envelope.first(kIvSize)))
        return false;
    impl_->start_ctr(envelope.data());
    impl_->mac.start(envelope.data());
    const uint8_t* from = envelope.data() + kIvSize;
    bool same = true;
    for (size_t at = 0; same && at < plaintext.size(); at += kPiece) {
        size_t n = std::min(kPiece, plaintext.size() - at);
        impl_->mac.update(from + at, n);
        cipher_update(impl_->ctr.get(), from + at, n, impl_->scratch.data());
        same = std::memcmp(impl_->scratch.data(), plaintext.data() + at, n) == 0;
    }
    return impl_->tag_is(envelope) && same;
}

}  // namespace sevenfold::crypto
