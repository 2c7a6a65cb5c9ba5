// limit, fault and recording.
#include <gmock/gmock.h>

#include "core/parallel.h"
#include "storage/fault_backend.h"
#include "storage/limit_backend.h"
#include "storage/recording_backend.h"
#include "storage/testing/contract.h"

namespace sevenfold::storage {
namespace {

using std::chrono::nanoseconds;

template <class Decorate>
ContractCase decorated_memory(std::string name, Decorate decorate) {
    struct Place : ContractPlace {
        explicit Place(Decorate d) : decorate_inner(d) {}
        MemoryBackend memory;
        Decorate decorate_inner;
        std::unique_ptr<Backend> open() override {
            return decorate_inner(std::make_unique<BorrowedBackend>(memory));
        }
    };
    return contract(std::move(name), [decorate] { return std::make_unique<Place>(decorate); });
}

INSTANTIATE_TEST_SUITE_P(
    Decorated, BackendContract,
    testing::Values(
        decorated_memory("limit",
                         [](std::unique_ptr<Backend> inner) {
                             Limits limits{.connections = 2,
                                           .upload = std::make_shared<TokenBucket>(1u << 30),
                                           .download = std::make_shared<TokenBucket>(1u << 30)};
                             return std::make_unique<LimitBackend>(std::move(inner), limits);
                         }),
        decorated_memory("fault",
                         [](std::unique_ptr<Backend> inner) {
                             return std::make_unique<FaultBackend>(std::move(inner));
                         }),
        decorated_memory("recording",
                         [](std::unique_ptr<Backend> inner) {
                             return std::make_unique<RecordingBackend>(std::move(inner));
                         })),
    contract_name);

TEST(TokenBucket, KeepsToTheRate) {
    struct StillClock : Clock {
        Time now() const override { return {}; }
        std::chrono::steady_clock::time_point steady() const override {
            return std::chrono::steady_clock::time_point(at);
        }
        nanoseconds at{};
    } clock;
    nanoseconds slept{};
    TokenBucket bucket(1000, {}, clock, [&](nanoseconds duration, const std::stop_token&) {
        clock.at += duration;
        slept += duration;
    });
    bucket.take(5000);  // nothing owed yet
    EXPECT_EQ(slept.count(), 0);
    bucket.take(1);
    EXPECT_EQ(slept, std::chrono::milliseconds(4750));
    for (int i = 0; i < 100; ++i) bucket.take(100);
    EXPECT_NEAR(static_cast<double>(clock.at.count()), 15e9, 0.4e9);
}

TEST(LimitBackend, RunsSoManyAtOnce) {
    struct Counting : MemoryBackend {
        std::atomic<int> running{0}, most{0};
        uint64_t size(const FileName& name) override {
            int now = ++running;
            for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
            }
            std::this_thread::yield();
            --running;
            return MemoryBackend::size(name);
        }
    };
    auto counting = std::make_unique<Counting>();
    Counting* counter = counting.get();
    counter->store({FileType::config}, as_bytes("x"));
    LimitBackend backend(std::move(counting), {.connections = 2, .upload = {}, .download = {}});
    EXPECT_EQ(backend.capabilities().connections, 2u);
    parallel_for(200, 8, [&](size_t) { backend.size({FileType::config}); });
    EXPECT_LE(counter->most, 2);
    EXPECT_GE(counter->most, 1);
}

TEST(FaultBackend, IsTheSameForTheSameSeed) {
    auto run = [](uint64_t seed) {
        FaultBackend backend(std::make_unique<MemoryBackend>(),
                             {.seed = seed, .error_before = 0.3, .error_after = 0.3});
        std::string out;
        for (uint64_t i = 0; i < 50; ++i) {
            try {
                backend.store(test_name(FileType::pack, i), {});
                out += '.';
            } catch (const Error&) {
                out += 'x';
            }
        }
        return out + std::to_string(backend.list_all(FileType::lock).size());
    };
    auto safely = [&](uint64_t seed) {
        try {
            return run(seed);
        } catch (const Error& error) {
            return error.message();
        }
    };
    EXPECT_EQ(safely(1), safely(1));
    EXPECT_NE(safely(1), safely(2));
}

TEST(FaultBackend, TearsHidesAndDamages) {
    FaultBackend torn(std::make_unique<MemoryBackend>(), {.torn_store = 1});
    FileName name = test_name(FileType::snapshot, 1);
    EXPECT_FALSE(torn.capabilities().atomic_replace);
    expect_error(ErrorKind::network, [&] { torn.store(name, test_body(100, 1)); });
    EXPECT_EQ(torn.size(name), 50u);
    torn.calm();
    torn.store(name, test_body(100, 1));
    EXPECT_EQ(torn.size(name), 100u);

    FaultBackend stale(std::make_unique<MemoryBackend>(), {.stale_list = 1, .lately = 2});
    for (uint64_t i = 0; i < 5; ++i) stale.store(test_name(FileType::snapshot, i), {});
    EXPECT_EQ(stale.list_all(FileType::snapshot).size(), 3u);

    FaultBackend wrong(std::make_unique<MemoryBackend>(), {.wrong_bytes = 1});
    wrong.store(name, test_body(100, 1));
    EXPECT_NE(wrong.load_all(name), test_body(100, 1));
    EXPECT_NE(wrong.load(name, 0, 100), test_body(100, 1));
}

using Outcome = Record::Outcome;
constexpr auto kLost = [](const RecordedChange&) { return Outcome::lost; };
constexpr auto kKept = [](const RecordedChange&) { return Outcome::kept; };

TEST(Recording, MakesTheStatesOfACrash) {
    auto memory = std::make_unique<MemoryBackend>();
    memory->store({FileType::config}, as_bytes("c"));
    RecordingBackend backend(std::move(memory));
    FileName pack = test_name(FileType::pack, 1), index = test_name(FileType::index, 2);
    backend.store(pack, as_bytes("pack"));  // events 0, 1
    backend.store(index, as_bytes("index"));
    backend.remove(index);
    backend.remove(pack);
    Record record = backend.record();
    ASSERT_EQ(record.events.size(), 8u);
    auto count = [&](size_t events, const Record::Decide& decide) {
        return record.after_crash(events, decide).size();
    };
    EXPECT_EQ(count(0, kLost), 1u);
    EXPECT_EQ(count(1, kLost), 1u);
    EXPECT_EQ(count(1, kKept), 2u);
    EXPECT_EQ(count(2, kLost), 2u);  // acknowledged stores stay
    EXPECT_EQ(count(4, kLost), 3u);
    EXPECT_EQ(count(5, kLost), 3u);
    EXPECT_EQ(count(5, kKept), 2u);
    EXPECT_EQ(count(6, kLost), 2u);  // acknowledged removals of an index stay
    EXPECT_EQ(count(8, kLost), 2u);  // those of a pack need not
    EXPECT_EQ(count(8, kKept), 1u);
    auto torn = record.after_crash(1, [](const RecordedChange&) { return Outcome::torn; });
    EXPECT_EQ((torn[{FileType::pack, pack.id}]), to_bytes("pa"));
    EXPECT_EQ((torn[{FileType::config, Id{}}]), to_bytes("c"));
}

TEST(Recording, FailedStoresMayBeThere) {
    auto faults = std::make_unique<FaultBackend>(std::make_unique<MemoryBackend>());
    faults->fail_nth(Operation::store, 1, Error(ErrorKind::network, "cut"));
    RecordingBackend backend(std::move(faults));
    EXPECT_THROW(backend.store(test_name(FileType::pack, 1), as_bytes("x")), Error);
    EXPECT_EQ(backend.event_count(), 2u);
    EXPECT_EQ(backend.record().after_crash(2, kLost).size(), 0u);
    EXPECT_EQ(backend.record().after_crash(2, kKept).size(), 1u);
}

}  // namespace
}  // namespace sevenfold::storage
