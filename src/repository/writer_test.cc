#include "repository/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <set>
#include <thread>

#include "crypto/sha256.h"
#include "repository/check.h"
#include "repository/testing/memory_repo.h"
#include "storage/testing/contract.h"

namespace sevenfold::repository {
namespace {

using namespace std::chrono_literals;
using storage::FileName;
using storage::FileType;
using storage::test_body;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::MemoryRepo;
using ::testing::SizeIs;
using State = BlobWriter::State;

// Stops whoever passes until it is opened.
class Gate {
  public:
    void pass() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return open_; });
    }
    void open() {
        std::lock_guard lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = false;
};

Id add(BlobWriter::Worker& worker, uint64_t seed, size_t size = 1000,
       BlobType type = BlobType::data) {
    return worker.add(type, test_body(size, seed));
}

void expect_blobs(MemoryRepo& repo, uint64_t first, uint64_t last, size_t size = 1000,
                  BlobType type = BlobType::data) {
    auto repository = repo.open();
    for (uint64_t seed = first; seed < last; ++seed) {
        Bytes body = test_body(size, seed);
        BlobHandle handle{type, crypto::sha256(body)};
        ASSERT_THAT(repository->index().find_all(handle), SizeIs(1)) << seed;
        ASSERT_EQ(repository->load_blob(handle), body);
    }
}

void expect_clean(MemoryRepo& repo) {
    auto repository = repo.open();
    CheckReport report = check(*repository, {.read_data = {.kind = ReadData::Kind::all}});
    for (const CheckFinding& finding : report.findings)
        ADD_FAILURE() << finding.object << ": " << finding.message;
}

class WriterTest : public ::testing::Test {
  protected:
    BlobWriter make(WriterOptions options = {}) {
        return BlobWriter({{"a", a_.get(), nullptr}, {"b", b_.get(), nullptr}}, options);
    }

    MemoryRepo repo_a_, repo_b_;
    std::unique_ptr<Repository> a_ = repo_a_.open(), b_ = repo_b_.open();
};

