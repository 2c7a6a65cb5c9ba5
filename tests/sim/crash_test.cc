// A crash at every step. A scripted history is recorded; for every prefix of it, with every
// operation whose fate was open lost, done, or torn, a repository is made and must hold what its
// users had been told by then.
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "crypto/sha256.h"
#include "repository/key.h"
#include "repository/lock.h"
#include "storage/recording_backend.h"
#include "world.h"

namespace sevenfold::sim {
namespace {

using files::ArchiveResult;
using repository::Lock;
using repository::Repository;
using storage::FileType;
using storage::MemoryBackend;
using storage::Record;
using Outcome = Record::Outcome;

constexpr const char* kSecondPassword = "second";

struct Told {
    size_t from = 0, until = SIZE_MAX;  // in events: told after `from`, withdrawn after `until`
    Promise promise;
};

struct History {
    Record record;
    size_t created = 0, key_added = 0;
    std::vector<Told> told;
};

// A recorded storage that several clients use.
class Recorded : public storage::BorrowedBackend {
  public:
    Recorded(storage::RecordingBackend& inner, unsigned connections)
        : BorrowedBackend(inner), connections_(connections) {}
    storage::Capabilities capabilities() const override {
        auto out = BorrowedBackend::capabilities();
        out.connections = connections_;
        return out;
    }

  private:
    unsigned connections_;
};

class Life {
  public:
    Life(uint64_t seed, bool threads) : random_(seed), threads_(threads) {
        first_ = std::make_unique<Source>(seed);
        second_ = std::make_unique<Source>(seed + 1000);
    }

    History live() {
        Repository::create(client(), password(), create_options());
        history_.created = now();
        back_up(*first_);
        first_->change();
        back_up(*first_);
        two_clients();
        forget(0);
        add_second_key();
        first_->change();
        back_up(*first_);
        forget(1);
        back_up(*second_);
        history_.record = recording_.record();
        return std::move(history_);
    }

  private:
    struct Client {
        std::unique_ptr<Repository> repository;
        std::unique_ptr<Lock> lock;
        std::optional<Id> compare;
    };

    size_t now() const { return recording_.event_count(); }
    std::unique_ptr<storage::Backend> client() {
        return std::make_unique<Recorded>(recording_, threads_ ? 3 : 1);
    }
    Client begin() {
        Client c{Repository::open(client(), password(), {}), nullptr, {}};
        c.lock = std::make_unique<Lock>(*c.repository, repository::LockOptions{.settle = {}});
        c.compare = newest_tree(*c.repository);
        c.repository->load_index();
        return c;
    }
    void save(Client& c, const Source& source, bool index_often) {
        auto options = backup_options(source, index_often);
        options.workers = threads_ ? 2 : 1;
        options.compare_repository = c.repository.get();
        options.compare_tree = c.compare;
        ArchiveResult result = archive({{"place", c.repository.get(), c.lock.get()}}, options);
        ASSERT_EQ(result.places[0].state, files::PlaceResult::State::saved);
        std::lock_guard lock(mutex_);
        history_.told.push_back(
            {now(), SIZE_MAX, {result.places[0].snapshot.id, source.path(), source.content()}});
    }
    void back_up(const Source& source) {
        Client c = begin();
        save(c, source, random_.below(2) == 0);
    }
    // Neither knows what the other stores.
    void two_clients() {
        first_->change();
        second_->change();
        Client a = begin(), b = begin();
        bool often = random_.below(2) == 0;
        if (threads_) {
            std::thread other([&] { save(b, *second_, often); });
            save(a, *first_, !often);
            other.join();
        } else {
            save(a, *first_, often);
            save(b, *second_, !often);
        }
    }
    void forget(size_t which) {
        Told& told = history_.told.at(which);
        Client c = begin();
        told.until = now();
        c.repository->remove(FileType::snapshot, told.promise.snapshot);
    }
    void add_second_key() {
        auto repository = Repository::open(client(), password(), {});
        add_key(repository->backend(), repository->master_key(), Secret(kSecondPassword),
                create_options().key);
        history_.key_added = now();
    }

