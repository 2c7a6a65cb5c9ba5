// What has been done: one row for each run of a job at a place. SQLite in the state folder; it is a
// record, never the truth about what a place holds: that is asked of the place.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/time.h"

namespace sevenfold::catalog {

struct RunRecord {
    std::string job;     // "backup", "restore"
    std::string source;  // name in the configuration
    std::string place;
    Time started, ended;
    bool succeeded = false;
    std::string error;     // empty when it succeeded
    std::string snapshot;  // hex, when one was saved
    uint64_t files = 0, bytes = 0, bytes_stored = 0, unreadable = 0;
};

// One thing that was looked at in a place, and what came of it.
struct PingCheck {
    std::string name, subject;  // "newest", "uploads"
    std::string state;          // "ok", "failed", "refused", …
    std::string evidence, hint;
};
// A look at one place.
struct PingRecord {
    std::string kind = "health";  // or "tamper"
    std::string place;
    Time time;
    std::string state;                   // the worst of its checks
    std::optional<uint64_t> free, used;  // bytes
    std::vector<PingCheck> checks = {};
};
// The space of a place at a moment.
struct SpacePoint {
    Time time;
    uint64_t free = 0;
};
// Where reading back goes on: after that pack (hex; empty: from the first), in the so-many-th
// round.
struct ReadBackPosition {
    std::string pack;
    uint64_t round = 0;
};

// Several processes may use one catalog; each call is a transaction of its own.
class Catalog {
  public:
    // Opens or makes `<state_dir>/catalog.sqlite` (mode 0600). Throws Error.
    explicit Catalog(const std::string& state_dir);
    ~Catalog();

    // Durable on return.
    void add_run(const RunRecord& run);
    // The newest run of a job for a source at a place.
    std::optional<RunRecord> last_run(const std::string& job, const std::string& source,
                                      const std::string& place);
    // Likewise, the newest that succeeded.
    std::optional<RunRecord> last_success(const std::string& job, const std::string& source,
                                          const std::string& place);

    // Durable on return. Those older than 400 days go.
    void add_ping(const PingRecord& ping);
    std::optional<PingRecord> last_ping(const std::string& kind, const std::string& place);
    // Since a time, oldest first; only where the free space was known.
    std::vector<SpacePoint> space_history(const std::string& place, const Time& since);
    ReadBackPosition read_back_position(const std::string& place);
    void set_read_back_position(const std::string& place, const ReadBackPosition& position);

  private:
    std::optional<RunRecord> newest(const char* condition, const std::string& job,
                                    const std::string& source, const std::string& place);
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sevenfold::catalog
