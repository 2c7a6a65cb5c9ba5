#include "protect/stream.h"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "core/log.h"
#include "os/file.h"
#include "protect/places.h"
#include "storage/open.h"

namespace sevenfold::protect {
namespace {

constexpr auto kKeepInSpool = std::chrono::hours(24);  // for restores from nearby

// Places of the database, opened once; those that failed are tried again.
class OpenPlaces {
  public:
    OpenPlaces(const config::AppConfig& config, const config::DatabaseConfig& database,
               std::stop_token stop)
        : configs_(places_of(config, database)),
          options_{config.app.state_dir + "/cache", stop},
          places_(open_places(configs_, options_)) {}

    const std::vector<JobPlace>& get() {
        for (size_t i = 0; i < places_.size(); ++i)
            if (places_[i].error) places_[i] = open_places({configs_[i]}, options_)[0];
        return places_;
    }
    // A connection that broke is opened anew next time. Returns what is wrong with the place.
    Error failed(const std::string& name, const Error& error) {
        for (JobPlace& place : places_) {
            if (place.name != name) continue;
            if (!place.error) place.error = error;
            return *place.error;
        }
        return error;
    }

  private:
    std::vector<const config::PlaceConfig*> configs_;
    OpenPlaceOptions options_;
    std::vector<JobPlace> places_;
};

database::StreamRequest::Second second_spool(const config::AppConfig& config,
                                             const config::DatabaseConfig& database,
                                             OpenPlaces& places) {
    const config::PlaceConfig& place = config.place(database.stream_second);
    database::StreamRequest::Second second;
    second.name = place.name;
    second.location = storage::parse_location(place.url);
    second.location.path += "-spool/" + database.name;
    second.ssh_args = place.ssh_options;
    for (const JobPlace& opened : places.get()) {
        if (opened.name != place.name) continue;
        if (opened.error)
            throw opened.error->with_hint(
                "Its key encrypts the second copy: it must be reachable "
                "when the stream starts.");
        second.key = opened.repository->master_key();
        return second;
    }
    throw Error(ErrorKind::config, fmt::format("stream_second {} is not one of the places of {}",
                                               place.name, database.name));
}

// Wakes the sealing when there is much to seal.
struct Pending {
    std::mutex mutex;
    std::condition_variable_any wake;
    uint64_t bytes = 0;
};

}  // namespace

void run_stream(const config::AppConfig& config, const config::DatabaseConfig& database,
                const StreamEvents& events, std::stop_token stop) {
    OpenPlaces places(config, database, stop);
    database::StreamRequest request;
    request.database = database.name;
    request.spool = spool_folder(config, database);
    os::make_dirs(request.spool);
    request.acknowledge = database.ack == "semi-sync";
    request.canary = database.canary;
    if (!database.stream_second.empty()) request.second = second_spool(config, database, places);
    for (const JobPlace& place : places.get()) {  // the stream begins where the newest base ends
        if (place.error || !request.first_file.empty()) continue;
        auto bases = read_bases(*place.repository, list_database(*place.repository, database.name));
        if (!bases.empty()) request.first_file = bases.back().manifest.position.file;
    }
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
    auto seal = [&] {
        std::vector<database::LogReceiver::Place> targets;
        for (const JobPlace& place : places.get())
            targets.push_back({place.name, place.error ? nullptr : place.repository.get()});
        auto results = receiver->seal(targets);
        bool news = false;
        for (database::LogReceiver::Sealed& result : results) {
            if (result.error) result.error = places.failed(result.place, *result.error);
            news = news || result.saved || result.error;
        }
        if (news && events.on_seal) events.on_seal(results);
        receiver->trim(kKeepInSpool);
    };
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
        if (!ended.stop_requested()) seal();
    }
    receiving.join();
    seal();  // what came last
    if (failure) std::rethrow_exception(failure);
}

}  // namespace sevenfold::protect
