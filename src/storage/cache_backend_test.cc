#include "storage/cache_backend.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "core/parallel.h"
#include "crypto/sha256.h"
#include "storage/fault_backend.h"
#include "storage/memory/memory_backend.h"
#include "storage/testing/contract.h"

namespace sevenfold::storage {
namespace {

namespace fs = std::filesystem;

class CacheTest : public testing::Test {
  protected:
    std::unique_ptr<CacheBackend> open(uint64_t max_bytes = 1 << 30) {
        auto counting = std::make_unique<FaultBackend>(std::make_unique<BorrowedBackend>(memory_));
        remote_ = counting.get();
        auto cache = std::make_unique<CacheBackend>(
            std::move(counting), CacheOptions{.folder = dir_ / "cache", .max_bytes = max_bytes});
        cache->set_cacheable_packs([this](const Id& id) { return trees_.contains(id); });
        return cache;
    }
    // Puts a file under its true name.
    FileName put(FileType type, uint64_t seed, size_t size = 1000) {
        Bytes body = test_body(size, seed);
        FileName name{type, crypto::sha256(body)};
        memory_.store(name, body);
        if (type == FileType::pack) trees_.insert(name.id);
        return name;
    }
    std::string copy_of(const FileName& name) {
        return dir_ / "cache/" + std::string(folder(name.type)) + "/" + name.id.hex();
    }
    uint64_t loads() { return remote_->count(Operation::load); }

