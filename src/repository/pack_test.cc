#include "repository/pack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/error.h"
#include "core/random.h"
#include "storage/testing/contract.h"

namespace sevenfold::repository {
namespace {

using storage::expect_error;
using storage::test_body;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Id id_of(ByteView content) { return crypto::sha256(content); }

class PackTest : public ::testing::Test {
  protected:
    // Adds a raw blob and remembers it.
    void add(PackBuilder& builder, size_t size, uint64_t seed) {
        Bytes body = test_body(size, seed);
        builder.add(cipher_, id_of(body), body, 0);
        bodies_[id_of(body)] = body;
    }
    // The list from the file's own header; every blob opened and compared.
    void expect_good(const PackBuilder::Finished& pack) {
        EXPECT_EQ(pack.id, id_of(pack.file));
        EXPECT_EQ(pack_file_size(pack.blobs), pack.file.size());
        HeaderResult header = read_pack_header(pack.file, pack.file.size(), cipher_);
        EXPECT_EQ(header.bytes_needed, 0u);
        EXPECT_EQ(header.blobs, pack.blobs);
        for (const PackedBlob& blob : header.blobs) {
            Bytes plaintext;
            ASSERT_TRUE(
                cipher_.open(ByteView(pack.file).subspan(blob.offset, blob.length), plaintext));
            EXPECT_EQ(plaintext, bodies_.at(blob.handle.id));
        }
    }
    // A pack file whose header says what we like.
    Bytes file_with_header(ByteView header, size_t before = 0) {
        Bytes file(before, 0x5a);
        append(file, cipher_.seal(header));
        uint8_t length[4];
        put_le32(length, static_cast<uint32_t>(header.size() + crypto::kEnvelopeOverhead));
        append(file, length);
        return file;
    }

