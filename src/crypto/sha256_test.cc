#include "crypto/sha256.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <rapidcheck/gtest.h>

#include "core/random.h"

namespace sevenfold::crypto {
namespace {

Bytes noise(uint64_t seed, size_t size) {
    SplitMix64 random(seed);
    Bytes bytes(size);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.next());
    return bytes;
}

Id by_openssl(ByteView message) {
    Id id;
    unsigned size = 0;
    EVP_Digest(message.data(), message.size(), id.bytes.data(), &size, EVP_sha256(), nullptr);
    return id;
}

// Every test runs with the kernels of this machine and with the portable one.
class Sha256Test : public testing::TestWithParam<bool> {
  protected:
    Sha256Test() : before_(force_portable_sha256(GetParam())) {}
    ~Sha256Test() override { force_portable_sha256(before_); }

  private:
    bool before_;
};

TEST_P(Sha256Test, PairsGiveWhatSinglesGive) {
    Bytes text(400);
    for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<uint8_t>(i * 7);
    for (size_t a = 0; a < 200; a += 3)
        for (size_t b : {a, a + 1, size_t{0}, size_t{55}, size_t{56}, size_t{64}, size_t{333}}) {
            ByteView first = ByteView(text).first(a), second = ByteView(text).last(b);
            auto both = sha256_pair(first, second);
            ASSERT_EQ(both[0], sha256(first)) << a << " " << b;
            ASSERT_EQ(both[1], sha256(second)) << a << " " << b;
        }
}

TEST_P(Sha256Test, KnownDigests) {
    EXPECT_EQ(sha256({}).hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(sha256(as_bytes("abc")).hex(),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")).hex(),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_EQ(sha256(Bytes(512 << 10, 0)).hex(),
              "07854d2fef297a06ba81685e660c332de36d5d18d546927d30daad6d7fda1541");
}

TEST_P(Sha256Test, EveryLengthAroundTheBlock) {
    Bytes data = noise(1, 300);
    for (size_t n = 0; n <= data.size(); ++n)
        EXPECT_EQ(sha256(ByteView(data).first(n)), by_openssl(ByteView(data).first(n))) << n;
}

TEST_P(Sha256Test, AnySplitGivesTheSameDigest) {
    EXPECT_TRUE(rc::check([](uint32_t seed, std::vector<uint16_t> cuts) {
        Bytes data = noise(seed, cuts.size() * 300);
        Sha256 hash;
        ByteView rest = data;
        for (uint16_t cut : cuts) {
            size_t n = std::min<size_t>(cut % 600, rest.size());
            hash.update(rest.first(n));
            rest = rest.subspan(n);
            RC_ASSERT(hash.digest() == by_openssl(ByteView(data).first(data.size() - rest.size())));
        }
        hash.update(rest);
        RC_ASSERT(hash.digest() == by_openssl(data));
    }));
}

TEST_P(Sha256Test, ManyAtOnceEqualOneByOne) {
    EXPECT_TRUE(rc::check([](uint32_t seed) {
        SplitMix64 random(seed);
        size_t count = random.below(6);
        std::vector<Sha256> hashes(count);
        std::vector<Bytes> fed(count);
        std::vector<Sha256*> pointers;
        for (Sha256& hash : hashes) pointers.push_back(&hash);
        for (int round = 0; round < 4; ++round) {
            std::vector<Bytes> pieces;
            for (size_t i = 0; i < count; ++i) {
                size_t limits[] = {1, 64, 65, 200, 5000};
                pieces.push_back(noise(random.next(), random.below(limits[random.below(5)])));
                append(fed[i], pieces.back());
            }
            std::vector<ByteView> views(pieces.begin(), pieces.end());
            sha256_update_many(pointers, views);
        }
        for (size_t i = 0; i < count; ++i) RC_ASSERT(hashes[i].digest() == by_openssl(fed[i]));
    }));
}

TEST_P(Sha256Test, NamesItsImplementation) {
    if (GetParam()) {
        EXPECT_STREQ(sha256_implementation(), "portable");
        EXPECT_TRUE(force_portable_sha256(true));
    } else {
        RecordProperty("implementation", sha256_implementation());
        EXPECT_FALSE(force_portable_sha256(false));
    }
}

INSTANTIATE_TEST_SUITE_P(Kernels, Sha256Test, testing::Bool(), [](const auto& p) {
    return std::string(p.param ? "Portable" : "Native");
});

}  // namespace
}  // namespace sevenfold::crypto
