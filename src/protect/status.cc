#include "protect/status.h"

#include <algorithm>

#include "core/log.h"
#include "core/parallel.h"

namespace sevenfold::protect {
namespace {

using repository::Snapshot;

CopyStatus look_at(const config::FilesConfig& source, const config::PlaceConfig& place,
                   const JobPlace& opened, const Time& now) {
    CopyStatus copy{.place = place.name, .domain = place.failure_domain()};
    copy.error = opened.error;
    if (!copy.error) {
        try {
            std::vector<Snapshot> all = snapshots_of(source, *opened.repository, &copy.damaged);
            if (const Snapshot* newest = newest_of(all, now)) copy.newest = *newest;
            copy.from_future = static_cast<size_t>(std::ranges::count_if(
                all, [&](const Snapshot& snapshot) { return is_from_future(snapshot, now); }));
        } catch (...) {
            copy.error = current_error();
        }
    }
    if (copy.error)
        copy.state = CopyStatus::State::unreachable;
    else if (!copy.newest)
        copy.state = CopyStatus::State::missing;
    else
        copy.state = !is_from_future(*copy.newest, now) &&
                             now.since(copy.newest->time) <= allowed_age(source.every)
                         ? CopyStatus::State::good
                         : CopyStatus::State::late;
    return copy;
}

void judge(SourceStatus& source) {
    for (const CopyStatus& copy : source.copies)
        if (copy.state == CopyStatus::State::good) source.good_domains.push_back(copy.domain);
    source.holds = distinct(source.good_domains) >= 2;
}

}  // namespace

std::chrono::nanoseconds allowed_age(std::chrono::nanoseconds every) {
    return 2 * every + std::chrono::minutes(10);
}

size_t distinct(std::vector<std::string>& names) {
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names.size();
}

std::string this_host() { return files::local_host(); }

bool is_from_future(const Snapshot& snapshot, const Time& now) {
    return snapshot.time > now.plus(std::chrono::minutes(10));
}

const Snapshot* newest_of(const std::vector<Snapshot>& snapshots, const Time& now) {
    if (snapshots.empty()) return nullptr;
    auto future = std::ranges::partition_point(
        snapshots, [&](const Snapshot& snapshot) { return !is_from_future(snapshot, now); });
    return future == snapshots.begin() ? &snapshots.back() : &*std::prev(future);
}

std::vector<Snapshot> snapshots_of(const config::FilesConfig& source,
                                   const repository::Repository& repository,
                                   std::vector<Error>* damaged, const std::string& host) {
    const std::string wanted = host.empty() ? this_host() : host;
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
        for (CopyStatus& copy : source.copies) {
            if (!catalog) continue;
            auto run = catalog->last_run("backup", files.name, copy.place);
            if (run && !run->succeeded) copy.failed_run = std::move(run);
        }
        judge(source);
        status.sources.push_back(std::move(source));
    }
    status.rule1_holds = !status.sources.empty() &&
                         std::all_of(status.sources.begin(), status.sources.end(),
                                     [](const SourceStatus& source) { return source.holds; });
    return status;
}

}  // namespace sevenfold::protect