    TestFolder dir_;
    MemoryBackend memory_;
    FaultBackend* remote_ = nullptr;
    std::set<Id> trees_;
};

TEST_F(CacheTest, ServesIndexAndSnapshotsFromTheCopy) {
    FileName index = put(FileType::index, 1), snapshot = put(FileType::snapshot, 2);
    auto cache = open();
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(cache->load_all(index, UINT64_MAX), test_body(1000, 1));
        EXPECT_EQ(cache->load_all(snapshot, UINT64_MAX), test_body(1000, 2));
    }
    EXPECT_EQ(loads(), 2u);
    cache = open();
    cache->load_all(index, UINT64_MAX);
    EXPECT_EQ(loads(), 0u);
    EXPECT_EQ(cache->counts().hits, 1u);
    EXPECT_TRUE(fs::exists(dir_ / "cache/CACHEDIR.TAG"));
}

TEST_F(CacheTest, FetchesDamagedCopiesAgain) {
    FileName index = put(FileType::index, 1), pack = put(FileType::pack, 2);
    auto cache = open();
    cache->load_all(index, UINT64_MAX);
    cache->load(pack, 0, 10);
    for (const FileName& name : {index, pack}) {
        std::ofstream(copy_of(name), std::ios::in | std::ios::out).put('!');
    }
    cache = open();
    EXPECT_EQ(cache->load_all(index, UINT64_MAX), test_body(1000, 1));
    EXPECT_EQ(cache->load(pack, 0, 1000), test_body(1000, 2));
    EXPECT_EQ(loads(), 2u);
    fs::resize_file(copy_of(pack), 10);  // behind our back
    EXPECT_EQ(cache->load(pack, 0, 1000), test_body(1000, 2));
}

TEST_F(CacheTest, KeepsNothingThatIsNotWhatItsNameSays) {
    FileName index = put(FileType::index, 1), pack = put(FileType::pack, 2);
    memory_.store(index, test_body(1000, 77));
    memory_.store(pack, test_body(1000, 78));
    auto cache = open();
    EXPECT_EQ(cache->load_all(index, UINT64_MAX), test_body(1000, 77));
    EXPECT_EQ(cache->load(pack, 0, 1000), test_body(1000, 78));
    EXPECT_FALSE(fs::exists(copy_of(index)));
    EXPECT_FALSE(fs::exists(copy_of(pack)));
}

TEST_F(CacheTest, ListingDropsWhatIsGone) {
    FileName a = put(FileType::snapshot, 1), b = put(FileType::snapshot, 2);
    auto cache = open();
    cache->load_all(a, UINT64_MAX);
    cache->load_all(b, UINT64_MAX);
    memory_.remove(a);
    remote_->fail_nth(Operation::list, 1, Error(ErrorKind::network, "cut"));
    EXPECT_THROW(cache->list_all(FileType::snapshot), Error);
    EXPECT_TRUE(fs::exists(copy_of(b)));  // a failed listing drops nothing
    EXPECT_EQ(cache->list_all(FileType::snapshot).size(), 1u);
    EXPECT_FALSE(fs::exists(copy_of(a)));
    EXPECT_TRUE(fs::exists(copy_of(b)));
    cache->remove(b);
    EXPECT_FALSE(fs::exists(copy_of(b)));
    expect_error(ErrorKind::not_found, [&] { cache->load_all(b, UINT64_MAX); });
}

TEST_F(CacheTest, FetchesATreePackOnceForManyReaders) {
    FileName pack = put(FileType::pack, 1, 100'000), other = put(FileType::pack, 2);
    trees_.erase(other.id);
    auto cache = open();
    Bytes body = test_body(100'000, 1);
    parallel_for(32, 8, [&](size_t i) {
        EXPECT_EQ(cache->load(pack, i * 100, 50),
                  Bytes(body.begin() + i * 100, body.begin() + i * 100 + 50));
    });
    EXPECT_EQ(loads(), 1u);
    cache->load(other, 0, 10);
    EXPECT_FALSE(fs::exists(copy_of(other)));
    expect_error(ErrorKind::io, [&] { cache->load(pack, 99'999, 2); });
}

TEST_F(CacheTest, LeastRecentlyUsedPacksMakeRoom) {
    FileName a = put(FileType::pack, 1), b = put(FileType::pack, 2), c = put(FileType::pack, 3);
    auto cache = open(2500);
    cache->load(a, 0, 1);
    cache->load(b, 0, 1);
    cache->load(a, 0, 1);
    cache->load(c, 0, 1);
    EXPECT_TRUE(fs::exists(copy_of(a)));
    EXPECT_FALSE(fs::exists(copy_of(b)));
    EXPECT_TRUE(fs::exists(copy_of(c)));
    cache = open(1500);  // a smaller limit than before
    EXPECT_EQ(fs::exists(copy_of(a)) + fs::exists(copy_of(c)), 1);
}

struct CountingBackend : ForwardingBackend {
    using ForwardingBackend::ForwardingBackend;
    uint64_t bytes = 0;
    Bytes load(const FileName& name, uint64_t offset, size_t length) override {
        bytes += length;
        return inner().load(name, offset, length);
    }
    Bytes load_all(const FileName& name, uint64_t limit) override {
        Bytes body = inner().load_all(name, limit);
        bytes += body.size();
        return body;
    }
};

// A tree pack may hold thousands of blobs that are loaded one by one.
TEST_F(CacheTest, WhatCannotBeKeptIsFetchedWholeOnceAtMost) {
    FileName wrong = put(FileType::pack, 1, 100'000), large = put(FileType::pack, 2, 200'000);
    memory_.store(wrong, test_body(100'000, 77));
    auto counting = std::make_unique<CountingBackend>(std::make_unique<BorrowedBackend>(memory_));
    CountingBackend& remote = *counting;
    CacheBackend cache(std::move(counting), {.folder = dir_ / "cache", .max_bytes = 150'000});
    cache.set_cacheable_packs([](const Id&) { return true; });
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(cache.load(wrong, 0, 100).size(), 100u);
        EXPECT_EQ(cache.load(large, 0, 100).size(), 100u);
    }
    EXPECT_EQ(remote.bytes, 100'000u + 2 * 10 * 100);
    expect_error(ErrorKind::io, [&] { cache.load(large, 199'999, 2); });
}

TEST_F(CacheTest, WorksWithoutItsFolder) {
    std::ofstream(dir_ / "cache") << "a file in the way";
    FileName index = put(FileType::index, 1);
    auto cache = open();
    EXPECT_EQ(cache->load_all(index, UINT64_MAX), test_body(1000, 1));
    EXPECT_EQ(cache->list_all(FileType::index).size(), 1u);
    cache->remove(index);
}

struct CachedPlace : ContractPlace {
    MemoryBackend memory;
    TestFolder folder;
    std::unique_ptr<Backend> open() override {
        auto cache = std::make_unique<CacheBackend>(std::make_unique<BorrowedBackend>(memory),
                                                    CacheOptions{.folder = folder / "cache"});
        cache->set_cacheable_packs([](const Id&) { return true; });
        return cache;
    }
};

INSTANTIATE_TEST_SUITE_P(Cached, BackendContract,
                         testing::Values(contract("cache",
                                                  [] { return std::make_unique<CachedPlace>(); })),
                         contract_name);

}  // namespace
}  // namespace sevenfold::storage
