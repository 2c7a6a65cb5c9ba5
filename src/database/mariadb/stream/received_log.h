// What has been received, and the rules by which more is accepted: every event is whole, belongs
// exactly where the last one ended, and comes from the same history as what is there already.
//
// One thread.
#pragma once

#include <optional>
#include <string>

#include "core/error.h"
#include "database/mariadb/stream/spool.h"

namespace sevenfold::database::mariadb {

// It cannot be shown that what the server sends continues what was received.
class Discontinuity : public Error {
  public:
    explicit Discontinuity(std::string why) : Error(ErrorKind::refused, std::move(why)) {}
};

class ReceivedLog {
  public:
    // Recovers what a former run left. New incarnations get numbers above `above`, and above those
    // that are there.
    explicit ReceivedLog(const std::string& folder, unsigned above = 0);

    Spool& spool() { return spool_; }
    // Nothing received, or what was received cannot be continued: any server file may begin a new
    // incarnation.
    bool fresh() const { return fresh_; }
    void begin_anew() { fresh_ = true; }

    // The end of the last whole transaction, and the GTIDs up to there.
    LogPosition boundary() const;
    const std::optional<GtidList>& state() const { return tracker_.state(); }
    bool statement_format() const { return tracker_.statement_format(); }

    // A new connection: half a transaction is cut off. Where to ask from: a little before the end,
    // so that what the server has there is compared with what is here.
    struct Resume {
        std::string file;
        uint64_t offset = 4;
    };
    Resume resume();
    // Everything that was asked for again has come, and was the same.
    bool joined() const { return !fresh_ && offset_ >= spool_.end().offset; }

    struct Added {
        bool stored = false;       // else it was made for the connection, or known
        bool transaction = false;  // a whole one is there with it
        bool incarnation = false;  // it began a new one
        std::string file;          // where the event stands; empty: nowhere
        uint64_t end = 0;
    };
    // Takes one event as it came. Error{corrupt} for what is damaged; Discontinuity; and what
    // writing to the spool throws. Only with Discontinuity or corrupt may the spool still be used.
    Added add(ByteView raw);

  private:
    void made_event(const EventHeader& header, ByteView raw);
    void enter(const std::string& file, uint64_t position);
    void description(const Event& event, Added& added);
    void begin_file(const Event& event, Added& added);
    void compare_description(const Event& event) const;
    void check_list(const Event& event) const;
    void known(const Event& event, uint64_t end);

    Spool spool_;
    const unsigned above_;
    TransactionTracker tracker_;
    Bytes description_;  // of the open file
    Format format_;
    bool fresh_ = true;
    std::string entered_;     // the file that the next format description begins; empty: none
    bool described_ = false;  // on this connection
    uint64_t offset_ = 4;     // where the next event belongs
};

}  // namespace sevenfold::database::mariadb
