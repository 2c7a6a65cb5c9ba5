#include "crypto/cipher.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/error.h"
#include "core/random.h"
#include "crypto/kdf.h"
#include "crypto/random.h"

namespace sevenfold::crypto {
namespace {

Bytes unhex(std::string_view hex) {
    Bytes bytes(hex.size() / 2);
    EXPECT_TRUE(from_hex(hex, bytes));
    return bytes;
}

template <size_t N>
void set_hex(std::array<uint8_t, N>& to, std::string_view hex) {
    ASSERT_TRUE(from_hex(hex, to));
}

Bytes noise(uint64_t seed, size_t size) {
    SplitMix64 random(seed);
    Bytes bytes(size);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.next());
    return bytes;
}

// The four vectors of Bernstein's paper, appendix B.
TEST(Poly1305Aes, BernsteinsVectors) {
    struct Vector {
        std::string_view r, k, nonce, message, tag;
    };
    for (const Vector& v : {
             Vector{"851fc40c3467ac0be05cc20404f3f700", "ec074c835580741701425b623235add6",
                    "fb447350c4e868c52ac3275cf9d4327e", "f3f6", "f4c633c3044fc145f84f335cb81953de"},
             Vector{"a0f3080000f46400d0c7e9076c834403", "75deaa25c09f208e1dc4ce6b5cad3fbf",
                    "61ee09218d29b0aaed7e154a2c5509cc", "", "dd3fab2251f11ac759f0887129cc2ee7"},
             Vector{"48443d0bb0d21109c89a100b5ce2c208", "6acb5f61a7176dd320c5c1eb2edcdc74",
                    "ae212a55399729595dea458bc621ff0e",
                    "663cea190ffb83d89593f3f476b6bc24d7e679107ea26adb8caf6652d0656136",
                    "0ee1c16bb73f0f4fd19881753c01cdbe"},
             Vector{"12976a08c4426d0ce8a82407c4f48207", "e1a5668a4d5b66a5f68cc5424ed5982d",
                    "9ae831e743978d3a23527c7128149e3a",
                    "ab0812724a7f1e342742cbed374d94d136c6b8795d45b3819830f2c04491faf0990c62e48b8018"
                    "b2c3e4a0fa3134cb67fa83e158c994d961c4cb21095c1bf9",
                    "5154ad0d2cb26e01274fc51148491f1b"},
         }) {
        CipherKey key;
        set_hex(key.mac_r, v.r);
        set_hex(key.mac_k, v.k);
        EXPECT_EQ(to_hex(poly1305_aes(key, unhex(v.nonce), unhex(v.message))), v.tag);
    }
}

TEST(Cipher, OpensAnEnvelopeOfRestics) {
    CipherKey key;
    set_hex(key.encrypt, "303e8687b1d7db18421bdc6bb8588ccadac4d59ee87b8ff70c44e635790cafef");
    set_hex(key.mac_k, "ef4d8824cb80b2bcc5fbff8a9b12a42c");
    set_hex(key.mac_r, "cc8d4b948ee0ebfe1d415de921d10353");
    Bytes envelope = unhex(
        "69fb41c62d12def4593bd71757138606338f621aeaeb39da0fe4f99233f8037a54ea63338a813bcf3f75d8c3cc"
        "75dddf8750");
    Cipher cipher(key);
    Bytes plain;
    ASSERT_TRUE(cipher.open(envelope, plain));
    EXPECT_EQ(as_text(plain), "Dies ist ein Test!");
    EXPECT_TRUE(cipher.verifies_as(envelope, plain));
    Bytes again(envelope.size());
    cipher.seal_with_iv(plain, ByteView(envelope).first(kIvSize), again.data());
    EXPECT_EQ(again, envelope);
}

TEST(Cipher, RoundTripOfEveryKindOfSize) {
    Cipher cipher(CipherKey::generate());
    for (size_t size : {0, 1, 15, 16, 17, 4096, 16383, 16384, 16385, 32768, 100001, 1 << 20}) {
        Bytes plain = noise(size, size);
        Bytes envelope = cipher.seal(plain);
        ASSERT_EQ(envelope.size(), size + kEnvelopeOverhead);
        Bytes out;
        ASSERT_TRUE(cipher.open(envelope, out)) << size;
        EXPECT_EQ(out, plain);
        EXPECT_TRUE(cipher.verifies_as(envelope, plain));
        // In place, over the ciphertext.
        MutableByteView inner = MutableByteView(envelope).subspan(kIvSize, size);
        ASSERT_TRUE(cipher.open(envelope, inner));
        EXPECT_TRUE(std::equal(inner.begin(), inner.end(), plain.begin(), plain.end()));
    }
}

TEST(Cipher, RandomRoundTrips) {
    Cipher cipher(CipherKey::generate());
    Cipher other(CipherKey::generate());
    EXPECT_TRUE(rc::check([&](const std::vector<uint8_t>& plain) {
        Bytes envelope = cipher.seal(plain);
        Bytes out;
        RC_ASSERT(cipher.open(envelope, out));
        RC_ASSERT(std::equal(out.begin(), out.end(), plain.begin(), plain.end()));
        RC_ASSERT(!other.open(envelope, out));
        RC_ASSERT(!other.verifies_as(envelope, plain));
        RC_ASSERT(cipher.seal(plain) != envelope);
    }));
}

TEST(Cipher, EveryFlippedBitAndEveryTruncationIsFound) {
    Cipher cipher(CipherKey::generate());
    Bytes plain = noise(3, 50);
    const Bytes envelope = cipher.seal(plain);
    for (size_t bit = 0; bit < envelope.size() * 8; ++bit) {
        Bytes bad = envelope;
        bad[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
        Bytes out(plain.size(), 0x55);
        const Bytes untouched = out;
        EXPECT_FALSE(cipher.open(bad, MutableByteView(out))) << bit;
        EXPECT_EQ(out, untouched);
        EXPECT_FALSE(cipher.verifies_as(bad, plain)) << bit;
    }
    for (size_t size = 0; size < envelope.size(); ++size) {
        Bytes out;
        EXPECT_FALSE(cipher.open(ByteView(envelope).first(size), out)) << size;
        EXPECT_TRUE(out.empty());
        EXPECT_FALSE(cipher.verifies_as(ByteView(envelope).first(size), plain));
        if (size >= kEnvelopeOverhead) {
            EXPECT_FALSE(cipher.verifies_as(ByteView(envelope).first(size),
                                            ByteView(plain).first(size - kEnvelopeOverhead)));
        }
    }
}

TEST(Cipher, VerifiesOnlyTheRightPlaintext) {
    Cipher cipher(CipherKey::generate());
    Bytes plain = noise(4, 40000);
    Bytes envelope = cipher.seal(plain);
    for (size_t at : {0, 16383, 16384, 39999}) {
        Bytes other = plain;
        other[at] ^= 1;
        EXPECT_FALSE(cipher.verifies_as(envelope, other)) << at;
    }
    EXPECT_FALSE(cipher.verifies_as(envelope, ByteView(plain).first(plain.size() - 1)));
    // A refusal leaves the object usable.
    EXPECT_TRUE(cipher.verifies_as(envelope, plain));
}

TEST(Cipher, RefusesZeroKeysAndAZeroIv) {
    CipherKey good = CipherKey::generate();
    EXPECT_TRUE(good.valid());
    EXPECT_FALSE(CipherKey().valid());
    CipherKey bad = good;
    bad.encrypt = {};
    EXPECT_FALSE(bad.valid());
    EXPECT_THROW(Cipher{bad}, Error);
    bad = good;
    bad.mac_k = {};
    EXPECT_FALSE(bad.valid());
    bad = good;
    bad.mac_r = {};
    bad.mac_r[3] = 0xf0;  // only bits that clamping removes
    EXPECT_FALSE(bad.valid());
    bad.mac_r[3] = 0x01;
    EXPECT_TRUE(bad.valid());

    Bytes envelope(kEnvelopeOverhead, 0);
    auto tag = poly1305_aes(good, ByteView(envelope).first(kIvSize), {});
    std::copy(tag.begin(), tag.end(), envelope.begin() + kIvSize);
    Cipher cipher(good);
    Bytes out;
    EXPECT_FALSE(cipher.open(envelope, out));
    EXPECT_FALSE(cipher.verifies_as(envelope, {}));
}

// RFC 7914 section 12, the third vector: N=16384, r=8, p=1.
TEST(Scrypt, Rfc7914) {
    auto key_hex = [](const CipherKey& key) {
        return to_hex(key.encrypt) + to_hex(key.mac_k) + to_hex(key.mac_r);
    };
    EXPECT_EQ(
        key_hex(derive_key(Secret(""), {}, {.n = 16, .r = 1, .p = 1})),
        "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a753a0f"
        "c81f17e8d3e0fb2e0d3628cf35e20c38d18906");
    EXPECT_EQ(
        key_hex(derive_key(Secret("pleaseletmein"), as_bytes("SodiumChloride"),
                           {.n = 16384, .r = 8, .p = 1})),
        "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705"
        "242a9af9e61e85dc0d651e40dfcf017b45575887");
}

TEST(Scrypt, RefusesHostileParameters) {
    using P = ScryptParameters;
    EXPECT_TRUE((P{.n = 128, .r = 1, .p = 1}).valid());
    EXPECT_TRUE((P{.n = 32768, .r = 8, .p = 10}).valid());
    for (P bad : {P{.n = 0, .r = 8, .p = 1}, P{.n = 1, .r = 8, .p = 1}, P{.n = 3, .r = 8, .p = 1},
                  P{.n = 32768, .r = 0, .p = 1}, P{.n = 32768, .r = 8, .p = 0},
                  P{.n = uint64_t{1} << 63, .r = 8, .p = 1}, P{.n = 32768, .r = 0xffffffff, .p = 1},
                  P{.n = 2, .r = 8, .p = 0xffffffff}, P{.n = uint64_t{1} << 21, .r = 8, .p = 1},
                  P{.n = 32768, .r = 8, .p = 100000}, P{.n = 65536, .r = 1, .p = 1}}) {
        EXPECT_FALSE(bad.valid()) << bad.n << " " << bad.r << " " << bad.p;
        EXPECT_THROW(derive_key(Secret("x"), {}, bad), Error);
    }
}

TEST(Scrypt, CalibrationIsNeverWeakerThanTheDefault) {
    for (int target : {0, 500}) {
        ScryptParameters p = calibrate_scrypt(std::chrono::milliseconds(target));
        EXPECT_TRUE(p.valid());
        EXPECT_EQ(p.n, 32768U);
        EXPECT_EQ(p.r, 8U);
        EXPECT_GE(p.p, 1U);
        EXPECT_LE(128 * p.n * p.r, 60U << 20);
    }
    EXPECT_EQ(calibrate_scrypt(std::chrono::milliseconds(0)).p, 1U);
}

TEST(Random, BytesDifferAndPasswordsAreClean) {
    EXPECT_NE(random_id(), random_id());
    EXPECT_NE(random_u64(), random_u64());
    Bytes big((1 << 20) + 5, 0);
    random_bytes(big);
    EXPECT_NE(ByteView(big).last(5)[0] | ByteView(big).last(5)[1] | ByteView(big).last(5)[2] |
                  ByteView(big).last(5)[3] | ByteView(big).last(5)[4],
              0);
    std::string password = random_password(10000);
    EXPECT_EQ(password.size(), 10000U);
    std::map<char, int> count;
    for (char c : password) ++count[c];
    EXPECT_EQ(count.size(), 57U);
    for (char look_alike : std::string("0O1lI")) EXPECT_EQ(count.count(look_alike), 0U);
    // 10000/57 = 175, standard deviation 13.
    for (auto [c, n] : count) EXPECT_TRUE(n > 80 && n < 290) << c << n;
    EXPECT_TRUE(random_password(0).empty());
}

}  // namespace
}  // namespace sevenfold::crypto
