// Which rules hold. Rule 1: every source of files has good copies in at least two failure domains.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "config/config.h"
#include "protect/backup.h"
#include "repository/snapshot.h"

namespace sevenfold::protect {

// One copy of one source of any kind.
struct Copy {
    std::string place, domain;
    enum class State {
        good,
        late,         // older than the source's schedule allows
        missing,      // the place holds no snapshot of this source
        unreachable,  // the place could not be asked
    } state = State::missing;
    std::vector<Error> damaged;                    // snapshots that cannot be read
    std::optional<Error> error;                    // why it could not be asked
    std::optional<catalog::RunRecord> failed_run;  // the last run there, if it failed

    // By its error and the time of what is newest there, which may be `allowed_age` old.
    void judge(const std::optional<Time>& newest_time, std::chrono::nanoseconds allowed_age,
               const Time& now);
    // Takes over the last run of a source at this place, if it failed. The catalog may be null.
    void note_run(catalog::Catalog* catalog, const std::string& source);
};

// One copy of a folder of files.
struct CopyStatus : Copy {
    std::optional<repository::Snapshot> newest;  // not from the future, if there is one
    size_t from_future = 0;                      // snapshots made by a clock that was wrong
};

// The domains of the good ones, each once, sorted.
template <class AnyCopy>
std::vector<std::string> domains_of_good(const std::vector<AnyCopy>& copies) {
    std::vector<std::string> out;
    for (const AnyCopy& copy : copies)
        if (copy.state == Copy::State::good) out.push_back(copy.domain);
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

struct SourceStatus {
    std::string name, path;
    std::chrono::nanoseconds allowed_age{};
    std::vector<CopyStatus> copies;
    std::vector<std::string> good_domains;
    bool holds = false;
};

struct Status {
    std::vector<SourceStatus> sources;
    bool rule1_holds = false;
};

// A copy may be this old: two intervals and some minutes, so that one missed run shows.
std::chrono::nanoseconds allowed_age(std::chrono::nanoseconds every);

// Asks every place for its snapshots. `places` are those of the configuration, in its order. The
// catalog adds what the last runs said; it may be null.
Status get_status(const config::AppConfig& config, const std::vector<JobPlace>& places,
                  catalog::Catalog* catalog, const Time& now);

// The snapshots of a source on a host (empty: this one), oldest first. Damaged ones throw, unless
// `damaged` is given: then they are collected there.
std::vector<repository::Snapshot> snapshots_of(const config::FilesConfig& source,
                                               const repository::Repository& repository,
                                               std::vector<Error>* damaged = nullptr,
                                               const std::string& host = {});

// Later than the clocks of two machines may differ: a clock was wrong when it was made.
bool is_from_future(const Time& time, const Time& now);
// The newest that is not from the future; of nothing but such ones, the newest. Null: none at all.
// `snapshots` are sorted, oldest first.
const repository::Snapshot* newest_of(const std::vector<repository::Snapshot>& snapshots,
                                      const Time& now);

}  // namespace sevenfold::protect