    SplitMix64 random_;
    const bool threads_;
    std::unique_ptr<Source> first_, second_;
    storage::RecordingBackend recording_{std::make_unique<MemoryBackend>()};
    std::mutex mutex_;
    History history_;
};

std::unique_ptr<Repository> open(MemoryBackend& files, const Secret& with) {
    return Repository::open(std::make_unique<storage::BorrowedBackend>(files), with, {});
}

void expect_can_go_on(MemoryBackend& files, const Source& source) {
    auto repository = open(files, password());
    auto compare = newest_tree(*repository);
    repository->load_index();
    auto options = backup_options(source, false);
    options.compare_repository = repository.get();
    options.compare_tree = compare;
    ArchiveResult result = archive({{"place", repository.get()}}, options);
    ASSERT_EQ(result.places[0].state, files::PlaceResult::State::saved);
    auto again = open(files, password());
    expect_sound(*again);
    expect_kept(*again, {result.places[0].snapshot.id, source.path(), source.content()});
}

// Before init had returned: either all of it is there or it can be done again.
void expect_created_or_not(MemoryBackend& files) {
    try {
        open(files, password());
        return;
    } catch (const Error& error) {
        ASSERT_EQ(name(error.kind()), name(ErrorKind::no_repository)) << error.message();
    }
    Repository::create(std::make_unique<storage::BorrowedBackend>(files), password(),
                       create_options());
    auto repository = open(files, password());
    expect_sound(*repository);
}

void expect_holds(const History& history, size_t seen, const MemoryBackend::Files& state) {
    MemoryBackend files(state);
    if (seen < history.created) {
        expect_created_or_not(files);
        return;
    }
    auto repository = open(files, password());
    if (history.key_added != 0 && seen >= history.key_added) {
        EXPECT_NO_THROW(open(files, Secret(kSecondPassword)));
    }
    expect_sound(*repository);
    repository->load_index();
    for (const Told& told : history.told)
        if (told.from <= seen && seen <= told.until) expect_kept(*repository, told.promise);
}

// What distinguishes states: names and sizes.
Id digest(const MemoryBackend::Files& files) {
    std::string all;
    for (const auto& [name, body] : files)
        all += fmt::format("{} {} {}\n", folder(name.first), name.second.hex(), body.size());
    return crypto::sha256(as_bytes(all));
}

struct Variant {
    const char* name;
    std::function<Outcome(SplitMix64&, const storage::RecordedChange&)> decide;
};

// A torn pack can be met where storage does not replace atomically: nothing lists it yet.
const Variant kVariants[] = {
    {"lost", [](SplitMix64&, const auto&) { return Outcome::lost; }},
    {"kept", [](SplitMix64&, const auto&) { return Outcome::kept; }},
    {"packs torn",
     [](SplitMix64&, const storage::RecordedChange& change) {
         bool store = change.kind == storage::RecordedChange::Kind::store;
         return store && change.name.type == FileType::pack ? Outcome::torn : Outcome::lost;
     }},
    {"mixed", [](SplitMix64& random,
                 const auto&) { return random.below(2) == 0 ? Outcome::lost : Outcome::kept; }},
};

void crash_everywhere(uint64_t seed, bool threads) {
    History history = Life(seed, threads).live();
    if (testing::Test::HasFatalFailure()) return;
    ASSERT_GE(history.told.size(), 6u);
    Source later(seed + 2000);
    std::set<Id> looked_at;
    SplitMix64 random(seed);
    for (size_t seen = 0; seen <= history.record.events.size(); ++seen)
        for (const Variant& variant : kVariants) {
            auto state = history.record.after_crash(
                seen, [&](const storage::RecordedChange& c) { return variant.decide(random, c); });
            if (!looked_at.insert(digest(state)).second) continue;
            SCOPED_TRACE(fmt::format("SEVENFOLD_SIM_SEED={}, crash after event {} of {}, {}", seed,
                                     seen, history.record.events.size(), variant.name));
            try {
                expect_holds(history, seen, state);
                MemoryBackend files(state);
                if (seen >= history.created && random.below(10) == 0)
                    expect_can_go_on(files, later);
            } catch (const Error& error) {
                ADD_FAILURE() << error.message();
            }
            if (testing::Test::HasFailure()) return;
        }
    EXPECT_GT(looked_at.size(), 50u);
}

TEST(Crash, LosesNothingThatWasSaid) {
    for (uint64_t seed : seeds(4)) crash_everywhere(seed, false);
}

TEST(Crash, LosesNothingThatWasSaidToClientsAtOnce) {
    for (uint64_t seed : seeds(2)) crash_everywhere(seed, true);
}

// Where storage may leave a part of an index, snapshot or lock file, it is named, and what was
// promised can still be read.
TEST(Crash, TornFilesAreNamedAndCostNothingElse) {
    for (uint64_t seed : seeds(2)) {
        History history = Life(seed, false).live();
        if (testing::Test::HasFatalFailure()) return;
        for (size_t seen = history.created; seen <= history.record.events.size(); ++seen) {
            std::optional<FileType> torn;
            auto state =
                history.record.after_crash(seen, [&](const storage::RecordedChange& change) {
                    if (change.kind == storage::RecordedChange::Kind::remove) return Outcome::kept;
                    torn = change.name.type;
                    return Outcome::torn;
                });
            if (!torn) continue;
            SCOPED_TRACE(fmt::format("SEVENFOLD_SIM_SEED={}, crash after event {}, torn {}", seed,
                                     seen, folder(*torn)));
            MemoryBackend files(state);
            auto repository = open(files, password());
            auto report = check(*repository, {});
            bool listed = *torn == FileType::index || *torn == FileType::snapshot;
            if (listed || *torn == FileType::pack) {
                EXPECT_EQ(report.ok(), !listed) << "damage that was not seen, or none that was";
            }
            std::vector<Error> damaged;
            repository->load_index(&damaged);
            EXPECT_EQ(damaged.size(), *torn == FileType::index ? 1u : 0u);
            for (const Told& told : history.told)
                if (told.from <= seen && seen <= told.until) expect_kept(*repository, told.promise);
            if (testing::Test::HasFailure()) return;
        }
    }
}

}  // namespace
}  // namespace sevenfold::sim
