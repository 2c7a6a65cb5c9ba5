// Walks the transactions of a series of log files from a GTID state on: skips what the state has
// already, and refuses to go on where something between is missing.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "database/mariadb/source/internal/segment_reader.h"

namespace sevenfold::database::source {

struct SeriesFile {
    size_t segment = 0;  // in the archive
    size_t part = 0;     // in the series
    std::string wire_name;
    GtidState begin;            // before the file's first transaction
    std::optional<Gtid> until;  // the part's last transaction that counts
};
using Series = std::vector<SeriesFile>;

// A place between two events.
struct SeriesPosition {
    size_t file = 0;
    uint64_t offset = 0;
    auto operator<=>(const SeriesPosition&) const = default;
};

struct Step {
    enum Kind { begins_file, other, transaction } kind = other;
    size_t file = 0;
    Event event;                       // begins_file: the format description
    const GtidEvent* begin = nullptr;  // of the transaction
    bool first = false, last = false;  // event of the transaction
    bool wanted = false;               // the state did not have it yet
    bool resumed = false;              // begins_file: not the start of what is walked
};

// Used by one thread.
class Walker {
  public:
    // `files` and `archive` must outlive the walker.
    Walker(const LogArchive& archive, const Series& files, size_t first_file, GtidState state,
           bool read_ahead = true);

    // The next event; nothing at the end. Throws what SegmentReader throws and Error{refused} for
    // gaps between the state and the log, or between two files.
    std::optional<Step> next();

    // After the last whole transaction.
    const GtidState& state() const { return state_; }
    SeriesPosition position() const { return position_; }
    // Domains whose newest transaction was not found in the log yet.
    const std::set<uint32_t>& unresolved() const { return pending_; }
    bool out_of_order() const { return out_of_order_; }

  private:
    void open_file(size_t number);
    std::optional<size_t> following() const;
    void join(const SeriesFile& file);
    void check_joined() const;
    bool is_wanted(const Gtid& gtid);
    [[noreturn]] void gap(const std::string& what) const;
    std::string name_of(const SeriesFile& file) const;

    const LogArchive& archive_;
    const Series& files_;
    bool read_ahead_;
    GtidState state_;
    SeriesPosition position_;
    std::unique_ptr<SegmentReader> reader_;
    size_t file_;
    bool started_ = false, cut_ = false, out_of_order_ = false;
    std::set<uint32_t> pending_;
    std::map<uint32_t, Gtid> skipped_;    // the last one of a pending domain, of this part
    std::map<uint32_t, size_t> seen_in_;  // domain -> part in which a transaction of it was seen
    std::optional<GtidEvent> open_;       // the transaction that is being read
    std::optional<GtidEvent> last_;       // the one before it
    bool open_wanted_ = false;
};

// The state before the first transaction of a log file. Throws Error{corrupt} when the file has
// none.
GtidState begin_of(const LogArchive& archive, size_t segment);

}  // namespace sevenfold::database::source
