#include "protect/health.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "core/log.h"
#include "core/units.h"
#include "protect/internal/health_run.h"

namespace sevenfold::protect {

using State = HealthCheck::State;

std::string_view name(State state) {
    constexpr std::string_view kNames[] = {"ok", "not supported here", "unknown", "warning",
                                           "failed"};
    return kNames[static_cast<size_t>(state)];
}

State PlaceHealth::worst() const {
    State worst = State::ok;
    for (const HealthCheck& check : checks)
        if (check.state >= State::warning) worst = std::max(worst, check.state);
    return worst;
}

const HealthCheck* PlaceHealth::first_failure() const {
    const HealthCheck* finding = nullptr;
    for (const HealthCheck& check : checks) {
        if (check.state != State::failed) continue;
        if (check.kind != ErrorKind::rule) return &check;
        if (finding == nullptr) finding = &check;
    }
    return finding;
}

std::optional<double> days_until_full(const std::vector<catalog::SpacePoint>& points) {
    if (points.size() < 2 || points.back().time.since(points.front().time) < std::chrono::hours(1))
        return std::nullopt;
    auto days = [&](const catalog::SpacePoint& point) {
        return static_cast<double>(point.time.seconds - points.front().time.seconds) / 86400;
    };
    double count = static_cast<double>(points.size()), mean_x = 0, mean_y = 0;
    for (const auto& point : points) {
        mean_x += days(point) / count;
        mean_y += static_cast<double>(point.free) / count;
    }
    double above = 0, below = 0;
    for (const auto& point : points) {
        above += (days(point) - mean_x) * (static_cast<double>(point.free) - mean_y);
        below += (days(point) - mean_x) * (days(point) - mean_x);
    }
    if (below <= 0 || above >= 0) return std::nullopt;
    return static_cast<double>(points.back().free) / -(above / below);
}

namespace {

// What is left to a thread that the deadline found at work, before it is given up: HTTP requests
// end within five seconds of being asked.
constexpr std::chrono::seconds kGrace{7};

// One place's examination, shared by its thread and whoever waits for it.
struct Examination {
    internal::HealthRun run;
    std::stop_source stop;
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
};

// What was found until now; the check under way has failed.
PlaceHealth give_up(Examination& at, const HealthOptions& options) {
    bool stopped = options.stop.stop_requested();
    return at.run.snapshot(Error(
        stopped ? ErrorKind::interrupted : ErrorKind::timeout,
        stopped ? "interrupted"
                : fmt::format("not done within {}", format_duration(options.deadline)),
        "Is it mounted and does the server answer? For a large or slow place raise --timeout."));
}

PlaceHealth wait_for(const std::shared_ptr<Examination>& at, std::thread& thread,
                     std::chrono::steady_clock::time_point until, const HealthOptions& options) {
    std::stop_callback wake(options.stop, [&] { at->changed.notify_all(); });
    std::unique_lock lock(at->mutex);
    auto finished = [&](auto end) {
        while (!at->done && std::chrono::steady_clock::now() < end &&
               !options.stop.stop_requested())
            at->changed.wait_for(lock, std::chrono::milliseconds(100));
        return at->done;
    };
    bool in_time = finished(until);
    PlaceHealth result;
    if (!in_time) {
        lock.unlock();
        result = give_up(*at, options);
        at->stop.request_stop();
        lock.lock();
        auto last = std::chrono::steady_clock::now() + kGrace;
        while (!at->done && std::chrono::steady_clock::now() < last)
            at->changed.wait_for(lock, std::chrono::milliseconds(100));
    }
    bool ended = at->done;
    lock.unlock();
    if (ended) {
        thread.join();
        return in_time ? at->run.snapshot(std::nullopt) : result;
    }
    // The kernel holds it (a mount whose server is gone) and nothing can wake it; it owns all that
    // it uses.
    thread.detach();
    return result;
}

void record(catalog::Catalog& catalog, const PlaceHealth& health, const Time& now) try {
    catalog::PingRecord ping{.place = health.place,
                             .time = now,
                             .state = std::string(name(health.worst())),
                             .free = health.free_space,
                             .used = health.used};
    for (const HealthCheck& check : health.checks)
        ping.checks.push_back({.name = check.name,
                               .subject = check.subject,
                               .state = std::string(name(check.state)),
                               .evidence = check.evidence,
                               .hint = check.hint});
    catalog.add_ping(ping);
} catch (const Error& error) {
    log_warning("this ping is not recorded: {}", error.message());
}

}  // namespace

std::vector<PlaceHealth> check_health(const config::AppConfig& config,
                                      const std::vector<const config::PlaceConfig*>& places,
                                      catalog::Catalog* catalog, const HealthOptions& options) {
    std::vector<std::shared_ptr<Examination>> all;
    std::vector<std::thread> threads;
    const Time now = options.clock->now();
    for (const config::PlaceConfig* place : places) {
        auto at = std::make_shared<Examination>();
        internal::HealthTask task{.config = config,
                                  .place = *place,
                                  .read_only = options.read_only,
                                  .deadline = options.deadline,
                                  .stop = at->stop.get_token(),
                                  .clock = options.clock};
        if (catalog != nullptr) {
            try {
                task.space =
                    catalog->space_history(place->name, now.plus(-std::chrono::hours(720)));
                task.position = catalog->read_back_position(place->name);
                for (const config::FilesConfig& files : config.files)
                    if (auto run = catalog->last_run("backup", files.name, place->name))
                        task.had_snapshot[files.name] = run->succeeded;
            } catch (const Error& error) {
                log_warning("what is known of {} is not: {}", place->name, error.message());
            }
        }
        all.push_back(at);
        threads.emplace_back([at, task = std::move(task)] {
            at->run.examine(task);
            std::lock_guard lock(at->mutex);
            at->done = true;
            at->changed.notify_all();
        });
    }
    auto until = std::chrono::steady_clock::now() + options.deadline;
    std::vector<PlaceHealth> out;
    for (size_t i = 0; i < all.size(); ++i) {
        out.push_back(wait_for(all[i], threads[i], until, options));
        out.back().place = places[i]->name;
        if (catalog == nullptr || options.stop.stop_requested()) continue;
        record(*catalog, out.back(), now);
        if (auto position = all[i]->run.position()) {
            try {
                catalog->set_read_back_position(places[i]->name, *position);
            } catch (const Error& error) {
                log_warning("reading back will not go on from here: {}", error.message());
            }
        }
    }
    return out;
}

}  // namespace sevenfold::protect
