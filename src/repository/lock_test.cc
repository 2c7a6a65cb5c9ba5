#include "repository/lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "repository/internal/lock_keeper.h"
#include "repository/internal/process_identity.h"
#include "storage/memory/memory_backend.h"

namespace sevenfold::repository {
namespace {

using internal::LockKeeper;
using storage::FileType;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

class FakeClock : public Clock {
  public:
    Time now() const override { return wall_; }
    std::chrono::steady_clock::time_point steady() const override { return steady_; }
    void pass(std::chrono::seconds time) {
        steady_ += time;
        wall_ = wall_.plus(time);
    }
    void sleep_machine(std::chrono::seconds time) { wall_ = wall_.plus(time); }

  private:
    Time wall_ = parse_rfc3339("2026-11-22T12:00:00Z");
    std::chrono::steady_clock::time_point steady_{};
};

// Fails on demand, and lets a test act just before the n-th listing.
class TestBackend : public storage::MemoryBackend {
  public:
    void store(const storage::FileName& name, ByteView body) override {
        check();
        MemoryBackend::store(name, body);
    }
    uint64_t size(const storage::FileName& name) override {
        check();
        return MemoryBackend::size(name);
    }
    void list(FileType type, const std::function<void(const storage::FileInfo&)>& each) override {
        check();
        ++listings;
        if (before_list) before_list(listings);
        MemoryBackend::list(type, each);
    }
    void remove(const storage::FileName& name) override {
        check();
        MemoryBackend::remove(name);
    }

    bool broken = false;
    int listings = 0;
    std::function<void(int)> before_list;

  private:
    void check() const {
        if (broken) throw Error(ErrorKind::network, "connection lost");
    }
};

class LockTest : public ::testing::Test {
  protected:
    LockTest() {
        auto owned = std::make_unique<TestBackend>();
        backend = owned.get();
        repo = Repository::create(std::move(owned), Secret("x"), {.key = {.kdf_time = 0ms}});
        backend->listings = 0;
    }
    LockOptions options(LockMode mode, std::chrono::milliseconds retry_for = 0ms) {
        return {.mode = mode, .retry_for = retry_for, .settle = 0ms, .clock = &clock};
    }
    LockInfo foreign(bool exclusive) {
        return {.time = clock.now(),
                .exclusive = exclusive,
                .hostname = "web1",
                .username = "root",
                .pid = 123};
    }
    Id put(const LockInfo& lock) {
        return repo->save_unpacked(FileType::lock, as_bytes(encode_lock(lock)));
    }
    std::vector<Id> lock_files() {
        std::vector<Id> out;
        for (const auto& [name, body] : backend->files())
            if (name.first == FileType::lock) out.push_back(name.second);
        return out;
    }
    Error failure(const std::function<void()>& run) {
        try {
            run();
        } catch (const Error& error) {
            return error;
        }
        return Error(ErrorKind::internal, "no error");
    }

