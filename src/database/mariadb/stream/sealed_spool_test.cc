#include "database/mariadb/stream/sealed_spool.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "database/mariadb/stream/second_spool.h"
#include "os/file.h"
#include "storage/testing/contract.h"

namespace sevenfold::database::mariadb {
namespace {

const std::string kIncarnation = "0001-server1-20260101T000000Z";

Bytes noise(size_t size, unsigned seed) {
    std::mt19937 random(seed);
    Bytes out(size);
    for (uint8_t& b : out) b = static_cast<uint8_t>(random());
    return out;
}

Bytes content(const LogArchive& archive, size_t number) {
    Bytes out(archive.segments().at(number).size);
    EXPECT_EQ(archive.read(number, 0, out), out.size());
    return out;
}

struct SealedSpool : testing::Test {
    crypto::CipherKey key = crypto::CipherKey::generate();
    storage::TestFolder folder;
    std::unique_ptr<PartStore> store = open_part_folder(folder / "s");

    // Writes `bytes` at `offset` in pieces, in a session of its own.
    void write(const std::string& file, uint64_t offset, ByteView bytes, size_t piece = 1000) {
        auto target = open_folder_target(folder / "s", key);
        while (!bytes.empty()) {
            ByteView next = bytes.first(std::min(piece, bytes.size()));
            target->append(kIncarnation, file, offset, next);
            offset += next.size();
            bytes = bytes.subspan(next.size());
        }
        target->sync();
    }
    std::string part(uint32_t session) {
        return folder / ("s/" + kIncarnation + "/" + part_name("bin.000001", session));
    }
};

TEST_F(SealedSpool, GivesBackWhatWasWritten) {
    Bytes one = noise(700'000, 1), two = noise(5000, 2);
    write("bin.000001", 0, ByteView(one).first(300'000), 290'000);
    write("bin.000001", 300'000, ByteView(one).subspan(300'000));
    write("bin.000002", 0, two);
    auto archive = open_sealed_spool(*store, key);
    ASSERT_EQ(archive->segments().size(), 2u);
    EXPECT_EQ(archive->segments()[0], (LogSegment{kIncarnation, "bin.000001", one.size()}));
    EXPECT_EQ(content(*archive, 0), one);
    EXPECT_EQ(content(*archive, 1), two);
    Bytes middle(1234);
    EXPECT_EQ(archive->read(0, 299'500, middle), middle.size());
    EXPECT_TRUE(std::equal(middle.begin(), middle.end(), one.begin() + 299'500));
}

TEST_F(SealedSpool, HoldsNoPlaintext) {
    std::string secret = "the customers' secret data, which must not be readable";
    write("bin.000001", 0, as_bytes(secret));
    EXPECT_EQ(std::string(as_text(os::read_file(part(1)))).find(secret.substr(0, 12)),
              std::string::npos);
}

TEST_F(SealedSpool, EveryTornEndGivesAPrefix) {
    Bytes all = noise(2500, 3);
    write("bin.000001", 0, all, 500);
    Bytes whole = os::read_file(part(1));
    for (size_t size = whole.size(); size-- > 0; size -= std::min<size_t>(size, 37)) {
        ASSERT_EQ(truncate(part(1).c_str(), static_cast<off_t>(size)), 0);
        auto archive = open_sealed_spool(*store, key);
        if (archive->segments().empty()) {
            EXPECT_LT(size, 700u);
            continue;
        }
        Bytes got = content(*archive, 0);
        EXPECT_EQ(got.size() % 500, 0u);
        EXPECT_TRUE(std::equal(got.begin(), got.end(), all.begin()));
    }
    // What came again, in a later session, fills the rest.
    write("bin.000001", 0, all, 800);
    EXPECT_EQ(content(*open_sealed_spool(*store, key), 0), all);
}

TEST_F(SealedSpool, LaterSessionsWin) {
    Bytes old = noise(3000, 4), fresh = noise(1500, 5), end = noise(100, 6);
    write("bin.000001", 0, old, 3000);
    write("bin.000001", 1000, fresh, 700);
    auto archive = open_sealed_spool(*store, key);
    Bytes expected = old;
    std::copy(fresh.begin(), fresh.end(), expected.begin() + 1000);
    EXPECT_EQ(content(*archive, 0), expected);
    write("bin.000001", 5000, end);  // after a hole: not reachable
    EXPECT_EQ(content(*open_sealed_spool(*store, key), 0), expected);
}

TEST_F(SealedSpool, DamageEndsAPartAndNothingElse) {
    Bytes all = noise(5000, 7);
    write("bin.000001", 0, all, 1000);
    Bytes bytes = os::read_file(part(1));
    bytes[bytes.size() / 2] ^= 1;
    os::write_file_atomically(part(1), bytes);
    auto archive = open_sealed_spool(*store, key);
    EXPECT_EQ(content(*archive, 0), to_bytes(ByteView(all).first(2000)));
}

TEST_F(SealedSpool, FramesOfAnotherFileOrKeyAreRefused) {
    write("bin.000001", 0, noise(1000, 8));
    std::filesystem::copy(part(1),
                          folder / ("s/" + kIncarnation + "/" + part_name("bin.000009", 1)));
    auto archive = open_sealed_spool(*store, key);
    ASSERT_EQ(archive->segments().size(), 1u);
    EXPECT_EQ(archive->segments()[0].name, "bin.000001");
    EXPECT_TRUE(open_sealed_spool(*store, crypto::CipherKey::generate())->segments().empty());
}

TEST_F(SealedSpool, WhatWasCutOffDoesNotComeBack) {
    Bytes all = noise(3000, 10), more = noise(500, 11);
    write("bin.000001", 0, all, 1000);
    auto target = open_folder_target(folder / "s", key);
    target->cut(kIncarnation, "bin.000001", 1500);
    target->cut(kIncarnation, "bin.000007", 10);  // nothing is known of it
    target->sync();
    Bytes expected = to_bytes(ByteView(all).first(1500));
    EXPECT_EQ(content(*open_sealed_spool(*store, key), 0), expected);
    EXPECT_EQ(store->list().size(), 2u);
    target->append(kIncarnation, "bin.000001", 1500, more);
    target->cut(kIncarnation, "bin.000001", 1800);
    target->sync();
    append(expected, ByteView(more).first(300));
    EXPECT_EQ(content(*open_sealed_spool(*store, key), 0), expected);
}

TEST_F(SealedSpool, PartsEndSoThatAReaderCanPassOverThem) {
    Bytes all = noise(2 * kMaxPart + 5000, 12);
    write("bin.000001", 0, all, 1 << 20);
    EXPECT_EQ(store->list().size(), 3u);
    EXPECT_EQ(content(*open_sealed_spool(*store, key), 0), all);
}

// Counts what is read.
struct CountingParts : PartStore {
    explicit CountingParts(PartStore& i) : inner(i) {}
    std::string location() const override { return inner.location(); }
    std::vector<Part> list() override { return inner.list(); }
    Bytes read(const Part& part, uint64_t offset, size_t length) override {
        Bytes got = inner.read(part, offset, length);
        bytes += got.size();
        return got;
    }
    void remove(const Part& part) override { inner.remove(part); }
    PartStore& inner;
    uint64_t bytes = 0;
};

TEST_F(SealedSpool, ContinuesAnotherArchive) {
    Bytes all = noise(60'000, 13), old = noise(100, 14), next = noise(300, 15);
    write("bin.000001", 0, ByteView(all).first(40'000));
    write("bin.000001", 40'000, ByteView(all).subspan(40'000));
    write("bin.000002", 0, next);
    // The base has the first file up to the middle of the second part, and one of its own.
    os::make_dirs(folder / ("base/" + kIncarnation));
    std::string base_file = folder / ("base/" + kIncarnation + "/bin.000001");
    os::write_file_atomically(base_file, ByteView(all).first(45'000));
    os::write_file_atomically(folder / ("base/" + kIncarnation + "/bin.000000"), old);
    auto base = open_log_folder(folder / "base");
    CountingParts counting(*store);
    auto archive = open_sealed_spool(counting, key, base.get());
    ASSERT_EQ(archive->segments().size(), 3u);
    EXPECT_EQ(archive->segments()[1].name, "bin.000001");
    EXPECT_LT(counting.bytes, 30'000u);  // not the first part
    EXPECT_EQ(content(*archive, 0), old);
    EXPECT_EQ(content(*archive, 1), all);
    EXPECT_EQ(content(*archive, 2), next);
    Bytes across(2000);
    EXPECT_EQ(archive->read(1, 44'000, across), across.size());
    EXPECT_TRUE(std::equal(across.begin(), across.end(), all.begin() + 44'000));
    // What the base has counts, whatever the parts say.
    write("bin.000001", 0, noise(60'000, 16));
    auto first = content(*open_sealed_spool(*store, key, base.get()), 1);
    EXPECT_TRUE(std::equal(first.begin(), first.begin() + 45'000, all.begin()));
    // A hole after the base: nothing is made up.
    std::filesystem::remove(part(2));
    std::filesystem::remove(part(4));
    EXPECT_EQ(content(*open_sealed_spool(*store, key, base.get()), 1),
              to_bytes(ByteView(all).first(45'000)));
}

TEST_F(SealedSpool, APartThatIsTrimmedMeanwhileIsNoError) {
    write("bin.000001", 0, noise(1000, 17));
    write("bin.000002", 0, noise(1000, 18));
    struct Stale : CountingParts {
        using CountingParts::CountingParts;
        std::vector<Part> list() override {
            auto parts = inner.list();
            for (const Part& p : parts)
                if (p.name.starts_with("bin.000001")) inner.remove(p);
            return parts;
        }
    } stale(*store);
    auto archive = open_sealed_spool(stale, key);
    ASSERT_EQ(archive->segments().size(), 1u);
    EXPECT_EQ(archive->segments()[0].name, "bin.000002");
}

TEST_F(SealedSpool, TrimsWhatIsElsewhere) {
    write("bin.000001", 0, noise(10, 9));
    write("bin.000001", 10, noise(10, 9));
    write("bin.000002", 0, noise(10, 9));
    EXPECT_EQ(
        trim_sealed_spool(*store, [](const std::string&,
                                     const std::string& file) { return file == "bin.000001"; }),
        2u);
    auto archive = open_sealed_spool(*store, key);
    ASSERT_EQ(archive->segments().size(), 1u);
    EXPECT_EQ(archive->segments()[0].name, "bin.000002");
}

}  // namespace
}  // namespace sevenfold::database::mariadb