TEST_F(WriterTest, StoresEachBlobOnceAtEveryPlace) {
    BlobWriter writer = make();
    {
        BlobWriter::Worker worker(writer);
        for (int round = 0; round < 3; ++round)
            for (uint64_t seed = 0; seed < 20; ++seed) {
                Id id = add(worker, seed);
                EXPECT_EQ(id, crypto::sha256(test_body(1000, seed)));
                EXPECT_TRUE(writer.has({BlobType::data, id}));
                EXPECT_FALSE(writer.has({BlobType::tree, id}));
            }
        add(worker, 0, 1000, BlobType::tree);
    }
    writer.finish();
    for (size_t p = 0; p < 2; ++p) {
        EXPECT_EQ(writer.stats(p).data_blobs, 20u);
        EXPECT_EQ(writer.stats(p).tree_blobs, 1u);
        EXPECT_EQ(writer.stats(p).bytes_added, 21'000u);
    }
    for (MemoryRepo* repo : {&repo_a_, &repo_b_}) {
        expect_blobs(*repo, 0, 20);
        expect_blobs(*repo, 0, 1, 1000, BlobType::tree);
        EXPECT_THAT(repo->ids(FileType::pack), SizeIs(2)) << "one of data, one of trees";
        expect_clean(*repo);
    }
    // Each place has its own key: nothing stored is alike.
    for (const auto& [name, body] : repo_a_.files.files())
        EXPECT_FALSE(name.first != FileType::config && repo_b_.files.files().contains(name));
}

TEST_F(WriterTest, GivesEachPlaceOnlyWhatItLacks) {
    {
        BlobWriter first({{"a", a_.get(), nullptr}}, {});
        {
            BlobWriter::Worker worker(first);
            for (uint64_t seed = 0; seed < 10; ++seed) add(worker, seed);
        }
        first.finish();
    }
    BlobWriter writer = make();
    BlobHandle old{BlobType::data, crypto::sha256(test_body(1000, 0))};
    EXPECT_FALSE(writer.has(old)) << "b lacks it";
    {
        BlobWriter::Worker worker(writer);
        for (uint64_t seed = 0; seed < 15; ++seed) add(worker, seed);
    }
    EXPECT_TRUE(writer.has(old));
    writer.finish();
    EXPECT_EQ(writer.stats(0).data_blobs, 5u);
    EXPECT_EQ(writer.stats(1).data_blobs, 15u);
    expect_blobs(repo_a_, 0, 15);
    expect_blobs(repo_b_, 0, 15);
}

TEST_F(WriterTest, APlaceThatFailsLeavesTheOthersAlone) {
    repo_b_.hooks.on_store = [&](const FileName& name, ByteView) {
        if (name.type == FileType::pack) throw Error(ErrorKind::no_space, "the disk is full");
    };
    BlobWriter writer = make({.pack_target = 4000});
    {
        BlobWriter::Worker worker(writer);
        uint64_t seed = 0;
        while (writer.state(1) != State::failed) {
            ASSERT_LT(seed, 1'000'000u);
            add(worker, seed++);
        }
        for (uint64_t more = 0; more < 50; ++more) add(worker, 2'000'000 + more);
    }
    writer.finish();
    EXPECT_EQ(writer.state(0), State::active);
    EXPECT_FALSE(writer.failure(0));
    EXPECT_EQ(writer.state(1), State::failed);
    EXPECT_EQ(writer.failure(1)->kind(), ErrorKind::no_space);
    EXPECT_TRUE(writer.any_active());
    expect_blobs(repo_a_, 2'000'000, 2'000'050);
    expect_clean(repo_a_);
    EXPECT_THAT(repo_b_.ids(FileType::index), IsEmpty());
    expect_clean(repo_b_);
}

TEST_F(WriterTest, AnIndexThatCannotBeSavedFailsThePlace) {
    repo_a_.hooks.on_store = [&](const FileName& name, ByteView) {
        if (name.type == FileType::index) throw Error(ErrorKind::permission, "read only");
    };
    BlobWriter writer = make();
    {
        BlobWriter::Worker worker(writer);
        add(worker, 1);
    }
    writer.finish();
    EXPECT_EQ(writer.state(0), State::failed);
    EXPECT_EQ(writer.failure(0)->kind(), ErrorKind::permission);
    EXPECT_EQ(writer.state(1), State::active);
    expect_blobs(repo_b_, 1, 2);
}

TEST_F(WriterTest, ASlowPlaceIsSetAsideAndKeepsWhatItGot) {
    Gate gate;
    repo_b_.hooks.on_store = [&](const FileName& name, ByteView) {
        if (name.type == FileType::pack) gate.pass();
    };
    BlobWriter writer = make({.pack_target = 2000, .patience = 1ms});
    uint64_t seed = 0;
    {
        BlobWriter::Worker worker(writer);
        while (writer.state(1) == State::active) {
            ASSERT_LT(seed, 10'000u);
            add(worker, seed++);
        }
        EXPECT_EQ(writer.state(1), State::lagging);
        EXPECT_TRUE(writer.any_active());
        for (int i = 0; i < 50; ++i) add(worker, seed++);  // no longer held up
    }
    gate.open();
    writer.finish();
    EXPECT_EQ(writer.state(0), State::active);
    EXPECT_EQ(writer.state(1), State::lagging);
    EXPECT_FALSE(writer.failure(1));
    expect_blobs(repo_a_, 0, seed);
    // What had reached the slow place's queue is stored and listed: catching up begins there.
    auto opened = repo_b_.open();
    EXPECT_GE(opened->index().blob_count(), 4u);
    EXPECT_EQ(opened->index().pack_count(), repo_b_.ids(FileType::pack).size());
    expect_clean(repo_b_);
}

TEST_F(WriterTest, NoPlaceWaitsForAnotherToFinish) {
    Gate gate;
    repo_b_.hooks.on_store = [&](const FileName& name, ByteView) {
        if (name.type == FileType::pack) gate.pass();
    };
    BlobWriter writer = make({});
    {
        BlobWriter::Worker worker(writer);
        for (uint64_t seed = 0; seed < 10; ++seed) add(worker, seed);
    }
    writer.finish([&](size_t place) {
        if (place != 0) return;
        EXPECT_THAT(repo_a_.ids(FileType::index), SizeIs(1));
        gate.open();  // only now can the other go on
    });
    EXPECT_EQ(writer.state(1), State::active);
    expect_blobs(repo_a_, 0, 10);
    expect_blobs(repo_b_, 0, 10);
}

TEST_F(WriterTest, TheLastPlaceIsNeverSetAside) {
    Gate gate;
    for (MemoryRepo* repo : {&repo_a_, &repo_b_})
        repo->hooks.on_store = [&](const FileName& name, ByteView) {
            if (name.type == FileType::pack) gate.pass();
        };
    BlobWriter writer = make({.pack_target = 1000, .patience = 1ms});
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < 3; ++t)
        threads.emplace_back([&, t] {
            BlobWriter::Worker worker(writer);
            for (uint64_t n = 0; n < 20; ++n) add(worker, 100 * t + n);
        });
    while (writer.state(0) == State::active && writer.state(1) == State::active)
        std::this_thread::yield();
    gate.open();
    for (auto& thread : threads) thread.join();
    writer.finish();
    EXPECT_NE(writer.state(0), writer.state(1));
    EXPECT_TRUE(writer.any_active());
    MemoryRepo& kept = writer.state(0) == State::active ? repo_a_ : repo_b_;
    for (uint64_t t = 0; t < 3; ++t) expect_blobs(kept, 100 * t, 100 * t + 20);
}

TEST_F(WriterTest, PatienceIsMeasuredByTheClockNotByTheNumberOfThreads) {
    Gate gate;
    repo_b_.hooks.on_store = [&](const FileName& name, ByteView) {
        if (name.type == FileType::pack) gate.pass();
    };
    constexpr auto kPatience = 900ms;
    BlobWriter writer = make({.pack_target = 1000, .patience = kPatience});
    auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < 6; ++t)
        threads.emplace_back([&, t] {
            BlobWriter::Worker worker(writer);
            for (uint64_t n = 0; n < 20; ++n) add(worker, 100 * t + n);
        });
    while (writer.state(1) == State::active) std::this_thread::yield();
    EXPECT_GT(std::chrono::steady_clock::now() - start, kPatience);
    gate.open();
    for (auto& thread : threads) thread.join();
    writer.finish();
}

