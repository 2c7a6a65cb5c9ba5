#include "protect/stream.h"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "core/log.h"
#include "database/timeline.h"
#include "os/file.h"
#include "protect/database_history.h"
#include "protect/places.h"
#include "protect/second_spool.h"

namespace sevenfold::protect {
namespace {

constexpr auto kKeepInSpool = std::chrono::hours(24);  // for restores from nearby

constexpr auto kTrimSecondEvery = std::chrono::minutes(10);
constexpr uint64_t kMostRead = 1 << 30;          // of a place's log, to find its end
constexpr auto kSlow = std::chrono::minutes(5);  // a seal that takes longer is told of

using Sealed = database::LogReceiver::Sealed;

// Brings what was received to one place, in a thread of its own: a place that hangs or is slow
// delays no other. One that cannot be opened, or whose connection broke, is opened anew.
class PlaceSealer {
  public:
    PlaceSealer(const config::PlaceConfig& config, JobPlace place, OpenPlaceOptions options,
                database::LogReceiver& receiver, std::function<void(const Sealed&)> tell,
                bool has_second)
        : config_(config),
          place_(std::move(place)),
          options_(std::move(options)),
          receiver_(receiver),
          tell_(std::move(tell)),
          has_second_(has_second),
          thread_([this] { run(); }) {}
    ~PlaceSealer() { finish(); }

    // Asks for a seal; returns at once. While one runs, all that are asked for are one.
    void request() {
        std::lock_guard lock(mutex_);
        wanted_ = true;
        wake_.notify_all();
        auto now = std::chrono::steady_clock::now();
        if (!busy_ || now - since_ < kSlow) return;
        log_warning("place {}: it has been storing the binlog for {} minutes", place_.name,
                    std::chrono::duration_cast<std::chrono::minutes>(now - since_).count());
        since_ = now;
    }
    // Seals once more, soon; finish() waits for it.
    void end() {
        std::lock_guard lock(mutex_);
        if (!ending_) wanted_ = true;
        ending_ = true;
        wake_.notify_all();
    }
    void finish() {
        end();
        if (thread_.joinable()) thread_.join();
    }

  private:
    void run() {
        std::unique_lock lock(mutex_);
        for (;;) {
            wake_.wait(lock, [&] { return wanted_ || ending_; });
            if (!wanted_) return;
            wanted_ = false;
            busy_ = true;
            since_ = std::chrono::steady_clock::now();
            bool last = ending_;
            lock.unlock();
            seal(last);
            lock.lock();
            busy_ = false;
        }
    }
    void seal(bool last) {
        if (place_.error) place_ = open_places({&config_}, options_)[0];
        Sealed result{.place = place_.name};
        try {
            auto results =
                receiver_.seal({{place_.name, place_.error ? nullptr : place_.repository.get()}});
            if (results.empty()) return;
            result = results[0];
        } catch (...) {
            result.error = current_error();
        }
        if (result.error && place_.error) result.error = place_.error;
        if (result.error) place_.error = result.error;
        if (result.saved || result.error) tell_(result);
        if (has_second_ && !result.error) trim_second(last);
    }
    void trim_second(bool last) {
        auto now = std::chrono::steady_clock::now();
        if (!last && trimmed_ && now - *trimmed_ < kTrimSecondEvery) return;
        trimmed_ = now;
        try {
            size_t parts = receiver_.trim_second();
            if (parts > 0) log_debug("second spool: {} parts removed", parts);
        } catch (...) {
            log_warning("second spool: it is not trimmed: {}", current_error().message());
        }
    }

