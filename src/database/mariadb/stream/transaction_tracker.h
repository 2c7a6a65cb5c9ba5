// Follows the events of a log and knows where whole transactions end, and the GTIDs so far.
#pragma once

#include <optional>

#include "database/mariadb/binlog/event.h"
#include "database/mariadb/binlog/gtid.h"

namespace sevenfold::database::mariadb {

// Used by one thread. Events come in the order of the log; those made for the connection do not
// belong here.
class TransactionTracker {
  public:
    // A file begins; what was open in the one before it never ended.
    void begin_file();
    // What follows the last boundary was cut off.
    void drop_open() { open_.reset(); }
    // The event lies at [offset, end) of its file. True when a transaction ended with it.
    bool add(const Event& event, uint64_t offset, uint64_t end);

    // Inside of a transaction: its end has not come yet.
    bool open() const { return open_.has_value(); }
    // The end of the last transaction or of the last event outside of one.
    uint64_t boundary() const { return boundary_; }
    // The start of the last whole transaction of this file; boundary() without one.
    uint64_t last_start() const { return last_start_; }
    // After the last whole transaction. Nothing is known before the first list of GTIDs.
    const std::optional<GtidList>& state() const { return state_; }
    void set_state(std::optional<GtidList> state) { state_ = std::move(state); }
    // Of the last whole transaction of this file.
    const std::optional<Gtid>& last() const { return last_; }
    // A transaction whose statement, not whose rows, was logged has been seen in this file.
    bool statement_format() const { return statement_format_; }

  private:
    bool ends(const Event& event);

    std::optional<GtidEvent> open_;
    std::optional<GtidList> state_;
    std::optional<Gtid> last_;
    uint64_t start_ = 0, last_start_ = 4, boundary_ = 4;
    bool statement_format_ = false;
};

}  // namespace sevenfold::database::mariadb
