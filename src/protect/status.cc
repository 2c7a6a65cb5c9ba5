#include "protect/status.h"

#include <algorithm>

#include "core/log.h"
#include "core/parallel.h"
#include "os/identity.h"

namespace sevenfold::protect {
namespace {

using repository::Snapshot;

CopyStatus look_at(const config::FilesConfig& source, const config::PlaceConfig& place,
                   const JobPlace& opened, const Time& now) {
    CopyStatus copy;
    copy.place = place.name;
    copy.domain = place.failure_domain();
    copy.error = opened.error;
    if (!copy.error) {
        try {
            std::vector<Snapshot> all = snapshots_of(source, *opened.repository, &copy.damaged);
            if (const Snapshot* newest = newest_of(all, now)) copy.newest = *newest;
            copy.from_future = static_cast<size_t>(std::ranges::count_if(
                all, [&](const Snapshot& snapshot) { return is_from_future(snapshot.time, now); }));
        } catch (...) {
            copy.error = current_error();
        }
    }
    copy.judge(copy.newest ? std::optional(copy.newest->time) : std::nullopt,
               allowed_age(source.every), now);
    return copy;
}

}  // namespace

void Copy::judge(const std::optional<Time>& newest_time, std::chrono::nanoseconds allowed,
                 const Time& now) {
    if (error)
        state = State::unreachable;
    else if (!newest_time)
        state = State::missing;
    else
        state = !is_from_future(*newest_time, now) && now.since(*newest_time) <= allowed
                    ? State::good
                    : State::late;
}

void Copy::note_run(catalog::Catalog* catalog, const std::string& source) {
    if (!catalog) return;
    auto run = catalog->last_run("backup", source, place);
    if (run && !run->succeeded) failed_run = std::move(run);
}

std::chrono::nanoseconds allowed_age(std::chrono::nanoseconds every) {
    return 2 * every + std::chrono::minutes(10);
}

bool is_from_future(const Time& time, const Time& now) {
    return time > now.plus(std::chrono::minutes(10));
}

const Snapshot* newest_of(const std::vector<Snapshot>& snapshots, const Time& now) {
    if (snapshots.empty()) return nullptr;
    auto future = std::ranges::partition_point(
        snapshots, [&](const Snapshot& snapshot) { return !is_from_future(snapshot.time, now); });
    return future == snapshots.begin() ? &snapshots.back() : &*std::prev(future);
}

std::vector<Snapshot> snapshots_of(const config::FilesConfig& source,
                                   const repository::Repository& repository,
                                   std::vector<Error>* damaged, const std::string& host) {
    const std::string wanted = host.empty() ? os::host_name() : host;
    std::vector<Snapshot> out;
    for (Snapshot& snapshot : repository::load_snapshots(repository, damaged))
        if (snapshot.hostname == wanted && snapshot.paths.size() == 1 &&
            snapshot.paths[0] == source.path)
            out.push_back(std::move(snapshot));
    return out;
}

Status get_status(const config::AppConfig& config, const std::vector<JobPlace>& places,
                  catalog::Catalog* catalog, const Time& now) {
    Status status;
    for (const config::FilesConfig& files : config.files) {
        SourceStatus source{
            .name = files.name, .path = files.path, .allowed_age = allowed_age(files.every)};
        source.copies.resize(files.places.size());
        parallel_for(files.places.size(), 8, [&](size_t i) {
            const config::PlaceConfig& place = config.place(files.places[i]);
            auto number = static_cast<size_t>(&place - config.places.data());
            source.copies[i] = look_at(files, place, places[number], now);
        });
        for (CopyStatus& copy : source.copies) copy.note_run(catalog, files.name);
        source.good_domains = domains_of_good(source.copies);
        source.holds = source.good_domains.size() >= 2;
        status.sources.push_back(std::move(source));
    }
    status.rule1_holds = !status.sources.empty() &&
                         std::all_of(status.sources.begin(), status.sources.end(),
                                     [](const SourceStatus& source) { return source.holds; });
    return status;
}

}  // namespace sevenfold::protect
