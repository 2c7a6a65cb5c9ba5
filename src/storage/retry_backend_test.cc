#include "storage/retry_backend.h"

#include <gmock/gmock.h>

#include "core/log.h"
#include "storage/fault_backend.h"
#include "storage/memory/memory_backend.h"
#include "storage/testing/contract.h"

namespace sevenfold::storage {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

// Time passes only while somebody sleeps.
class FakeClock : public Clock {
  public:
    Time now() const override { return {}; }
    std::chrono::steady_clock::time_point steady() const override {
        return std::chrono::steady_clock::time_point(nanoseconds(now_.load()));
    }
    Sleeper sleeper() {
        return [this](nanoseconds duration, const std::stop_token& stop) {
            if (stop.stop_requested()) throw Error(ErrorKind::interrupted, "stopped");
            pauses.push_back(duration);
            now_ += duration.count();
        };
    }
    std::vector<nanoseconds> pauses;

  private:
    std::atomic<int64_t> now_{0};
};

class RetryTest : public testing::Test {
  protected:
    RetryTest() {
        auto faults = std::make_unique<FaultBackend>(std::make_unique<BorrowedBackend>(memory_));
        faults_ = faults.get();
        retry_ = std::make_unique<RetryBackend>(
            std::move(faults),
            RetryOptions{.clock = &clock_, .sleep = clock_.sleeper(), .stop = stop_.get_token()});
    }
    FakeClock clock_;
    std::stop_source stop_;
    MemoryBackend memory_;
    FaultBackend* faults_;
    std::unique_ptr<RetryBackend> retry_;
    FileName name_ = test_name(FileType::pack, 1);
    Bytes body_ = test_body(1000, 1);
    Error network_{ErrorKind::network, "cut"};
};

TEST_F(RetryTest, SendsTheWholeBodyAgain) {
    for (uint64_t n : {1, 2, 3}) faults_->fail_nth(Operation::store, n, network_);
    retry_->store(name_, body_);
    EXPECT_EQ(memory_.load_all(name_), body_);
    ASSERT_EQ(clock_.pauses.size(), 3u);
    for (size_t i = 0; i < 3; ++i) {
        double base = 0.5e9 * static_cast<double>(1 << i);
        EXPECT_GE(static_cast<double>(clock_.pauses[i].count()), base * 0.5);
        EXPECT_LE(static_cast<double>(clock_.pauses[i].count()), base * 1.5);
    }
}

TEST_F(RetryTest, GivesUpWhenTheTimeIsUp) {
    faults_->fail_always(Operation::load, network_);
    retry_->store(name_, body_);  // it has answered once
    Error error = expect_error(ErrorKind::network, [&] { retry_->load(name_, 0, 1); });
    EXPECT_EQ(error.message(), "cut");
    nanoseconds total{};
    for (nanoseconds pause : clock_.pauses) {
        EXPECT_LE(pause, seconds(90));
        total += pause;
    }
    EXPECT_LE(total, std::chrono::minutes(15));
    EXPECT_GE(total, std::chrono::minutes(13));
}

TEST_F(RetryTest, WhatHasNeverAnsweredIsGivenUpSoon) {
    faults_->fail_always(Operation::load, network_);
    expect_error(ErrorKind::network, [&] { retry_->load(name_, 0, 1); });
    nanoseconds total{};
    for (nanoseconds pause : clock_.pauses) total += pause;
    EXPECT_LE(total, seconds(20));
    EXPECT_GE(total, seconds(8));
}

TEST_F(RetryTest, FinalErrorsAreFinal) {
    for (ErrorKind kind : {ErrorKind::permission, ErrorKind::no_space, ErrorKind::corrupt,
                           ErrorKind::refused, ErrorKind::not_found}) {
        faults_->fail_nth(Operation::store, 1, Error(kind, "no"));
        expect_error(kind, [&] { retry_->store(name_, body_); });
    }
    EXPECT_TRUE(clock_.pauses.empty());
}

TEST_F(RetryTest, IoErrorsAFewTimesOnly) {
    faults_->fail_always(Operation::store, Error(ErrorKind::io, "bad sector"));
    expect_error(ErrorKind::io, [&] { retry_->store(name_, body_); });
    EXPECT_EQ(faults_->count(Operation::store), 4u);
}

TEST_F(RetryTest, TooShortAFileIsNotReadAgain) {
    memory_.store(name_, body_);
    expect_error(ErrorKind::io, [&] { retry_->load(name_, 990, 20); });
    EXPECT_EQ(faults_->count(Operation::load), 1u);
    EXPECT_TRUE(clock_.pauses.empty());
}

TEST_F(RetryTest, LostReplyOfAStoreThatIsThenRefused) {
    // The first store arrives without a reply; the place refuses to replace the file.
    faults_->fail_nth(Operation::store, 1, network_, /*done=*/true);
    faults_->fail_nth(Operation::store, 2, Error(ErrorKind::permission, "append only"));
    retry_->store(name_, body_);
    // Refused, and what is there has another size: not ours.
    memory_.store(name_, test_body(999, 2));
    faults_->fail_nth(Operation::store, 1, network_);
    faults_->fail_nth(Operation::store, 2, Error(ErrorKind::permission, "append only"));
    expect_error(ErrorKind::permission, [&] { retry_->store(name_, body_); });
    // Refused at once: not ours either, whatever the size.
    memory_.store(name_, body_);
    faults_->fail_nth(Operation::store, 1, Error(ErrorKind::permission, "append only"));
    expect_error(ErrorKind::permission, [&] { retry_->store(name_, body_); });
}

TEST_F(RetryTest, LostReplyOfARemove) {
    memory_.store(name_, body_);
    faults_->fail_nth(Operation::remove, 1, network_, /*done=*/true);
    retry_->remove(name_);
    EXPECT_FALSE(memory_.exists(name_));
    expect_error(ErrorKind::not_found, [&] { retry_->remove(name_); });
}

TEST_F(RetryTest, ListsEachFileOnceAndPassesOnWhatTheCallbackThrows) {
    for (uint64_t i = 0; i < 5; ++i) memory_.store(test_name(FileType::index, i), body_);
    faults_->fail_nth(Operation::list, 1, network_);
    EXPECT_EQ(retry_->list_all(FileType::index).size(), 5u);
    int calls = 0;
    expect_error(ErrorKind::network, [&] {
        retry_->list(FileType::index, [&](const FileInfo&) {
            ++calls;
            throw network_;
        });
    });
    EXPECT_EQ(calls, 1);
}

TEST_F(RetryTest, InterruptEndsThePause) {
    faults_->fail_always(Operation::size, network_);
    stop_.request_stop();
    expect_error(ErrorKind::interrupted, [&] { retry_->size(name_); });
}

TEST(SleepUnlessStopped, EndsWhenStopped) {
    std::stop_source stop;
    std::jthread stopper([&] { stop.request_stop(); });
    expect_error(ErrorKind::interrupted,
                 [&] { sleep_unless_stopped(std::chrono::hours(1), stop.get_token()); });
}

struct FaultyPlace : ContractPlace {
    MemoryBackend memory;
    FakeClock clock;
    std::unique_ptr<Backend> open() override {
        FaultOptions faults{.seed = 7,
                            .error_before = 0.2,
                            .error_after = 0.2,
                            .torn_store = 0.2,
                            .spare_remove = true};
        set_log_level(LogLevel::warning);
        return std::make_unique<RetryBackend>(
            std::make_unique<FaultBackend>(std::make_unique<BorrowedBackend>(memory), faults),
            RetryOptions{.sleep = [](nanoseconds, const std::stop_token&) {}});
    }
};

INSTANTIATE_TEST_SUITE_P(RetriedFaults, BackendContract,
                         testing::Values(contract("faults",
                                                  [] { return std::make_unique<FaultyPlace>(); })),
                         contract_name);

}  // namespace
}  // namespace sevenfold::storage
