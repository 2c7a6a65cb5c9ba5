#include "repository/index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>
#include <thread>
#include <tuple>

#include "core/error.h"
#include "core/random.h"

namespace sevenfold::repository {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Id random_id(SplitMix64& random) {
    Id id;
    for (size_t i = 0; i < Id::kSize; i += 8) {
        uint64_t word = random.next();
        std::memcpy(id.bytes.data() + i, &word, 8);
    }
    return id;
}

Id id_of(uint64_t n) {
    SplitMix64 random(n);
    return random_id(random);
}

PackedBlob blob(uint64_t n, uint32_t offset, BlobType type = BlobType::data, uint32_t length = 100,
                uint32_t uncompressed = 0) {
    return {{type, id_of(n)}, offset, length, uncompressed};
}

TEST(Index, AnEmptyOneHasNothing) {
    Index index;
    index.freeze();
    EXPECT_FALSE(index.has({BlobType::data, id_of(1)}));
    EXPECT_FALSE(index.find({BlobType::data, id_of(1)}));
    EXPECT_THAT(index.find_all({BlobType::data, id_of(1)}), IsEmpty());
    EXPECT_EQ(index.blob_count(), 0u);
    index.for_each_pack([](const IndexedPack&) { FAIL(); });
}

TEST(Index, DataAndTreeOfOneIdAreTwoBlobs) {
    Index index;
    index.append({id_of(100), {blob(1, 0)}});
    index.append({id_of(101), {blob(1, 7, BlobType::tree)}});
    index.freeze();
    EXPECT_EQ(index.find({BlobType::data, id_of(1)})->pack, id_of(100));
    EXPECT_EQ(index.find({BlobType::tree, id_of(1)})->pack, id_of(101));
    EXPECT_THAT(index.find_all({BlobType::tree, id_of(1)}), SizeIs(1));
    EXPECT_FALSE(index.is_tree_pack(id_of(100)));
    EXPECT_TRUE(index.is_tree_pack(id_of(101)));
}

TEST(Index, APackOfBothTypesIsATreePack) {
    Index index;
    index.append({id_of(100), {blob(1, 0), blob(2, 100, BlobType::tree)}});
    index.freeze();
    EXPECT_TRUE(index.is_tree_pack(id_of(100)));
}

TEST(Index, FindsEveryCopyInEveryPack) {
    Index index;
    index.append({id_of(100), {blob(1, 0)}});
    index.append({id_of(101), {blob(1, 50)}});
    index.append({id_of(100), {blob(1, 0)}});  // the same pack in a second index file
    index.freeze();
    index.add({id_of(102), {blob(1, 9)}});
    EXPECT_THAT(index.find_all({BlobType::data, id_of(1)}), SizeIs(3));
    EXPECT_EQ(index.blob_count(), 3u);
    EXPECT_EQ(index.pack_count(), 3u);
}

TEST(Index, KeepsLengthsOfAnySize) {
    constexpr uint32_t kLengths[] = {32, 0xfffffe, 0xffffff, 0x1000000, 0xffffffff};
    std::vector<PackedBlob> blobs;
    uint32_t n = 0;
    for (uint32_t length : kLengths)
        for (uint32_t uncompressed : {0u, 1u, 0xfffffeu, 0xffffffu, 0x1000000u, 0xffffffffu})
            blobs.push_back(blob(n, n * 1000, BlobType::data, length, uncompressed)), ++n;
    for (bool bulk : {true, false}) {
        Index index;
        if (bulk) {
            index.append({id_of(999), blobs});
            index.freeze();
        } else {
            index.add({id_of(999), blobs});
        }
        for (const PackedBlob& b : blobs) EXPECT_EQ(index.find(b.handle)->blob, b);
        index.for_each_pack([&](const IndexedPack& pack) { EXPECT_EQ(pack.blobs, blobs); });
    }
}

// Nothing but a damaged or hostile index has them.
TEST(Index, TellsLongBlobsAtOneOffsetApart) {
    std::vector<PackedBlob> blobs;
    for (uint32_t n = 0; n < 4; ++n)
        blobs.push_back(blob(n, 7, BlobType::data, 0xffffff + n / 2, 0x1000000 + n % 2));
    Index index;
    index.append({id_of(999), blobs});
    index.append({id_of(999), blobs});
    index.freeze();
    EXPECT_EQ(index.blob_count(), 4u);
    for (const PackedBlob& b : blobs) EXPECT_EQ(index.find(b.handle)->blob, b);
}

using Place = std::tuple<Id, uint32_t, uint32_t, uint32_t>;  // pack, offset, both lengths
Place place(const BlobLocation& l) {
    return {l.pack, l.blob.offset, l.blob.length, l.blob.uncompressed_length};
}

// Ids that meet in their first bytes, their last bytes or altogether.
Id colliding_id() {
    Id id;
    id.bytes[0] = *rc::gen::element<uint8_t>(0, 1, 255);
    id.bytes[1] = *rc::gen::element<uint8_t>(0, 255);
    id.bytes[31] = *rc::gen::element<uint8_t>(0, 1, 2, 255);
    return id;
}

RC_GTEST_PROP(IndexProperty, IsAMultimap, ()) {
    Index index;
    std::map<BlobHandle, std::set<Place>> model;
    std::map<Id, std::set<std::pair<uint32_t, BlobHandle>>> packs;
    std::vector<IndexedPack> appended;
    auto make_pack = [&](uint64_t number) {
        IndexedPack pack{id_of(number), {}};
        uint32_t offset = 0;
        for (size_t n = *rc::gen::inRange<size_t>(1, 12); n > 0; --n) {
            PackedBlob b{{*rc::gen::element(BlobType::data, BlobType::tree), colliding_id()},
                         offset,
                         *rc::gen::element<uint32_t>(32, 1000, 0xffffff, 0x2000000),
                         *rc::gen::element<uint32_t>(0, 5, 0xffffff, 0x3000000)};
            offset += b.length;
            pack.blobs.push_back(b);
            model[b.handle].insert({pack.pack, b.offset, b.length, b.uncompressed_length});
            packs[pack.pack].insert({b.offset, b.handle});
        }
        return pack;
    };
    size_t bulk = *rc::gen::inRange<size_t>(0, 8), added = *rc::gen::inRange<size_t>(0, 8);
    for (size_t i = 0; i < bulk; ++i) appended.push_back(make_pack(i));
    for (const IndexedPack& pack : appended) index.append(pack);
    for (const IndexedPack& pack : appended)
        if (*rc::gen::inRange(0, 3) == 0) index.append(pack);
    index.freeze();
    for (size_t i = 0; i < added; ++i) index.add(make_pack(1000 + i));

    size_t total = 0;
    for (const auto& [handle, places] : model) {
        std::set<Place> found;
        for (const BlobLocation& l : index.find_all(handle)) {
            RC_ASSERT(l.blob.handle == handle);
            RC_ASSERT(found.insert(place(l)).second);
        }
        RC_ASSERT(found == places);
        RC_ASSERT(index.has(handle));
        RC_ASSERT(places.contains(place(*index.find(handle))));
        total += places.size();
    }
    RC_ASSERT(index.blob_count() == total);
    for (int i = 0; i < 20; ++i) {
        BlobHandle other{*rc::gen::element(BlobType::data, BlobType::tree), colliding_id()};
        RC_ASSERT(index.has(other) == model.contains(other));
        RC_ASSERT(index.find(other).has_value() == model.contains(other));
    }
    std::map<BlobHandle, std::set<Place>> seen;
    index.for_each([&](const BlobLocation& l) { seen[l.blob.handle].insert(place(l)); });
    RC_ASSERT(seen == model);
    decltype(packs) by_pack;
    index.for_each_pack([&](const IndexedPack& pack) {
        RC_ASSERT(std::is_sorted(pack.blobs.begin(), pack.blobs.end(),
                                 [](auto& a, auto& b) { return a.offset < b.offset; }));
        for (const PackedBlob& b : pack.blobs) by_pack[pack.pack].insert({b.offset, b.handle});
    });
    RC_ASSERT(by_pack == packs);
}

TEST(Index, ManyNewBlobsMoveToATableOfTheirOwn) {
    constexpr uint64_t kPerPack = 4096, kPacks = 140;  // two spills and a rest
    Index index;
    for (uint64_t p = 0; p < kPacks; ++p) {
        IndexedPack pack{id_of(1'000'000'000 + p), {}};
        for (uint64_t b = 0; b < kPerPack; ++b)
            pack.blobs.push_back(blob(p * kPerPack + b, static_cast<uint32_t>(b * 100)));
        index.add(pack);
    }
    EXPECT_EQ(index.blob_count(), kPacks * kPerPack);
    EXPECT_EQ(index.pack_count(), kPacks);
    for (uint64_t n = 0; n < kPacks * kPerPack; n += 97) {
        auto found = index.find({BlobType::data, id_of(n)});
        ASSERT_TRUE(found) << n;
        ASSERT_EQ(found->pack, id_of(1'000'000'000 + n / kPerPack));
        ASSERT_EQ(found->blob.offset, n % kPerPack * 100);
    }
    size_t packs = 0;
    index.for_each_pack([&](const IndexedPack& pack) {
        ++packs;
        ASSERT_EQ(pack.blobs.size(), kPerPack);
    });
    EXPECT_EQ(packs, kPacks);
}

TEST(Index, AMillionBlobsTakeAtMost48BytesEach) {
    constexpr uint64_t kPerPack = 20'000, kPacks = 50;
    Index index;
    SplitMix64 random(7);
    for (uint64_t p = 0; p < kPacks; ++p) {
        IndexedPack pack{random_id(random), {}};
        for (uint64_t b = 0; b < kPerPack; ++b)
            pack.blobs.push_back(
                {{BlobType::data, random_id(random)}, static_cast<uint32_t>(b), 800, 1000});
        index.append(pack);
    }
    index.freeze();
    EXPECT_EQ(index.blob_count(), kPacks * kPerPack);
    EXPECT_LE(static_cast<double>(index.memory_bytes()) / (kPacks * kPerPack), 48.0);
}

TEST(Index, IsLookedUpWhileItGrows) {
    Index index;
    std::atomic<uint64_t> added{0};
    std::vector<std::thread> readers;
    for (int t = 0; t < 2; ++t)
        readers.emplace_back([&] {
            for (uint64_t last = 0; last < 300; last = added) {
                for (uint64_t n = last > 5 ? last - 5 : 0; n < last; ++n)
                    ASSERT_TRUE(index.has({BlobType::data, id_of(n)})) << n;
                EXPECT_FALSE(index.find({BlobType::data, id_of(5000)}));
            }
        });
    for (uint64_t n = 0; n < 300; ++n) {
        index.add({id_of(10'000 + n), {blob(n, 0)}});
        added = n + 1;
    }
    for (auto& reader : readers) reader.join();
}

std::vector<IndexedPack> decode(std::string_view json) {
    std::vector<IndexedPack> out;
    decode_index(as_bytes(json), [&](IndexedPack&& pack) { out.push_back(std::move(pack)); });
    return out;
}

TEST(IndexJson, IsExactlyResticsForm) {
    IndexedPack pack{id_of(1),
                     {blob(2, 0, BlobType::data, 150, 300), blob(3, 150, BlobType::tree, 40)}};
    EXPECT_EQ(
        encode_index(std::vector{pack}),
        fmt::format(
            R"({{"packs":[{{"id":"{}","blobs":[)"
            R"({{"id":"{}","type":"data","offset":0,"length":150,"uncompressed_length":300}},)"
            R"({{"id":"{}","type":"tree","offset":150,"length":40}}]}}]}})"
            "\n",
            id_of(1).hex(), id_of(2).hex(), id_of(3).hex()));
}

RC_GTEST_PROP(IndexJsonProperty, ComesBackAsItWas, ()) {
    std::vector<IndexedPack> packs;
    for (size_t p = *rc::gen::inRange<size_t>(0, 5); p > 0; --p) {
        IndexedPack pack{colliding_id(), {}};
        for (size_t b = *rc::gen::inRange<size_t>(0, 5); b > 0; --b)
            pack.blobs.push_back(
                {{*rc::gen::element(BlobType::data, BlobType::tree), colliding_id()},
                 *rc::gen::arbitrary<uint32_t>(),
                 *rc::gen::inRange<uint32_t>(32, UINT32_MAX),
                 *rc::gen::arbitrary<uint32_t>()});
        packs.push_back(std::move(pack));
    }
    auto back = decode(encode_index(packs));
    RC_ASSERT(back.size() == packs.size());
    for (size_t i = 0; i < packs.size(); ++i) {
        RC_ASSERT(back[i].pack == packs[i].pack);
        RC_ASSERT(back[i].blobs == packs[i].blobs);
    }
}

TEST(IndexJson, SkipsWhatItDoesNotKnow) {
    std::string id = id_of(1).hex();
    auto packs = decode(
        R"({"supersedes":[")" + id + R"("],"x":{"y":[1]},"packs":[{"z":null,"id":")" + id +
        R"(","blobs":[{"id":")" + id + R"(","type":"data","offset":1,"length":32,"new":true}]}]})");
    ASSERT_THAT(packs, SizeIs(1));
    EXPECT_EQ(packs[0].blobs.at(0).offset, 1u);
    EXPECT_THAT(decode(R"({"packs":null})"), IsEmpty());
    EXPECT_THAT(decode("{}"), IsEmpty());
}

TEST(IndexJson, RefusesWhatIsNotAnIndex) {
    const std::string id = id_of(1).hex();
    auto with_blob = [&](const std::string& fields) {
        return R"({"packs":[{"id":")" + id + R"(","blobs":[{)" + fields + "}]}]}";
    };
    const std::string type = R"("type":"data",)", own = R"("id":")" + id + R"(",)";
    EXPECT_THAT(decode(with_blob(own + type + R"("offset":0,"length":32)")), SizeIs(1));
    const std::string bad[] = {
        "",
        "[]",
        "null",
        "{\"packs\":{}}",
        "{\"packs\":[]} x",
        "{\"packs\":[",
        R"({"packs":[{"blobs":[]}]})",
        R"({"packs":[{"id":"12","blobs":[]}]})",
        with_blob(own + type + R"("offset":0,"length":31)"),
        with_blob(own + type + R"("offset":0)"),
        with_blob(own + type + R"("length":32)"),
        with_blob(own + R"("offset":0,"length":32)"),
        with_blob(type + R"("offset":0,"length":32)"),
        with_blob(own + R"("type":"file","offset":0,"length":32)"),
        with_blob(own + type + R"("offset":-1,"length":32)"),
        with_blob(own + type + R"("offset":0,"length":4294967296)"),
        with_blob(own + type + R"("offset":0.5,"length":32)"),
        with_blob(own + type + R"("offset":"0","length":32)"),
    };
    for (const std::string& json : bad) try {
            decode(json);
            ADD_FAILURE() << "accepted: " << json;
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::corrupt) << json;
            EXPECT_THAT(error.message(), HasSubstr("index")) << json;
        }
}

}  // namespace
}  // namespace sevenfold::repository
