// Storing received log files in the places' repositories, again and again while they grow.
//
// Every seal makes one snapshot at each place: of all files that were touched in the present
// chapter (an hour), each whole, of which only the new bytes are new blobs. It replaces the
// snapshot before it, so that a day leaves some tens of snapshots. A place that was away catches up
// by itself.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "database/log_archive.h"
#include "protect/backup.h"
#include "repository/node.h"

namespace sevenfold::protect {

struct SealResult {
    std::string place;
    uint64_t bytes = 0;  // newly stored
    bool saved = false;  // a snapshot was made; none is needed when there was nothing new
    std::optional<Error> error;
};

// One thread. Keeps in memory what each place has.
class LogSealer {
  public:
    LogSealer(std::string database, std::string spool, std::vector<std::string> tags)
        : database_(std::move(database)), spool_(std::move(spool)), tags_(std::move(tags)) {}

    // Everything that is in the spool now. Never throws for a place's failure. Durable at each
    // place without an error.
    std::vector<SealResult> seal(const std::vector<JobPlace>& places, std::stop_token stop);

    // True when every one of these places has all of this file.
    bool sealed_everywhere(const std::vector<JobPlace>& places,
                           const database::LogSegment& segment) const;

    // Removes files from the spool that all places have whole, that are not the newest of all, and
    // that are older than `keep`. Returns how many.
    size_t trim_spool(const std::vector<JobPlace>& places, std::chrono::nanoseconds keep) const;

  private:
    using Key = std::pair<std::string, std::string>;  // incarnation, file
    struct PlaceState {
        std::map<Key, repository::Node> files;    // the longest of each
        std::map<Key, repository::Node> chapter;  // of the snapshot that the next one replaces
        std::optional<Id> snapshot;               // that one
        Time chapter_began;
    };
    PlaceState load(repository::Repository& repository) const;
    // Takes in one more log snapshot: what it holds, and that it is the chapter now.
    static void absorb(PlaceState& state, const repository::Repository& repository,
                       const repository::Snapshot& snapshot);
    SealResult seal_at(const JobPlace& place, const database::LogArchive& spool,
                       std::stop_token stop);

    const std::string database_, spool_;
    const std::vector<std::string> tags_;
    std::map<std::string, PlaceState> states_;  // by place
};

}  // namespace sevenfold::protect
