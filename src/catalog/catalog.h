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

  private:
    std::optional<RunRecord> newest(const char* condition, const std::string& job,
                                    const std::string& source, const std::string& place);
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sevenfold::catalog
