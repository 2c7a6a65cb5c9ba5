// Sends the events of a planned series to one replica.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>

#include "database/mariadb/source/internal/made_events.h"
#include "database/mariadb/source/internal/planned.h"
#include "database/mariadb/source/source.h"
#include "database/mariadb/source/wire.h"

namespace sevenfold::database::mariadb::source {

// How far sending is ahead of applying. Thread-safe.
class Window {
  public:
    explicit Window(uint64_t size) : size_(size) {}
    void reset();
    // A transaction was sent.
    void sent(const Gtid& gtid, uint64_t bytes);
    void applied(const Position& position);
    bool open() const;
    // Until it is open, for at most `patience`.
    bool wait(std::chrono::milliseconds patience);

  private:
    struct Mark {
        Gtid gtid;
        uint64_t bytes;  // sent up to here
    };
    const uint64_t size_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Mark> marks_;
    uint64_t sent_ = 0, marked_ = 0, applied_ = 0;
};

struct DumpContext {
    const LogArchive& archive;
    const PlannedSeries& planned;
    Edits& edits;
    Window& window;
    uint32_t server_id;
    std::function<void(const std::function<void(SourceStats&)>&)> update;
};

// From `position` on, which must be within the plan. Returns when `stop` is requested or the
// replica goes. Throws what Walker and PacketSocket throw.
class Dump {
  public:
    Dump(DumpContext context, PacketSocket& socket, bool annotate,
         std::chrono::milliseconds heartbeat);
    void run(const Position& position, const std::stop_token& stop);

  private:
    void send(ByteView event);
    void send_counted(ByteView event);
    void begin_file(const Step& step);
    void send_step(const Step& step);
    // False when the replica went or `stop` was requested.
    bool idle(const std::stop_token& stop, const std::function<bool()>& until);

    DumpContext context_;
    PacketSocket& socket_;
    bool annotate_;
    std::chrono::milliseconds heartbeat_;
    std::string wire_name_;
    uint64_t wire_position_ = 4;  // as the replica counts it
    bool checksum_ = true;
    Edit edit_;
    uint64_t group_bytes_ = 0;
};

}  // namespace sevenfold::database::mariadb::source