    crypto::CipherKey key_ = crypto::CipherKey::generate();
    crypto::Cipher cipher_{key_};
    std::map<Id, Bytes> bodies_;
};

TEST_F(PackTest, HoldsWhatWasAdded) {
    PackBuilder builder(BlobType::tree);
    EXPECT_TRUE(builder.empty());
    add(builder, 0, 1);
    add(builder, 1, 2);
    add(builder, 100'000, 3);
    // Hashing on the way must not change the id.
    builder.hash().update(builder.unhashed());
    builder.mark_hashed();
    EXPECT_THAT(builder.unhashed(), IsEmpty());
    add(builder, 5000, 4);
    auto pack = builder.finish(cipher_);
    EXPECT_THAT(pack.blobs, SizeIs(4));
    EXPECT_EQ(pack.blobs[0].handle.type, BlobType::tree);
    expect_good(pack);
    EXPECT_TRUE(builder.empty());
}

TEST_F(PackTest, ABuilderIsUsedAgain) {
    PackBuilder builder(BlobType::data);
    add(builder, 1000, 1);
    builder.hash().update(builder.unhashed());
    builder.mark_hashed();
    Bytes recycled = test_body(50'000, 99);
    expect_good(builder.finish(cipher_, std::move(recycled)));
    EXPECT_EQ(builder.size(), 0u);
    add(builder, 2000, 2);
    auto second = builder.finish(cipher_);
    EXPECT_THAT(second.blobs, SizeIs(1));
    expect_good(second);
}

TEST_F(PackTest, AbsorbsAnother) {
    PackBuilder into(BlobType::data), other(BlobType::data);
    add(into, 1000, 1);
    into.hash().update(into.unhashed());
    into.mark_hashed();
    add(other, 70'000, 2);
    add(other, 3, 3);
    other.hash().update(other.unhashed());
    other.mark_hashed();
    into.absorb(other);
    add(into, 10, 4);
    auto pack = into.finish(cipher_);
    EXPECT_THAT(pack.blobs, SizeIs(4));
    expect_good(pack);
}

TEST_F(PackTest, IsFullAtItsTarget) {
    PackBuilder builder(BlobType::data);
    add(builder, 967, 1);
    EXPECT_FALSE(builder.full(1000));
    add(builder, 0, 2);
    EXPECT_TRUE(builder.full(1000));
}

// Two packs of tiny blobs may be small enough for one file, but not for one header.
TEST_F(PackTest, DoesNotAbsorbMoreThanAHeaderHolds) {
    PackBuilder builders[2] = {PackBuilder(BlobType::data), PackBuilder(BlobType::data)};
    for (PackBuilder& builder : builders)
        for (uint32_t n = 0; n < 205'000; ++n) {
            uint8_t body[2] = {static_cast<uint8_t>(n), static_cast<uint8_t>(n >> 8)};
            Id id;
            std::memcpy(id.bytes.data(), &n, sizeof n);
            builder.add(cipher_, id, body, 0);
        }
    EXPECT_LE(builders[0].size() + builders[1].size(), kPackTarget);
    EXPECT_FALSE(builders[0].fits(builders[1], kPackTarget));
    PackBuilder small(BlobType::data);
    add(small, 10, 1);
    EXPECT_TRUE(builders[0].fits(small, kPackTarget));
    EXPECT_FALSE(builders[0].fits(small, builders[0].size()));
}

TEST_F(PackTest, ReadsTheHeaderFromTheEndOfTheFile) {
    PackBuilder builder(BlobType::data);
    for (uint64_t n = 0; n < 40; ++n) add(builder, 200, n);
    auto pack = builder.finish(cipher_);
    size_t header = 40 * kHeaderEntryRaw + crypto::kEnvelopeOverhead + 4;
    ByteView file = pack.file;
    for (size_t tail : {size_t{0}, size_t{3}, size_t{4}, size_t{100}, header - 1}) {
        HeaderResult result = read_pack_header(file.last(tail), file.size(), cipher_);
        EXPECT_GT(result.bytes_needed, tail);
        EXPECT_LE(result.bytes_needed, header);
        EXPECT_THAT(result.blobs, IsEmpty());
    }
    EXPECT_EQ(read_pack_header(file.last(4), file.size(), cipher_).bytes_needed, header);
    EXPECT_EQ(read_pack_header(file.last(header), file.size(), cipher_).blobs, pack.blobs);
}

TEST_F(PackTest, RefusesHostileLengths) {
    Bytes good = file_with_header({});
    EXPECT_THAT(read_pack_header(good, good.size(), cipher_).blobs, IsEmpty());
    for (uint32_t length : {0u, 31u, 33u, 1u << 24, (1u << 24) + 1, 0xffffffffu}) {
        Bytes bad = good;
        put_le32(bad.data() + bad.size() - 4, length);
        expect_error(ErrorKind::corrupt, [&] { read_pack_header(bad, bad.size(), cipher_); });
        // Also when only the tail is there: no gigabytes are asked for.
        expect_error(ErrorKind::corrupt,
                     [&] { read_pack_header(ByteView(bad).last(4), bad.size(), cipher_); });
    }
    for (size_t size : {0, 4, 35})
        expect_error(ErrorKind::corrupt, [&] { read_pack_header(Bytes(size), size, cipher_); });
}

TEST_F(PackTest, RefusesDamagedAndForeignHeaders) {
    PackBuilder builder(BlobType::data);
    add(builder, 200, 1);
    auto pack = builder.finish(cipher_);
    for (size_t at = pack.file.size() - 4 - 32 - kHeaderEntryRaw; at < pack.file.size() - 4; ++at) {
        Bytes bad = pack.file;
        bad[at] ^= 0x80;
        expect_error(ErrorKind::corrupt, [&] { read_pack_header(bad, bad.size(), cipher_); });
    }
    crypto::Cipher other(crypto::CipherKey::generate());
    expect_error(ErrorKind::corrupt, [&] { read_pack_header(pack.file, pack.file.size(), other); });
    // A file that is longer or shorter than its blobs.
    Bytes longer(1, 0);
    append(longer, pack.file);
    Error error =
        expect_error(ErrorKind::corrupt, [&] { read_pack_header(longer, longer.size(), cipher_); });
    EXPECT_THAT(error.message(), HasSubstr("add up"));
}

Bytes entry(uint8_t type, uint32_t length, std::optional<uint32_t> uncompressed = {}) {
    Bytes out(1 + 4 + (uncompressed ? 4 : 0) + 32, 7);
    out[0] = type;
    put_le32(out.data() + 1, length);
    if (uncompressed) put_le32(out.data() + 5, *uncompressed);
    return out;
}

TEST_F(PackTest, RefusesHostileEntries) {
    EXPECT_THAT(decode_pack_header(entry(0, 32)), SizeIs(1));
    EXPECT_THAT(decode_pack_header(entry(3, 32, 1)), SizeIs(1));
    Bytes too_much = entry(0, 0xffffffff);
    append(too_much, entry(1, 32));
    Bytes broken_off = entry(2, 100, 100);
    append(broken_off, ByteView(broken_off).first(36));
    for (const Bytes& bad : {entry(4, 100), entry(255, 100), entry(0, 31), entry(2, 100, 0),
                             too_much, broken_off, Bytes(kMaxHeader + 1)})
        expect_error(ErrorKind::corrupt, [&] { decode_pack_header(bad); });
}

RC_GTEST_PROP(PackProperty, HeadersComeBackAsTheyWere, ()) {
    std::vector<PackedBlob> blobs;
    uint32_t offset = 0;
    for (size_t n = *rc::gen::inRange<size_t>(0, 30); n > 0; --n) {
        PackedBlob blob;
        blob.handle.type = *rc::gen::element(BlobType::data, BlobType::tree);
        blob.handle.id.bytes[3] = *rc::gen::arbitrary<uint8_t>();
        blob.offset = offset;
        blob.length = *rc::gen::inRange<uint32_t>(32, 100'000'000);
        blob.uncompressed_length = *rc::gen::element<uint32_t>(0, 1, 5000, 0xffffffff);
        offset += blob.length;
        blobs.push_back(blob);
    }
    Bytes header = encode_pack_header(blobs);
    RC_ASSERT(decode_pack_header(header) == blobs);
    RC_ASSERT(pack_file_size(blobs) == offset + header.size() + crypto::kEnvelopeOverhead + 4);
    if (!header.empty()) {
        header.resize(*rc::gen::inRange<size_t>(0, header.size()));
        try {
            auto fewer = decode_pack_header(header);
            RC_ASSERT(fewer.size() < blobs.size());
            RC_ASSERT(std::equal(fewer.begin(), fewer.end(), blobs.begin()));
        } catch (const Error& error) {
            RC_ASSERT(error.kind() == ErrorKind::corrupt);
        }
    }
}

}  // namespace
}  // namespace sevenfold::repository
