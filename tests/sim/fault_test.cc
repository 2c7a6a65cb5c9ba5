// Backups onto storage that fails at random. Whatever happens, what was said to be saved is there,
// and what is not sound has been reported.
#include <gtest/gtest.h>

#include "storage/fault_backend.h"
#include "storage/memory/memory_backend.h"
#include "storage/retry_backend.h"
#include "world.h"

namespace sevenfold::sim {
namespace {

using files::ArchiveResult;
using files::PlaceResult;
using repository::Repository;
using storage::MemoryBackend;

// Time passes only while somebody waits.
class SleepClock : public Clock {
  public:
    Time now() const override { return Time{1700000000, 0}; }
    std::chrono::steady_clock::time_point steady() const override {
        return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(passed_));
    }
    void sleep(std::chrono::nanoseconds time) { passed_ += time.count(); }

  private:
    std::atomic<int64_t> passed_{1};
};

struct Outcome {
    std::vector<Promise> promises;
    bool reported = false;  // somebody was told of a failure
};

class Trial {
  public:
    explicit Trial(uint64_t seed) : random_(seed), source_(seed) {
        // From hardly ever to nearly always.
        double scale = random_.unit() * random_.unit();
        faults_ = {.seed = seed,
                   .error_before = 0.3 * scale,
                   .error_after = 0.3 * scale,
                   .torn_store = 0.2 * scale,
                   .stale_list = 0.2 * scale,
                   .wrong_bytes = random_.below(2) == 0 ? 0.02 * scale : 0};
        patience_ = std::chrono::milliseconds(random_.below(8000));
        Repository::create(borrow(good_), password(), create_options());
    }

    void run() {
        attempt([&] { Repository::create(faulty(), password(), create_options()); });
        for (int round = 0; round < 3; ++round) {
            attempt([&] { back_up(); });
            source_.change();
        }
        look_at_the_good_place();
        look_at_the_bad_place();
    }

  private:
    static std::unique_ptr<storage::Backend> borrow(MemoryBackend& files) {
        return std::make_unique<storage::BorrowedBackend>(files);
    }
    std::unique_ptr<storage::Backend> faulty() {
        faults_.seed = random_.next();
        storage::RetryOptions retry{.total = patience_, .seed = random_.next(), .clock = &clock_};
        retry.sleep = [this](std::chrono::nanoseconds time, const std::stop_token&) {
            clock_.sleep(time);
        };
        return std::make_unique<storage::RetryBackend>(
            std::make_unique<storage::FaultBackend>(borrow(bad_), faults_), std::move(retry));
    }
    // What fails here is reported to the user.
    void attempt(const std::function<void()>& step) {
        try {
            step();
        } catch (const Error& error) {
            EXPECT_NE(error.kind(), ErrorKind::internal) << error.message();
            bad_outcome_.reported = true;
        }
    }

    void back_up() {
        auto good = Repository::open(borrow(good_), password(), {});
        auto good_tree = newest_tree(*good);
        good->load_index();
        std::unique_ptr<Repository> bad;
        std::optional<Id> bad_tree;
        attempt([&] {
            auto opened = Repository::open(faulty(), password(), {});
            bad_tree = newest_tree(*opened);
            opened->load_index();
            bad = std::move(opened);
        });
        std::vector<files::ArchivePlace> places{{"good", good.get()}};
        if (bad) places.push_back({"bad", bad.get()});
        auto options = backup_options(source_, random_.below(2) == 0);
        bool compare_bad = bad && random_.below(2) == 0;
        options.compare_repository = compare_bad ? bad.get() : good.get();
        options.compare_tree = compare_bad ? bad_tree : good_tree;
        ArchiveResult result = archive(places, options);
        EXPECT_EQ(result.unreadable, 0u);
        EXPECT_EQ(result.places[0].state, PlaceResult::State::saved);
        Content content = source_.content();
        good_promises_.push_back({result.places[0].snapshot.id, source_.path(), content});
        if (!bad) return;
        if (result.places[1].state == PlaceResult::State::saved) {
            bad_outcome_.promises.push_back(
                {result.places[1].snapshot.id, source_.path(), content});
        } else {
            EXPECT_TRUE(result.places[1].error) << "it failed and nobody says why";
            bad_outcome_.reported = true;
        }
    }

    void look_at_the_good_place() {
        auto repository = Repository::open(borrow(good_), password(), {});
        expect_sound(*repository);
        EXPECT_EQ(good_promises_.size(), 3u);
        for (const Promise& promise : good_promises_) expect_kept(*repository, promise);
    }
    void look_at_the_bad_place() {
        std::unique_ptr<Repository> repository;
        try {
            repository = Repository::open(borrow(bad_), password(), {});
        } catch (const Error& error) {
            EXPECT_TRUE(bad_outcome_.reported) << error.message();
            EXPECT_TRUE(bad_outcome_.promises.empty()) << error.message();
            return;
        }
        if (!bad_outcome_.reported) {
            EXPECT_EQ(bad_outcome_.promises.size(), 3u);
            expect_sound(*repository);
        }
        std::vector<Error> damaged;
        repository->load_index(&damaged);
        for (const Promise& promise : bad_outcome_.promises) expect_kept(*repository, promise);
    }

    SplitMix64 random_;
    Source source_;
    storage::FaultOptions faults_;
    std::chrono::nanoseconds patience_{};
    SleepClock clock_;
    MemoryBackend good_, bad_;
    std::vector<Promise> good_promises_;
    Outcome bad_outcome_;

  public:
    bool reported() const { return bad_outcome_.reported; }
};

TEST(Fault, IsReportedOrDoesNoHarm) {
    size_t clean = 0, reported = 0;
    auto all = seeds(300);
    for (uint64_t seed : all) {
        SCOPED_TRACE(fmt::format("SEVENFOLD_SIM_SEED={}", seed));
        Trial trial(seed);
        trial.run();
        ++(trial.reported() ? reported : clean);
        if (testing::Test::HasFailure()) return;
    }
    if (all.size() < 100) return;
    // The schedules are neither all harmless nor all hopeless.
    EXPECT_GT(clean, all.size() / 10);
    EXPECT_GT(reported, all.size() / 10);
}

}  // namespace
}  // namespace sevenfold::sim
