// Brings the spool into the places' repositories, where it is kept.
//
// A repository holds the log in *chapters*: snapshots of layout.h's path for logs, each with the
// files that grew while it was open. Every seal saves the open chapter's tree anew, with the new
// bytes only as new blobs, and then removes the snapshot before it, which it contains. A chapter
// ends after an hour where a log file ends, else after a day; what it holds is never written again.
//
// Each place is sealed by itself: one that is down catches up later.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/time.h"
#include "database/mariadb/stream/position.h"
#include "repository/repository.h"
#include "repository/snapshot.h"

namespace sevenfold::repository {
class TreeWriter;
}

namespace sevenfold::database::mariadb {

struct SealOptions {
    std::string spool;     // folder
    std::string database;  // the name in the configuration
    std::string host, user;
    // Names of all places: nothing is trimmed before each of them was sealed in this process. Those
    // that seal() meets are added.
    std::vector<std::string> places;
    std::chrono::seconds chapter_age{3600}, chapter_limit{24 * 3600};
    const Clock* clock = &Clock::system();
};

struct SealPlace {
    std::string name;
    repository::Repository* repository = nullptr;  // null: it could not be opened
};

struct SealedPlace {
    std::string name;
    std::optional<Error> error;  // else everything up to the wanted position is there
    uint64_t bytes = 0;          // new ones
    std::optional<Id> snapshot;  // unless there was nothing to do
    // The snapshot that was superseded could not be removed: the place may be append-only.
    std::optional<Error> not_removed;
};

// Thread-safe, but a place's seals come one after the other. What a place holds is read from it at
// the first seal of a process.
class Sealer {
  public:
    explicit Sealer(SealOptions options);

    // Stores everything up to `until`, which must be durable in the spool and end a transaction
    // (SyncedTo::position). All places at once. Holds a shared lock at each meanwhile. Never throws
    // for a place's failure.
    std::vector<SealedPlace> seal(const std::vector<SealPlace>& places, const LogPosition& until);

    // Whether every place has the file up to `size`, as of its last seal in this process, which
    // must have succeeded.
    bool stored_everywhere(const std::string& incarnation, const std::string& file,
                           uint64_t size) const;
    // Removes spool files that every place has in full, that have not changed for `keep`, and that
    // are not among the two newest. Returns how many.
    size_t trim(std::chrono::seconds keep);

  private:
    using Key = std::pair<std::string, std::string>;  // incarnation, file
    struct Chapter {
        std::string tag;  // "chapter-<seconds since 1970>"
        Time begun;
        std::map<Key, repository::Node> files;
        std::vector<Id> snapshots;  // saved so far; the newest supersedes the others
    };
    // What is known of a place.
    struct Known {
        std::map<Key, uint64_t> sizes;   // of all chapters
        std::optional<Chapter> chapter;  // the newest
        // The blobs of the chapter were last seen in the place's index.
        std::chrono::steady_clock::time_point looked;
    };
    struct Wanted {
        Key key;
        uint64_t size;
    };
    std::vector<Wanted> wanted(const LogPosition& until) const;
    SealedPlace seal_at(const SealPlace& place, const std::vector<Wanted>& files,
                        std::optional<Known>& slot) const;
    Known learn(const repository::Repository& repository) const;
    void forget_missing(const repository::Repository& repository, Known& known) const;
    repository::Snapshot describe(const Chapter& chapter, const repository::TreeWriter& tree,
                                  uint64_t added) const;
    void supersede(const repository::Repository& repository, Chapter& chapter,
                   SealedPlace& result) const;
    Chapter chapter_for(const Known& known, const std::vector<Wanted>& files) const;

    const SealOptions options_;
    mutable std::mutex mutex_;                           // guards what follows
    std::map<std::string, std::optional<Known>> known_;  // by the place's name
};

}  // namespace sevenfold::database::mariadb
