#include "repository/chunker.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <random>

#include "core/error.h"
#include "core/random.h"
#include "crypto/sha256.h"

namespace sevenfold::repository {
namespace {

constexpr Polynomial kPolynomial = 0x3DA3358B4DC173;

const ChunkerTables& tables() {
    static const ChunkerTables instance(kPolynomial);
    return instance;
}

Bytes noise(uint64_t seed, size_t size) {
    SplitMix64 random(seed);
    Bytes bytes((size + 7) / 8 * 8);
    for (size_t i = 0; i < bytes.size(); i += 8) {
        uint64_t word = random.next();
        for (size_t j = 0; j < 8; ++j) bytes[i + j] = static_cast<uint8_t>(word >> (8 * j));
    }
    bytes.resize(size);
    return bytes;
}

// The definition, bit by bit: the window as a polynomial, first byte highest, modulo P.
uint64_t naive_fingerprint(ByteView window, Polynomial p = kPolynomial) {
    uint64_t digest = 0;
    for (uint8_t byte : window)
        for (int bit = 7; bit >= 0; --bit) {
            digest = digest << 1 | (byte >> bit & 1);
            if (digest >> 53 & 1) digest ^= p;
        }
    return digest;
}

bool naive_is_cut(ByteView data, size_t n) {
    return (naive_fingerprint(data.subspan(n - 63, 64)) & 0xfffff) == 0;
}

// Changes byte n and the two before it so that n is a cut: they are the low 20 bits.
void plant_cut(Bytes& data, size_t n) {
    uint64_t f = naive_fingerprint(ByteView(data).subspan(n - 63, 64));
    data[n] ^= static_cast<uint8_t>(f);
    data[n - 1] ^= static_cast<uint8_t>(f >> 8);
    data[n - 2] ^= static_cast<uint8_t>(f >> 16 & 0xf);
    ASSERT_TRUE(naive_is_cut(data, n));
}

std::vector<ChunkerPath> all_paths() {
    std::vector<ChunkerPath> paths = {ChunkerPath::scalar, ChunkerPath::ssse3};
    if (best_chunker_path() == ChunkerPath::avx2) paths.push_back(ChunkerPath::avx2);
    return paths;
}

// Cuts `data`, handing it over in steps of the sizes that `step` gives.
template <class Step>
std::vector<size_t> chunk(ByteView data, ChunkerPath path, Step step) {
    Chunker chunker(tables(), path);
    std::vector<size_t> lengths;
    size_t start = 0;
    for (size_t end = 0; end < data.size();) {
        end += std::min<size_t>(step(), data.size() - end);
        while (auto n = chunker.next(data.subspan(start, end - start))) {
            lengths.push_back(*n);
            start += *n;
        }
    }
    if (start < data.size()) lengths.push_back(data.size() - start);
    return lengths;
}

std::vector<size_t> chunk_in_steps(ByteView data, ChunkerPath path, size_t step = 256 << 10) {
    return chunk(data, path, [step] { return step; });
}

TEST(Polynomial, Irreducibility) {
    EXPECT_EQ(degree(0), -1);
    EXPECT_EQ(degree(1), 0);
    EXPECT_EQ(degree(kPolynomial), 53);
    for (Polynomial p :
         {0x3DA3358B4DC173UL, 0x2482734cacca49UL, 0b10UL, 0b11UL, 0b111UL, 0b1011UL, 0x11bUL})
        EXPECT_TRUE(is_irreducible(p)) << std::hex << p;
    for (Polynomial p : {0x38f1e565e288dfUL, 0x30a8295b9d5c91UL, 0x255f4350b962cbUL, 0UL, 1UL,
                         0b101UL, 0b1111UL, 0b10101UL, 0x3DA3358B4DC172UL})
        EXPECT_FALSE(is_irreducible(p)) << std::hex << p;
}

TEST(Polynomial, CountOfSmallIrreducibles) {
    // OEIS A001037.
    int expected[] = {2, 1, 2, 3, 6, 9, 18, 30, 56, 99};
    for (int d = 1; d <= 10; ++d) {
        int count = 0;
        for (Polynomial p = 1UL << d; p < 2UL << d; ++p) count += is_irreducible(p);
        EXPECT_EQ(count, expected[d - 1]) << d;
    }
}

TEST(Polynomial, RandomOnesAreValidAndDiffer) {
    Polynomial a = random_polynomial(), b = random_polynomial();
    EXPECT_NE(a, b);
    EXPECT_EQ(degree(a), 53);
    EXPECT_TRUE(is_irreducible(a));
    EXPECT_EQ(parse_polynomial(fmt::format("{:x}", a)), a);
}

TEST(Polynomial, ParseRefusesWhatIsNotOne) {
    EXPECT_EQ(parse_polynomial("3da3358b4dc173"), kPolynomial);
    for (std::string bad :
         {"", "0", "03da3358b4dc173", "0x3da3358b4dc173", "-3da3358b4dc173", "38f1e565e288df",
          "3da3358b4dc173 ", "3da3358b4dc17g", "11b", "ffffffffffffffffffff"})
        EXPECT_THROW(parse_polynomial(bad), Error) << bad;
}

TEST(Fingerprint, Vectors) {
    Bytes window(64);
    for (size_t i = 0; i < 64; ++i) window[i] = static_cast<uint8_t>(i);
    EXPECT_EQ(tables().fingerprint(window), 0x00044b76cac5cee3U);
    EXPECT_EQ(tables().fingerprint(Bytes(64, 0xff)), 0x0006d9879d4c4d97U);
    // A first byte of b alone is the table entry b·x^504 mod P.
    Bytes single(64, 0);
    single[0] = 1;
    EXPECT_EQ(tables().fingerprint(single), 0x0017eb4232e19216U);
    single[0] = 255;
    EXPECT_EQ(tables().fingerprint(single), 0x000b80b98cecc39aU);
    // b·x^53 = (b<<5)·x^48; the table entry also has b at bit 53.
    for (auto [b, entry] : {std::pair<uint64_t, uint64_t>{1, 0x003da3358b4dc173},
                            {2, 0x0046e55e9dd64395},
                            {255, 0x1ff7ac8a5af476a7}}) {
        Bytes reduced(64, 0);
        reduced[63 - 6] = static_cast<uint8_t>(b << 5);
        reduced[63 - 7] = static_cast<uint8_t>(b << 5 >> 8);
        EXPECT_EQ(tables().fingerprint(reduced) | b << 53, entry);
    }
}

TEST(Fingerprint, EqualsTheDefinition) {
    ChunkerTables other(0x2482734cacca49);
    for (uint64_t seed = 0; seed < 200; ++seed) {
        Bytes window = noise(seed, 64);
        EXPECT_EQ(tables().fingerprint(window), naive_fingerprint(window));
        EXPECT_EQ(other.fingerprint(window), naive_fingerprint(window, 0x2482734cacca49));
    }
}

TEST(Chunker, TheVectorOf24MiB) {
    Bytes data = noise(23, 24 << 20);
    ASSERT_EQ(crypto::sha256(data).hex(),
              "2cd71983cdc95d38ff248c6f3eedce9acd37690b2eef0d4475c17d737573a1ec");
    std::vector<size_t> expected = {1153221, 1368292, 1032272, 574085,  580863, 707335,  688668,
                                    1545561, 2359577, 1935291, 1312011, 856912, 2825299, 1587105,
                                    985416,  2788974, 1843812, 879005,  142125};
    for (ChunkerPath path : all_paths()) EXPECT_EQ(chunk_in_steps(data, path), expected);
    EXPECT_EQ(crypto::sha256(ByteView(data).first(expected.front())).hex(),
              "a10cbceb50655f9e91ec59b56a08b0028a70627ef410a337e54dfcd3a533540e");
    EXPECT_EQ(crypto::sha256(ByteView(data).last(expected.back())).hex(),
              "925acbe9069e6507cbcd3f8103b7be3e30af1306e6736ee7b3dba5193320e319");
}

TEST(Chunker, ZerosAreCutAtTheMinimum) {
    Bytes zeros((2 << 20) + 5, 0);
    for (ChunkerPath path : all_paths())
        EXPECT_EQ(chunk_in_steps(zeros, path, 300001),
                  (std::vector<size_t>{kChunkMin, kChunkMin, kChunkMin, kChunkMin, 5}));
    EXPECT_EQ(crypto::sha256(ByteView(zeros).first(kChunkMin)).hex(),
              "07854d2fef297a06ba81685e660c332de36d5d18d546927d30daad6d7fda1541");
}

TEST(Chunker, DataWithoutCutsAreCutAtTheMaximum) {
    // One byte repeated has one fingerprint everywhere.
    Bytes data((17 << 20) + 3, 1);
    ASSERT_FALSE(naive_is_cut(data, 63));
    for (ChunkerPath path : all_paths())
        EXPECT_EQ(chunk_in_steps(data, path, 1 << 20),
                  (std::vector<size_t>{kChunkMax, kChunkMax, (1 << 20) + 3}));
    // The longest file of one chunk, and its neighbours.
    for (size_t size : {kChunkMax - 1, kChunkMax})
        EXPECT_EQ(chunk_in_steps(ByteView(data).first(size), ChunkerPath::scalar),
                  std::vector<size_t>{size});
    EXPECT_EQ(chunk_in_steps(ByteView(data).first(kChunkMax + 1), ChunkerPath::scalar),
              (std::vector<size_t>{kChunkMax, 1}));
}

// A single cut beside every limit: the result follows from the rules alone.
TEST(Chunker, CutsBesideTheLimits) {
    const Bytes plain(kChunkMax + (64 << 10), 1);
    for (size_t length : {kChunkMin - 1, kChunkMin, kChunkMin + 1, kChunkMin + 63, kChunkMin + 64,
                          kChunkMin + 65, kChunkMax - 1, kChunkMax, kChunkMax + 1}) {
        Bytes data = plain;
        plant_cut(data, length - 1);
        // The planted bytes disturb the windows after them, too: take what the definition finds.
        size_t expected = kChunkMax;
        for (size_t n = std::max(length - 1, kChunkMin - 1); n < std::min(length + 64, kChunkMax);
             ++n)
            if (naive_is_cut(data, n)) {
                expected = n + 1;
                break;
            }
        if (length >= kChunkMin && length <= kChunkMax) {
            ASSERT_EQ(expected, length);
        }
        for (ChunkerPath path : all_paths())
            for (size_t step : {size_t{256} << 10, size_t{100003}}) {
                // Only as much as the first chunk needs.
                size_t size = std::min(data.size(), expected + (64 << 10));
                EXPECT_EQ(chunk_in_steps(ByteView(data).first(size), path, step).front(), expected)
                    << length;
            }
    }
}

// The smallest position is found wherever the cuts lie: in one stripe, in several, at the ends.
TEST(FindCut, FindsTheFirstOfPlantedCuts) {
    ASSERT_TRUE(rc::check([](uint32_t seed) {
        SplitMix64 random(seed);
        size_t sizes[] = {200, 600, 1100, 5000, 70000, 150000};
        size_t size = 64 + random.below(sizes[random.below(6)]);
        Bytes data(size, static_cast<uint8_t>(1 + random.below(255)));
        for (uint64_t i = random.below(6); i > 0; --i)
            plant_cut(data, 63 + random.below(size - 63));
        size_t from = 63 + random.below(std::min<uint64_t>(size - 63, 1 + random.below(size)));
        std::optional<size_t> expected;
        // The definition is slow: the fingerprint of runs of one byte is known not to be a cut.
        for (size_t n = from; n < size && !expected; ++n)
            if ((tables().fingerprint(ByteView(data).subspan(n - 63, 64)) & 0xfffff) == 0)
                expected = n;
        for (ChunkerPath path : all_paths())
            RC_ASSERT(tables().find_cut(data, from, path) == expected);
    }));
}

TEST(FindCut, EveryStripeAndItsBorders) {
    // A cut at every third position, and at every one of the end, where single positions remain.
    constexpr size_t kSize = 32 * 64 * 4 + 1000;
    const Bytes plain(kSize, 7);
    for (size_t n = 63; n < kSize; n += n < kSize - 150 ? 3 : 1) {
        Bytes data = plain;
        plant_cut(data, n);
        for (ChunkerPath path : all_paths()) {
            ASSERT_EQ(tables().find_cut(data, 63, path), n);
            ASSERT_EQ(tables().find_cut(data, n, path), n);
            ASSERT_EQ(tables().find_cut(ByteView(data).first(n), 63, path), std::nullopt);
        }
    }
}

TEST(FindCut, BordersBetweenTheBlocksOfAScan) {
    // Sizes of whole blocks of 16 and 32 stripes, from the first position that stripes take.
    constexpr size_t kBlock = 16 * 64 * 33;
    const Bytes plain(64 + 5 * kBlock + 777, 7);
    for (size_t block = 0; block <= 5; ++block)
        for (size_t n = 64 + block * kBlock - 1; n <= 64 + block * kBlock + 2; ++n) {
            Bytes data = plain;
            plant_cut(data, n);
            for (ChunkerPath path : all_paths()) {
                EXPECT_EQ(tables().find_cut(data, 63, path), n);
                if (n >= 64) {
                    EXPECT_EQ(tables().find_cut(data, 64, path), n);
                }
            }
        }
}

// Data so periodic that a cut, where there is one, comes again and again in every stripe.
TEST(FindCut, PeriodicData) {
    for (size_t period : {1, 2, 3, 64, 65, 100, 2112, 4096}) {
        Bytes data = noise(period, 200000);
        plant_cut(data, 90 + period / 2);
        for (size_t i = 100 + period; i < data.size(); ++i) data[i] = data[i - period];
        for (size_t from : {63, 64, 65, 200, 4321, 77777, 199999, 200000}) {
            std::optional<size_t> expected = tables().find_cut(data, from, ChunkerPath::scalar);
            if (expected) {
                EXPECT_TRUE(naive_is_cut(data, *expected));
            }
            for (ChunkerPath path : all_paths())
                EXPECT_EQ(tables().find_cut(data, from, path), expected) << period << " " << from;
        }
    }
}

TEST(FindCut, AllPathsFindAllCutsOfRandomData) {
    ChunkerTables other(0x2482734cacca49);
    for (const ChunkerTables* t : {&tables(), static_cast<const ChunkerTables*>(&other)}) {
        Bytes data = noise(99, 16 << 20);
        std::vector<std::vector<size_t>> found;
        for (ChunkerPath path : all_paths()) {
            std::vector<size_t> cuts;
            size_t from = 63;
            while (auto n = t->find_cut(data, from, path)) {
                cuts.push_back(*n);
                from = *n + 1;
            }
            found.push_back(cuts);
            EXPECT_EQ(cuts, found.front());
        }
        EXPECT_GT(found.front().size(), 4U);
        for (size_t n : found.front())
            EXPECT_EQ(
                naive_fingerprint(ByteView(data).subspan(n - 63, 64), t->polynomial()) & 0xfffff,
                0U);
    }
}

// However the file arrives, the chunks are the same.
TEST(Chunker, AnySplitOfTheBufferGivesTheSameChunks) {
    Bytes random = noise(5, 6 << 20);
    // Zeros, periods and noise in one file.
    Bytes mixed(3 << 20, 0);
    append(mixed, noise(6, 2 << 20));
    for (size_t i = 0; i < (2 << 20); ++i) mixed.push_back(static_cast<uint8_t>(i % 251));
    append(mixed, noise(7, 1 << 20));
    for (const Bytes& data : {random, mixed}) {
        auto expected = chunk_in_steps(data, ChunkerPath::scalar, data.size());
        EXPECT_GT(expected.size(), 3U);
        // Steps of up to 512 bytes to 4 MiB.
        for (int bits : {9, 12, 16, 18, 20, 22})
            for (ChunkerPath path : all_paths()) {
                uint64_t seed = std::random_device{}();
                SplitMix64 steps(seed);
                auto step = [&] { return 1 + steps.below(uint64_t{1} << bits); };
                EXPECT_EQ(chunk(data, path, step), expected) << bits << " bits, seed " << seed;
            }
    }
}

TEST(Chunker, SmallFilesAreOneChunk) {
    Bytes data = noise(8, kChunkMin);
    for (ChunkerPath path : all_paths()) {
        EXPECT_TRUE(chunk_in_steps({}, path).empty());
        for (size_t size : {size_t{1}, size_t{63}, size_t{64}, kChunkMin - 1, kChunkMin})
            EXPECT_EQ(chunk_in_steps(ByteView(data).first(size), path), std::vector<size_t>{size});
    }
}

}  // namespace
}  // namespace sevenfold::repository
