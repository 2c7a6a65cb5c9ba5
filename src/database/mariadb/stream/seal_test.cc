#include "database/mariadb/stream/seal.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <random>
#include <thread>

#include "database/layout.h"
#include "database/log_archive.h"
#include "database/mariadb/stream/spool.h"
#include "database/testing/binlogs.h"
#include "database/testing/running_receiver.h"
#include "os/file.h"
#include "repository/check.h"
#include "repository/testing/memory_repo.h"

namespace sevenfold::database::mariadb {
namespace {

using namespace std::chrono_literals;
using repository::testing::MemoryRepo;

const std::string kIncarnation = "0001-server1-20260101T000000Z";

struct FixedClock : sevenfold::Clock {
    Time time{.seconds = 1'800'000'000};
    Time now() const override { return time; }
    std::chrono::steady_clock::time_point steady() const override { return {}; }
};

struct Seal : testing::Test {
    storage::TestFolder folder;
    std::string spool = folder / "spool";
    FixedClock clock;
    MemoryRepo one, two;
    std::unique_ptr<repository::Repository> first = one.open(), second = two.open();
    std::unique_ptr<Sealer> sealer = make();
    std::map<std::string, Bytes> files;  // what the spool has

    std::unique_ptr<Sealer> make() {
        return std::make_unique<Sealer>(SealOptions{
            .spool = spool, .database = "main", .host = "h", .user = "u", .clock = &clock});
    }
    // Lets a log file grow.
    LogPosition grow(const std::string& file, size_t bytes) {
        Bytes& content = files[file];
        std::mt19937_64 random(content.size() + file.size() + files.size());
        for (size_t i = 0; i < bytes; ++i) content.push_back(static_cast<uint8_t>(random()));
        os::make_dirs(spool + "/" + kIncarnation);
        os::write_file_atomically(spool + "/" + kIncarnation + "/" + file, content);
        return {kIncarnation, file, content.size()};
    }
    std::vector<SealedPlace> seal(const LogPosition& until) {
        auto results = sealer->seal({{"one", first.get()}, {"two", second.get()}}, until);
        for (const auto& r : results) EXPECT_FALSE(r.error) << r.error->message();
        return results;
    }
    // Of a place, read anew: all files, as they should be.
    void expect_all(MemoryRepo& repo) {
        auto repository = repo.open();
        auto archive =
            open_log_snapshots(*repository, find_snapshots(*repository, "main", SnapshotKind::log));
        ASSERT_EQ(archive->segments().size(), files.size());
        size_t i = 0;
        for (const auto& [name, content] : files) {
            EXPECT_EQ(archive->segments()[i], (LogSegment{kIncarnation, name, content.size()}));
            Bytes got(content.size());
            EXPECT_EQ(archive->read(i, 0, got), got.size());
            EXPECT_EQ(got, content);
            ++i;
        }
    }
    size_t snapshots(MemoryRepo& repo) { return repo.ids(storage::FileType::snapshot).size(); }
};

TEST_F(Seal, StoresOnlyWhatIsNewAndKeepsOneSnapshotAChapter) {
    EXPECT_EQ(seal(grow("bin.000001", 3'000'000))[0].bytes, 3'000'000u);
    EXPECT_EQ(seal(grow("bin.000001", 500))[1].bytes, 500u);
    LogPosition end = grow("bin.000001", 77);
    grow("bin.000002", 1000);
    end = grow("bin.000002", 1);
    EXPECT_EQ(seal(end)[0].bytes, 1078u);
    auto nothing = seal(end);
    EXPECT_EQ(nothing[0].bytes, 0u);
    EXPECT_FALSE(nothing[0].snapshot);
    EXPECT_EQ(snapshots(one), 1u);
    expect_all(one);
    expect_all(two);
}

TEST_F(Seal, SealsOnlyUpToTheGivenPosition) {
    LogPosition end = grow("bin.000001", 1000);
    end.offset = 600;
    seal(end);
    auto repository = one.open();
    auto archive =
        open_log_snapshots(*repository, find_snapshots(*repository, "main", SnapshotKind::log));
    EXPECT_EQ(archive->segments().at(0).size, 600u);
}

TEST_F(Seal, ChaptersEndAtFilesOrAfterADay) {
    seal(grow("bin.000001", 1000));
    clock.time.seconds += 2 * 3600;
    seal(grow("bin.000001", 1000));  // within the file: the same chapter
    EXPECT_EQ(snapshots(one), 1u);
    grow("bin.000001", 10);
    seal(grow("bin.000002", 1000));
    EXPECT_EQ(snapshots(one), 2u);
    for (int i = 0; i < 3; ++i) {
        clock.time.seconds += 13 * 3600;
        seal(grow("bin.000002", 1000));
    }
    EXPECT_EQ(snapshots(one), 3u);
    expect_all(one);
    clock.time.seconds -= 90 * 86400;  // clocks can be wrong
    seal(grow("bin.000002", 1000));
    seal(grow("bin.000002", 1000));
    expect_all(one);
    expect_all(two);
}

TEST_F(Seal, GoesOnAfterARestart) {
    seal(grow("bin.000001", 1000));
    sealer = make();
    EXPECT_EQ(seal(grow("bin.000001", 100))[0].bytes, 100u);
    EXPECT_EQ(snapshots(one), 1u);
    expect_all(one);
}

TEST_F(Seal, APlaceThatWasDownCatchesUp) {
    LogPosition end = grow("bin.000001", 1000);
    two.hooks.on_store = [](const storage::FileName&, ByteView) {
        throw Error(ErrorKind::network, "down");
    };
    auto results = sealer->seal({{"one", first.get()}, {"two", second.get()}}, end);
    EXPECT_FALSE(results[0].error);
    ASSERT_TRUE(results[1].error);
    EXPECT_FALSE(sealer->stored_everywhere(kIncarnation, "bin.000001", 1000));
    expect_all(one);
    two.hooks.on_store = nullptr;
    seal(grow("bin.000001", 50));
    expect_all(two);
    EXPECT_TRUE(sealer->stored_everywhere(kIncarnation, "bin.000001", 1050));
}

TEST_F(Seal, APlaceThatHangsDelaysNoOther) {
    LogPosition end = grow("bin.000001", 1000);
    std::mutex mutex;
    std::condition_variable change;
    bool hangs = true, reached = false;
    two.hooks.on_store = [&](const storage::FileName&, ByteView) {
        std::unique_lock lock(mutex);
        reached = true;
        change.notify_all();
        change.wait(lock, [&] { return !hangs; });
    };
    std::jthread slow([&] { EXPECT_FALSE(sealer->seal({{"two", second.get()}}, end)[0].error); });
    {
        std::unique_lock lock(mutex);
        change.wait(lock, [&] { return reached; });
    }
    for (int i = 0; i < 3; ++i) {
        LogPosition more = grow("bin.000001", 10);
        auto results = sealer->seal({{"one", first.get()}}, more);
        EXPECT_TRUE(results[0].snapshot);
    }
    EXPECT_FALSE(sealer->stored_everywhere(kIncarnation, "bin.000001", 1000));
    {
        std::lock_guard lock(mutex);
        hangs = false;
        change.notify_all();
    }
    slow.join();
    EXPECT_TRUE(sealer->stored_everywhere(kIncarnation, "bin.000001", 1000));
    EXPECT_FALSE(sealer->stored_everywhere(kIncarnation, "bin.000001", 1030));
    seal({kIncarnation, "bin.000001", 1030});
    expect_all(two);
}

TEST_F(Seal, NothingNewCostsThePlaceNothing) {
    LogPosition end = grow("bin.000001", 1000);
    seal(end);
    size_t stored = 0;
    one.hooks.on_store = [&](const storage::FileName&, ByteView) { ++stored; };
    seal(end);
    EXPECT_EQ(stored, 0u);  // not even a lock
}

TEST_F(Seal, TrimsWhatEveryPlaceHas) {
    grow("bin.000001", 1000);
    grow("bin.000002", 1000);
    LogPosition end = grow("bin.000003", 1000);
    clock.time = sevenfold::Clock::system().now().plus(1h);
    auto down = sealer->seal({{"one", first.get()}, {"two", nullptr}}, end);
    EXPECT_EQ(sealer->trim(60s), 0u);
    seal(end);
    EXPECT_EQ(sealer->trim(7200s), 0u);
    EXPECT_EQ(sealer->trim(60s), 1u);
    EXPECT_FALSE(os::path_exists(spool + "/" + kIncarnation + "/bin.000001"));
    // What is no longer in the spool stays in the chapter.
    grow("bin.000003", 5);
    seal({kIncarnation, "bin.000003", 1005});
    expect_all(one);
}

TEST_F(Seal, LostBlobsAreStoredAgain) {
    seal(grow("bin.000001", 5000));
    for (const Id& pack : one.ids(storage::FileType::pack))
        one.backend()->remove({storage::FileType::pack, pack});
    for (const Id& index : one.ids(storage::FileType::index))
        one.backend()->remove({storage::FileType::index, index});
    seal(grow("bin.000001", 10));
    expect_all(one);
}

TEST_F(Seal, OfALiveStream) {
    TestServer server;
    auto options = receiver_options(server, spool);
    options.first_file = "bin.000001";
    std::mutex mutex;
    LogPosition synced;
    RunningReceiver receiver(options, {.on_synced = [&](const SyncedTo& to) {
                                 std::lock_guard lock(mutex);
                                 synced = to.position;
                             }});
    std::jthread load([&] { run_workload(server, {.writers = 3, .transactions = 60}); });
    LogPosition until;
    for (int i = 0; i < 5; ++i) {
        LogPosition before = until;
        eventually([&] {
            std::lock_guard lock(mutex);
            return before < (until = synced);
        });
        seal(until);
    }
    load.join();
    ASSERT_TRUE(eventually([&] { return receiver.has_all_of(server); }));
    seal(receiver.state().position);
    receiver.stop();
    for (const std::string& incarnation : spool_incarnations(spool))
        for (const std::string& file : spool_files(spool, incarnation))
            files[file] = os::read_file(spool + "/" + incarnation + "/" + file);
    auto repository = two.open();
    auto archive =
        open_log_snapshots(*repository, find_snapshots(*repository, "main", SnapshotKind::log));
    ASSERT_EQ(archive->segments().size(), files.size());
    for (size_t i = 0; i < files.size(); ++i) {
        Bytes got(archive->segments()[i].size);
        archive->read(i, 0, got);
        EXPECT_EQ(got, files[archive->segments()[i].name]);
    }
}

}  // namespace
}  // namespace sevenfold::database::mariadb