    FakeClock clock;
    TestBackend* backend;
    std::unique_ptr<Repository> repo;
};

TEST(LockFile, HasResticsBytes) {
    for (
        std::string json :
        {R"({"time":"2026-11-22T23:59:12.214643178+05:45","exclusive":true,"hostname":"vm","username":"root","pid":123})",
         R"({"time":"2026-11-22T23:59:12Z","exclusive":false,"hostname":"","username":"u","pid":1,"uid":1000,"gid":33})"}) {
        EXPECT_EQ(encode_lock(decode_lock(as_bytes(json))), json);
        for (size_t n = 0; n < json.size(); ++n)
            EXPECT_THROW(decode_lock(as_bytes(json.substr(0, n))), Error) << n;
    }
    EXPECT_THROW(decode_lock(as_bytes("{}")), Error);
}

TEST(LockInfo, IsStaleByAgeOrByItsDeadProcess) {
    Time now = parse_rfc3339("2026-11-22T12:00:00Z");
    LockInfo lock{.time = now.plus(-30min), .hostname = "a", .pid = getpid()};
    EXPECT_FALSE(lock.stale(now, "a"));
    EXPECT_TRUE(lock.stale(now.plus(1ns), "a"));

    pid_t child = fork();
    if (child == 0) _exit(0);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    lock.pid = child;
    EXPECT_TRUE(lock.stale(now, "a"));
    EXPECT_FALSE(lock.stale(now, "b"));
    EXPECT_FALSE(lock.stale(now, ""));
    for (int64_t odd : {int64_t{0}, int64_t{-1}, int64_t{1}, INT64_MAX}) {
        lock.pid = odd;
        EXPECT_FALSE(lock.stale(now, "a")) << odd;
    }
}

TEST_F(LockTest, SharedLocksGetAlongAndExclusiveOnesDoNot) {
    {
        LockKeeper one(*repo, options(LockMode::shared)), two(*repo, options(LockMode::shared));
        EXPECT_EQ(list_locks(*repo).size(), 2u);
        EXPECT_EQ(failure([&] { LockKeeper(*repo, options(LockMode::exclusive)); }).kind(),
                  ErrorKind::locked);
        EXPECT_EQ(lock_files().size(), 2u);
    }
    EXPECT_TRUE(lock_files().empty());
    LockKeeper one(*repo, options(LockMode::exclusive));
    EXPECT_TRUE(list_locks(*repo).at(0).exclusive);
    EXPECT_EQ(list_locks(*repo).at(0).pid, getpid());
    for (LockMode mode : {LockMode::shared, LockMode::exclusive})
        EXPECT_EQ(failure([&] { LockKeeper(*repo, options(mode)); }).kind(), ErrorKind::locked);
    one.release();
    EXPECT_TRUE(lock_files().empty());
    EXPECT_EQ(failure([&] { one.check_held(); }).kind(), ErrorKind::locked);
}

TEST_F(LockTest, TheErrorNamesTheHolderAndTheWayOut) {
    put(foreign(true));
    clock.pass(5min);
    Error error = failure([&] { LockKeeper(*repo, options(LockMode::shared)); });
    EXPECT_THAT(error.message(), HasSubstr("locked exclusively by root@web1 (pid 123) since "
                                           "2026-11-22 12:00:00, 5 min ago"));
    EXPECT_THAT(error.message(), ::testing::Not(HasSubstr("stale")));
    EXPECT_THAT(error.hint(), HasSubstr("repo unlock"));
    clock.pass(26min);
    error = failure([&] { LockKeeper(*repo, options(LockMode::shared)); });
    EXPECT_THAT(error.message(), HasSubstr("stale"));  // it still counts: only unlock removes it
}

TEST_F(LockTest, LocksOfKilledProcessesOfThisHostAreRemoved) {
    pid_t child = fork();
    if (child == 0) _exit(0);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);  // its number is free now
    LockInfo dead = foreign(true), running = foreign(false);
    dead.hostname = running.hostname = this_hostname();
    dead.pid = child;
    running.pid = getpid();
    put(dead);
    Id kept = put(running);
    LockKeeper mine(*repo, options(LockMode::shared));
    EXPECT_THAT(lock_files(), ::testing::UnorderedElementsAre(kept, mine.id()));
}

TEST_F(LockTest, WaitingEndsWhenAsked) {
    put(foreign(true));
    std::stop_source stop;
    stop.request_stop();
    LockOptions waiting = options(LockMode::shared, 1h);
    waiting.stop = stop.get_token();
    EXPECT_EQ(failure([&] { LockKeeper(*repo, waiting); }).kind(), ErrorKind::interrupted);
}

TEST_F(LockTest, WaitsForTheOtherToGo) {
    Id other = put(foreign(true));
    backend->before_list = [&](int n) {
        if (n == 2) backend->remove({FileType::lock, other});
    };
    LockKeeper mine(*repo, options(LockMode::exclusive, 1ms));
    EXPECT_EQ(lock_files(), std::vector<Id>{mine.id()});
}

TEST_F(LockTest, YieldsToOneThatCameInBetween) {
    Id other;
    backend->before_list = [&](int n) {
        if (n == 2) other = put(foreign(false));  // after ours was written
    };
    EXPECT_EQ(failure([&] { LockKeeper(*repo, options(LockMode::exclusive)); }).kind(),
              ErrorKind::locked);
    EXPECT_EQ(lock_files(), std::vector<Id>{other});
}

TEST_F(LockTest, EmptyFilesAreNoLocksButUnreadableOnesMayBe) {
    Id id = *Id::parse(std::string(64, '1'));
    backend->store({FileType::lock, id}, {});
    LockKeeper(*repo, options(LockMode::exclusive));
    EXPECT_TRUE(list_locks(*repo).empty());

    backend->store({FileType::lock, id}, as_bytes("garbage"));
    backend->listings = 0;
    Error error = failure([&] { LockKeeper(*repo, options(LockMode::shared)); });
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    EXPECT_EQ(backend->listings, LockKeeper::kReadAttempts);
    EXPECT_THAT(error.hint(), HasSubstr("--remove-all"));
    EXPECT_TRUE(list_locks(*repo).empty());
    EXPECT_EQ(remove_locks(*repo, false, clock), 0u);
    EXPECT_EQ(remove_locks(*repo, true, clock), 1u);
    LockKeeper(*repo, options(LockMode::shared));
}

TEST_F(LockTest, AnUnreadableLockIsReadAgain) {
    Id id = *Id::parse(std::string(64, '1'));
    backend->store({FileType::lock, id}, as_bytes("half a lo"));
    backend->before_list = [&](int n) {
        if (n == LockKeeper::kReadAttempts) backend->remove({FileType::lock, id});
    };
    LockKeeper(*repo, options(LockMode::exclusive));
}

TEST_F(LockTest, IsRefreshedWhenDue) {
    LockKeeper mine(*repo, options(LockMode::shared));
    Id first = mine.id();
    clock.pass(4min + 59s);
    mine.tick();
    EXPECT_EQ(mine.id(), first);
    clock.pass(1s);
    mine.tick();
    EXPECT_NE(mine.id(), first);
    EXPECT_EQ(lock_files(), std::vector<Id>{mine.id()});
    EXPECT_EQ(list_locks(*repo).at(0).time, clock.now());
    mine.check_held();
}

TEST_F(LockTest, AFailedRefreshIsTriedAgainUntilTheLockExpires) {
    LockKeeper mine(*repo, options(LockMode::shared));
    Id first = mine.id();
    backend->broken = true;
    clock.pass(6min);
    mine.tick();
    EXPECT_EQ(mine.id(), first);
    mine.check_held();
    backend->broken = false;
    mine.tick();
    EXPECT_NE(mine.id(), first);

    backend->broken = true;
    clock.pass(22min + 29s);
    mine.check_held();
    clock.pass(1s);
    EXPECT_EQ(failure([&] { mine.check_held(); }).kind(), ErrorKind::locked);
    backend->broken = false;
    EXPECT_EQ(failure([&] { mine.check_held(); }).kind(), ErrorKind::locked) << "lost is lost";
    mine.release();
    EXPECT_TRUE(lock_files().empty());
}

TEST_F(LockTest, SurvivesASleepUnlessSomebodyRemovedItMeanwhile) {
    LockKeeper mine(*repo, options(LockMode::shared));
    Id first = mine.id();
    clock.sleep_machine(8h);
    mine.check_held();
    EXPECT_NE(mine.id(), first);
    EXPECT_EQ(lock_files(), std::vector<Id>{mine.id()});

    clock.sleep_machine(8h);
    mine.tick();
    EXPECT_EQ(lock_files(), std::vector<Id>{mine.id()});
    EXPECT_EQ(list_locks(*repo).at(0).time, clock.now());

    clock.sleep_machine(8h);
    EXPECT_EQ(remove_locks(*repo, false, clock), 1u);
    EXPECT_EQ(failure([&] { mine.check_held(); }).kind(), ErrorKind::locked);
    EXPECT_TRUE(lock_files().empty());
}

TEST_F(LockTest, ATickDuringAnOutageAfterASleepDoesNotLoseTheLock) {
    LockKeeper mine(*repo, options(LockMode::shared));
    clock.sleep_machine(1h);
    backend->broken = true;
    mine.tick();
    backend->broken = false;
    mine.check_held();
}

TEST_F(LockTest, RemovedByOthersIsLost) {
    LockKeeper mine(*repo, options(LockMode::shared));
    EXPECT_EQ(remove_locks(*repo, true, clock), 1u);
    clock.pass(5min);
    mine.tick();
    Error error = failure([&] { mine.check_held(); });
    EXPECT_EQ(error.kind(), ErrorKind::locked);
    EXPECT_THAT(error.message(), HasSubstr("removed by somebody else"));
    EXPECT_TRUE(lock_files().empty());
}

TEST_F(LockTest, AClockSetBackDoesNotStopRefreshing) {
    LockKeeper mine(*repo, options(LockMode::shared));
    Id first = mine.id();
    clock.sleep_machine(-1h);
    clock.pass(5min);
    mine.tick();
    EXPECT_NE(mine.id(), first);
}

TEST_F(LockTest, UnlockRemovesStaleOnesOnly) {
    LockInfo old = foreign(false);
    old.time = clock.now().plus(-31min);
    put(old);
    LockInfo dead = foreign(true);
    dead.hostname = this_hostname();
    pid_t child = fork();
    if (child == 0) _exit(0);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    dead.pid = child;
    put(dead);
    Id alive = put(foreign(false));
    EXPECT_EQ(remove_locks(*repo, false, clock), 2u);
    EXPECT_EQ(lock_files(), std::vector<Id>{alive});
    EXPECT_EQ(remove_locks(*repo, true, clock), 1u);
}

TEST_F(LockTest, TheThreadEndsWithTheLock) {
    {
        Lock lock(*repo, options(LockMode::shared));
        lock.check_held();
        EXPECT_EQ(lock_files().size(), 1u);
    }
    EXPECT_TRUE(lock_files().empty());
    Lock lock(*repo, options(LockMode::exclusive));
    lock.release();
    lock.release();
    EXPECT_TRUE(lock_files().empty());
}

}  // namespace
}  // namespace sevenfold::repository