TEST_F(WriterTest, CheckpointsSaveWhatAnAbandonedRunStored) {
    repo_a_.hooks.connections = 1;
    a_ = repo_a_.open();
    std::atomic<int> indexes{0};
    repo_a_.hooks.on_store = [&](const FileName& name, ByteView) {
        if (name.type == FileType::index) ++indexes;
    };
    {
        BlobWriter writer({{"a", a_.get(), nullptr}},
                          {.pack_target = 1000, .checkpoint_every = 0ns});
        BlobWriter::Worker worker(writer);
        uint64_t seed = 0;
        while (indexes < 5) {
            ASSERT_LT(seed, 10'000u);
            add(worker, seed++);
        }
    }  // neither finished nor waited for
    auto again = repo_a_.open();
    EXPECT_GE(again->index().blob_count(), 4u);
    expect_blobs(repo_a_, 0, 4);
    expect_clean(repo_a_);
}

TEST_F(WriterTest, SavesNoIndexBeforeItsPacks) {
    std::mutex mutex;
    std::set<Id> packs;
    repo_a_.hooks.on_store = [&](const FileName& name, ByteView body) {
        std::lock_guard lock(mutex);
        if (name.type == FileType::pack) {
            EXPECT_EQ(crypto::sha256(body), name.id);
        }
        if (name.type != FileType::index) return;
        std::set<Id> stored;
        for (const Id& id : repo_a_.ids(FileType::pack)) stored.insert(id);
        packs = stored;
    };
    BlobWriter writer({{"a", a_.get(), nullptr}}, {.pack_target = 1000, .checkpoint_every = 0ns});
    {
        BlobWriter::Worker worker(writer);
        for (uint64_t seed = 0; seed < 30; ++seed) add(worker, seed);
    }
    writer.finish();
    // Every pack is listed exactly once over all index files.
    std::multiset<Id> listed;
    for (const Id& id : repo_a_.ids(FileType::index))
        decode_index(a_->load_unpacked(FileType::index, id),
                     [&](IndexedPack&& pack) { listed.insert(pack.pack); });
    auto all = repo_a_.ids(FileType::pack);
    EXPECT_EQ(listed, std::multiset<Id>(all.begin(), all.end()));
    EXPECT_EQ(packs.size(), all.size()) << "the last index file came before the last pack";
}

TEST_F(WriterTest, TheWorkersLastPacksAreMerged) {
    BlobWriter writer = make({.pack_target = 100'000});
    {
        std::vector<std::unique_ptr<BlobWriter::Worker>> workers;
        for (uint64_t w = 0; w < 6; ++w) {
            workers.push_back(std::make_unique<BlobWriter::Worker>(writer));
            for (uint64_t n = 0; n < 5; ++n) add(*workers.back(), 100 * w + n);
            add(*workers.back(), 1000 + w, 500, BlobType::tree);
        }
    }
    writer.finish();
    EXPECT_THAT(repo_a_.ids(FileType::pack), SizeIs(2));
    EXPECT_THAT(repo_a_.ids(FileType::index), SizeIs(1));
    for (uint64_t w = 0; w < 6; ++w) expect_blobs(repo_a_, 100 * w, 100 * w + 5);
    expect_blobs(repo_b_, 1000, 1006, 500, BlobType::tree);
    expect_clean(repo_b_);
}

TEST_F(WriterTest, PacksRespectTheirTarget) {
    constexpr size_t kTarget = 20'000, kBlob = 3000;
    BlobWriter writer = make({.pack_target = kTarget, .compression = Compression::off});
    {
        BlobWriter::Worker one(writer), two(writer);
        for (uint64_t seed = 0; seed < 50; ++seed) add(seed % 2 ? one : two, seed, kBlob);
    }
    writer.finish();
    size_t packs = 0;
    for (const auto& [name, body] : repo_a_.files.files()) {
        if (name.first != FileType::pack) continue;
        ++packs;
        EXPECT_LT(body.size(), kTarget + kBlob + 1000);
    }
    EXPECT_GE(packs, 50 * kBlob / (kTarget + kBlob));
    EXPECT_LE(packs, 50 * kBlob / kTarget + 2);
    expect_blobs(repo_a_, 0, 50, kBlob);
}

TEST_F(WriterTest, ADryRunStoresNothing) {
    auto before = repo_a_.files.files();
    BlobWriter writer = make({.pack_target = 2000, .discard = true});
    {
        BlobWriter::Worker worker(writer);
        for (int round = 0; round < 2; ++round)
            for (uint64_t seed = 0; seed < 50; ++seed) add(worker, seed);
    }
    writer.finish();
    EXPECT_EQ(writer.stats(0).data_blobs, 50u);
    EXPECT_GT(writer.stats(0).bytes_packed, 0u);
    EXPECT_EQ(repo_a_.files.files(), before);
}

TEST_F(WriterTest, ClaimsEndWhenTheIndexHasTheBlob) {
    BlobWriter writer = make();
    Id id;
    {
        BlobWriter::Worker worker(writer);
        id = add(worker, 1);
    }
    writer.finish();
    EXPECT_TRUE(writer.has({BlobType::data, id}));
    // With the index gone only a claim could still speak for the blob.
    repo_a_.files.remove({FileType::index, repo_a_.ids(FileType::index).at(0)});
    a_->load_index();
    EXPECT_FALSE(writer.has({BlobType::data, id}));
}

TEST_F(WriterTest, ManyThreadsStoreEachBlobOnce) {
    BlobWriter writer = make({.pack_target = 8000, .checkpoint_every = 0ns});
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            BlobWriter::Worker worker(writer);
            for (uint64_t n = 0; n < 120; ++n) {
                Id id = add(worker, (n + 30 * t) % 120, 500);
                EXPECT_TRUE(writer.has({BlobType::data, id}));
                if (n % 10 == 0) add(worker, n, 300, BlobType::tree);
            }
        });
    for (auto& thread : threads) thread.join();
    writer.finish();
    for (size_t p = 0; p < 2; ++p) {
        EXPECT_EQ(writer.stats(p).data_blobs, 120u);
        EXPECT_EQ(writer.stats(p).tree_blobs, 12u);
    }
    expect_blobs(repo_a_, 0, 120, 500);
    expect_blobs(repo_b_, 0, 120, 500);
    expect_clean(repo_a_);
    expect_clean(repo_b_);
}

TEST(WriterVersions, AVersionOnePlaceGetsNothingCompressed) {
    MemoryRepo old({.version = 1}), current;
    auto a = old.open(), b = current.open();
    BlobWriter writer({{"old", a.get(), nullptr}, {"new", b.get(), nullptr}}, {});
    Bytes text(50'000, 'a');
    Id data, tree;
    {
        BlobWriter::Worker worker(writer);
        data = worker.add(BlobType::data, text);
        tree = worker.add(BlobType::tree, as_bytes("{\"nodes\":[]}\n"));
    }
    writer.finish();
    a = old.open(), b = current.open();
    for (const BlobHandle& handle : {BlobHandle{BlobType::data, data}, {BlobType::tree, tree}}) {
        EXPECT_FALSE(a->index().find(handle)->blob.compressed());
        EXPECT_TRUE(b->index().find(handle)->blob.compressed());
        EXPECT_EQ(a->load_blob(handle), b->load_blob(handle));
    }
    EXPECT_LT(writer.stats(1).bytes_packed, writer.stats(0).bytes_packed);
    EXPECT_EQ(old.open()->load_blob({BlobType::data, data}), text);
    expect_clean(old);
}

}  // namespace
}  // namespace sevenfold::repository
