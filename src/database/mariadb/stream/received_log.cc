#include "database/mariadb/stream/received_log.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/check.h"
#include "database/mariadb/binlog/encode.h"
#include "database/mariadb/stream/replication_client.h"

namespace sevenfold::database::mariadb {
namespace {

// Asked for again when a connection is made; more would only cost time.
constexpr uint64_t kMaxOverlap = 1 << 20;
// Servers that do not know a type pass over it when the flag kIgnorable is set.
constexpr auto kIgnorableEvent = static_cast<EventType>(28);
// Of "created" in a format description's body: the server clears it when a connection begins in
// the middle of a file.
constexpr size_t kCreatedAt = 52, kCreatedSize = 4;

// A server that encrypts its files sends them decrypted, but for the event that says that what
// follows is encrypted. Here that is not so: an event of the same size that everybody passes over
// takes its place.
Bytes without_encryption(const Event& event, const Format& format) {
    EventHeader header = event.header;
    header.type = kIgnorableEvent;
    header.flags |= kIgnorable;
    Bytes body(event.body.size());
    std::ranges::fill(body, uint8_t{0});
    return build_event(header, body, format.checksums);
}

}  // namespace

ReceivedLog::ReceivedLog(const std::string& folder, unsigned above)
    : spool_(folder), above_(above) {
    if (!spool_.tail()) return;
    fresh_ = false;
    tracker_ = spool_.tail()->tracker;
    description_ = spool_.tail()->description;
    format_ = decode_format(split_event(description_, {}));
}

LogPosition ReceivedLog::boundary() const {
    LogPosition position = spool_.end();
    position.offset = std::min(position.offset, tracker_.boundary());
    return position;
}

ReceivedLog::Resume ReceivedLog::resume() {
    CHECK(!fresh_);
    uint64_t end = tracker_.boundary();
    spool_.truncate(end);
    tracker_.drop_open();
    entered_.clear();
    described_ = false;
    offset_ = end;
    // Positions in the protocol have 32 bits; only a huge transaction ends beyond them.
    bool again = end - tracker_.last_start() <= kMaxOverlap || end > UINT32_MAX;
    if (again) offset_ = tracker_.last_start();
    return {spool_.end().file, offset_};
}

ReceivedLog::Added ReceivedLog::add(ByteView raw) {
    EventHeader header = decode_header(raw);
    if (header.size != raw.size())
        throw Error(ErrorKind::corrupt, fmt::format("{}: {} bytes came of {}", name(header.type),
                                                    raw.size(), header.size));
    Added added;
    bool made = header.next_position == 0 || (header.flags & kArtificial) != 0 ||
                header.type == EventType::heartbeat;
    if (made && header.type != EventType::format_description) {
        made_event(header, raw);
        return added;
    }
    Event event = split_event(raw, format_);
    Bytes neutral;
    if (header.type == EventType::start_encryption) {
        neutral = without_encryption(event, format_);
        event = split_event(neutral, format_);
        raw = neutral;
    }
    if (header.type == EventType::format_description) {
        description(event, added);
        return added;
    }
    if (!described_ || !entered_.empty())
        throw Error(ErrorKind::corrupt, name(header.type) + " before a format description");
    uint64_t end = offset_ + raw.size();
    if (static_cast<uint32_t>(end) != header.next_position)
        throw Discontinuity(fmt::format("{} ends at {} where {} is due", name(header.type),
                                        header.next_position, end));
    added.file = spool_.end().file;
    added.end = end;
    if (end <= spool_.end().offset) {
        known(event, end);
        return added;
    }
    if (offset_ != spool_.end().offset)
        throw Discontinuity("the server's events have other lengths than those received before");
    if (header.type == EventType::gtid_list) check_list(event);
    spool_.append(raw);
    added.stored = true;
    added.transaction = tracker_.add(event, offset_, end);
    offset_ = end;
    return added;
}

void ReceivedLog::made_event(const EventHeader& header, ByteView raw) {
    Event event = split_made_event(raw);
    if (header.type != EventType::rotate) return;
    RotateEvent rotate = decode_rotate(event);
    enter(rotate.file, rotate.position);
}

// The server says from where it will send.
void ReceivedLog::enter(const std::string& file, uint64_t position) {
    if (!file_number(file) || file.find('/') != file.npos)
        throw Error(ErrorKind::corrupt, fmt::format("\"{}\" is no name of a log file", file));
    bool same = !fresh_ && file == spool_.end().file;
    if (same) {
        if (!described_ && position != offset_)
            throw Discontinuity(
                fmt::format("the server begins at {} of {}, not at {}", position, file, offset_));
        return;
    }
    if (position != kBinlogMagic.size())
        throw Discontinuity(fmt::format("{} begins at {}", file, position));
    if (!fresh_ && !follows(spool_.end().file, file))
        throw Discontinuity(fmt::format("{} does not follow {}", file, spool_.end().file));
    if (!fresh_ && offset_ != spool_.end().offset)
        throw Discontinuity(
            fmt::format("the server's {} is shorter than what was received", spool_.end().file));
    entered_ = file;
}

void ReceivedLog::description(const Event& event, Added& added) {
    if (!entered_.empty() && event.header.next_position != 0) {
        begin_file(event, added);
    } else {
        if (fresh_) throw Error(ErrorKind::corrupt, "a format description of no file");
        compare_description(event);
        if (event.header.next_position != 0 && offset_ == kBinlogMagic.size())
            offset_ += event.raw.size();
    }
    format_ = decode_format(event);
    described_ = true;
}

void ReceivedLog::begin_file(const Event& event, Added& added) {
    uint64_t end = kBinlogMagic.size() + event.raw.size();
    if (event.header.next_position != end)
        throw Error(ErrorKind::corrupt, "format description: its position does not match");
    std::string incarnation = spool_.end().incarnation;
    if (fresh_) {
        unsigned last = std::max(spool_.last_incarnation(), above_);
        incarnation = incarnation_name(last + 1, event.header.server_id, event.header.timestamp);
        tracker_ = {};
        added.incarnation = true;
    }
    spool_.open(incarnation, entered_);
    if (spool_.end().offset != 0) spool_.truncate(0);
    spool_.append(kBinlogMagic);
    spool_.append(event.raw);
    description_ = to_bytes(event.raw);
    tracker_.begin_file();
    tracker_.add(event, kBinlogMagic.size(), end);
    added.stored = true;
    added.file = entered_;
    added.end = offset_ = end;
    entered_.clear();
    fresh_ = false;
}

// The file of that name is the one that was received: a server that was set up anew writes files of
// the same names.
void ReceivedLog::compare_description(const Event& event) const {
    Event ours = split_event(description_, {}, false);
    Bytes a = to_bytes(ours.body), b = to_bytes(event.body);
    for (Bytes* body : {&a, &b})
        if (body->size() >= kCreatedAt + kCreatedSize)
            std::fill_n(body->begin() + kCreatedAt, kCreatedSize, uint8_t{0});
    if (ours.header.timestamp != event.header.timestamp ||
        ours.header.server_id != event.header.server_id || a != b)
        throw Discontinuity(fmt::format("the server's {} is another file than the one received",
                                        spool_.end().file));
}

// At its head a file says what came before it.
void ReceivedLog::check_list(const Event& event) const {
    if (!tracker_.state()) return;
    std::string theirs = decode_gtid_list(event).position();
    std::string ours = tracker_.state()->position();
    if (theirs != ours)
        throw Discontinuity(fmt::format("{} begins after {}, but {} was received up to there",
                                        spool_.end().file, theirs, ours));
}

void ReceivedLog::known(const Event& event, uint64_t end) {
    if (!spool_.matches(offset_, event.raw))
        throw Discontinuity(fmt::format("{} at {}: the server has other bytes than those received",
                                        spool_.end().file, offset_));
    offset_ = end;
}

}  // namespace sevenfold::database::mariadb
