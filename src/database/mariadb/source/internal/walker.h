// Walks the transactions of a series of log files from a position on: skips what the position has
// already, and refuses to go on where something between is missing.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "database/mariadb/binlog/log_file.h"
#include "database/mariadb/source/internal/series.h"

namespace sevenfold::database::mariadb::source {

// A place between two events.
struct SeriesPlace {
    size_t file = 0;
    uint64_t offset = 0;
    auto operator<=>(const SeriesPlace&) const = default;
};

struct Step {
    enum Kind { begins_file, other, transaction } kind = other;
    SeriesPlace place;
    Event event;  // begins_file: the format description
    bool checksum = false;
    const GtidEvent* begin = nullptr;  // of the transaction
    uint32_t time = 0;                 // when it began
    bool first = false, last = false;  // event of the transaction
    bool wanted = false;               // the position did not have it yet
    bool resumed = false;              // begins_file: not the start of what is walked
};

// Used by one thread.
class Walker {
  public:
    // `files` and `archive` must outlive the walker.
    Walker(const LogArchive& archive, const Series& files, size_t first_file, Position position);
    ~Walker();

    // The next event, valid until the next call; nothing at the end. Throws what LogFileReader
    // throws, and Error{refused} for gaps between the position and the log, or between two files.
    std::optional<Step> next();

    // Transactions that a crash of the server cut off at the end of a file, by where they begin:
    // they never happened. Known only once they were passed, so whoever sends events has to be told
    // by somebody who walked before.
    const std::set<SeriesPlace>& torn() const { return torn_; }
    void skip_torn(std::set<SeriesPlace> places) { torn_ = std::move(places); }

    // After the last whole transaction.
    const Position& position() const { return position_; }
    SeriesPlace place() const { return place_; }
    // Domains whose newest transaction was not found in the log yet.
    size_t unresolved() const { return pending_.size(); }
    bool out_of_order() const { return out_of_order_; }
    bool inside_transaction() const { return open_.has_value(); }

  private:
    class File;
    std::optional<Step> begin_file();
    void begin_transaction(Step& step);
    void end_transaction(Step& step);
    std::optional<size_t> following() const;
    void join();
    void check_joined() const;
    bool is_wanted(const Gtid& gtid);
    [[noreturn]] void gap(const std::string& what) const;
    [[noreturn]] void fail(ErrorKind kind, const std::string& what) const;

    const LogArchive& archive_;
    const Series& files_;
    Position position_;
    SeriesPlace place_;
    std::unique_ptr<File> reader_;
    size_t file_;
    bool started_ = false, cut_ = false, out_of_order_ = false;
    std::set<uint32_t> pending_;
    std::map<uint32_t, Gtid> skipped_;    // the last one of a pending domain, of this part
    std::map<uint32_t, size_t> seen_in_;  // domain -> part in which a transaction of it was seen
    std::set<SeriesPlace> torn_;
    std::optional<GtidEvent> open_, last_;  // the transaction being read, and the one before it
    SeriesPlace open_at_;
    uint32_t open_time_ = 0;
    bool open_wanted_ = false;
};

// Does this event, after `begin` in its transaction, end the transaction?
bool ends_transaction(const GtidEvent& begin, const Event& event);

}  // namespace sevenfold::database::mariadb::source