    const config::PlaceConfig& config_;
    JobPlace place_;
    const OpenPlaceOptions options_;
    database::LogReceiver& receiver_;
    const std::function<void(const Sealed&)> tell_;
    const bool has_second_;  // the second spool lies beside it
    std::optional<std::chrono::steady_clock::time_point> trimmed_;
    std::mutex mutex_;  // guards what follows
    std::condition_variable wake_;
    bool wanted_ = false, busy_ = false, ending_ = false;
    std::chrono::steady_clock::time_point since_;
    std::thread thread_;  // last: it uses the others
};

// Wakes the sealing when there is much to seal.
struct Pending {
    std::mutex mutex;
    std::condition_variable_any wake;
    uint64_t bytes = 0;
};

// A stream that begins looks for bases everywhere; one that goes on needs the key of its second
// spool, and the other places are opened when they are sealed.
std::vector<JobPlace> open_needed(const config::AppConfig& config,
                                  const config::DatabaseConfig& database,
                                  const OpenPlaceOptions& options) {
    auto configs = places_of(config, database);
    if (!database::stored_stream_status(database.driver, spool_folder(config, database)))
        return open_places(configs, options);
    std::vector<JobPlace> places;
    for (const config::PlaceConfig* place : configs) {
        if (place->name == database.stream_second)
            places.push_back(open_places({place}, options)[0]);
        else
            places.push_back(
                {.name = place->name, .error = Error(ErrorKind::network, "not opened yet")});
    }
    return places;
}

// Where a stream begins whose spool is empty: where what the places have of its log ends, that of
// the place with the least; else where the newest base ends.
void find_begin(const config::AppConfig& config, const config::DatabaseConfig& database,
                const std::vector<JobPlace>& places, database::StreamRequest& request) {
    auto driver = database::make_driver(database.driver, {});
    for (const JobPlace& place : places) {
        if (place.error) continue;
        DatabaseSnapshots snapshots = list_database(*place.repository, database.name);
        auto bases = read_bases(*place.repository, snapshots);
        std::vector<std::unique_ptr<database::LogArchive>> archives;
        archives.push_back(database::open_log_snapshots(*place.repository, snapshots.logs));
        if (!bases.empty() && !archives[0]->segments().empty()) {
            const database::Position& base = bases.back().manifest.position;
            auto end = driver->log_end(*archives[0], base, kMostRead);
            database::Position position = end ? end->position : base;
            auto& least = request.continue_after;
            if (!position.gtid.empty() && (!least || driver->reaches(least->gtid, position.gtid)))
                least = position;
        }
        if (!bases.empty() && request.first_file.empty())
            request.first_file = bases.back().manifest.position.file;
        auto log = join_with_second_spool(config, database, {place}, std::move(archives));
        for (const database::LogSegment& segment : log->segments())
            request.incarnations.push_back(segment.incarnation);
    }
}

database::StreamRequest make_request(const config::AppConfig& config,
                                     const config::DatabaseConfig& database,
                                     const std::vector<JobPlace>& places,
                                     const StreamOptions& options) {
    database::StreamRequest request;
    request.database = database.name;
    request.spool = spool_folder(config, database);
    request.places = database.places;
    request.acknowledge = database.ack == "semi-sync";
    request.canary = database.canary;
    request.allow_privileged = options.allow_privileged;
    try {
        request.second = second_spool(config, database, places);
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::config) throw;
        throw error.with_hint(
            "Its key encrypts the second copy: it must be reachable when the stream starts.");
    }
    if (!database::stored_stream_status(database.driver, request.spool))
        find_begin(config, database, places, request);
    return request;
}

}  // namespace

// The timeline, so that a look at it finds it ready.
static void index_spool(const config::AppConfig& config, const config::DatabaseConfig& database,
                        const std::string& spool) {
    try {
        auto logs = database::open_log_folder(spool);
        database::open_timeline(database.driver, timeline_file(config, database), *logs)->extend();
    } catch (...) {
        log_warning("the timeline is not brought up to date: {}", current_error().message());
    }
}

void run_stream(const config::AppConfig& config, const config::DatabaseConfig& database,
                const StreamOptions& options, const StreamEvents& events, std::stop_token stop) {
    auto configs = places_of(config, database);
    OpenPlaceOptions open{config.app.state_dir + "/cache", stop};
    std::vector<JobPlace> places = open_needed(config, database, open);
    database::StreamRequest request = make_request(config, database, places, options);
    os::make_dirs(request.spool);
    Pending pending;
    database::StreamCallbacks callbacks;
    callbacks.on_gap = events.on_gap;
    callbacks.on_state = events.on_state;
    callbacks.on_stored = [&](uint64_t bytes) {
        std::lock_guard lock(pending.mutex);
        pending.bytes += bytes;
        if (pending.bytes >= database.seal_size) pending.wake.notify_all();
    };
    auto driver = open_database(database);
    auto receiver = driver->receive(request, callbacks);
    std::mutex telling;
    auto tell = [&](const Sealed& sealed) {
        std::lock_guard lock(telling);
        if (events.on_seal) events.on_seal({sealed});
    };
    std::vector<std::unique_ptr<PlaceSealer>> sealers;
    for (size_t i = 0; i < places.size(); ++i)
        sealers.push_back(
            std::make_unique<PlaceSealer>(*configs[i], std::move(places[i]), open, *receiver, tell,
                                          configs[i]->name == database.stream_second));
    std::stop_source ended;
    std::exception_ptr failure;
    std::jthread receiving([&] {
        try {
            receiver->run(stop);
        } catch (...) {
            failure = std::current_exception();
        }
        ended.request_stop();
        pending.wake.notify_all();
    });
    std::stop_callback on_stop(stop, [&] { pending.wake.notify_all(); });
    while (!ended.stop_requested()) {
        {
            std::unique_lock lock(pending.mutex);
            pending.wake.wait_for(lock, database.seal, [&] {
                return ended.stop_requested() || pending.bytes >= database.seal_size;
            });
            pending.bytes = 0;
        }
        if (ended.stop_requested()) break;
        for (auto& sealer : sealers) sealer->request();
        index_spool(config, database, request.spool);
        try {
            receiver->trim(kKeepInSpool);
        } catch (...) {
            log_warning("the spool is not trimmed: {}", current_error().message());
        }
    }
    receiving.join();
    for (auto& sealer : sealers) sealer->end();  // what came last, at all places at once
    for (auto& sealer : sealers) sealer->finish();
    if (failure) std::rethrow_exception(failure);
}

}  // namespace sevenfold::protect
