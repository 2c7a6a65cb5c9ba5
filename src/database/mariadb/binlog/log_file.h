// The events of one log file of an archive, one after the other.
#pragma once

#include <string>

#include "database/log_archive.h"
#include "database/mariadb/binlog/event.h"

namespace sevenfold::database::mariadb {

// Reads forward in pieces; memory is one event or 256 KiB, whichever is more. Checks lengths,
// positions and checksums: what does not fit throws Error{corrupt} naming file and offset. The
// archive must outlive it.
class LogFileReader {
  public:
    // Reads the magic and the format description, which must be there: files of fewer bytes have no
    // events. `offset` is where the first event of interest begins; 4 is the file's first one.
    // `end` only says how far reading will go, so that no more is fetched.
    LogFileReader(const LogArchive& archive, size_t segment, uint64_t offset = 4,
                  uint64_t end = UINT64_MAX);

    // The next event, valid until the next call. False at the end of what is there: after the last
    // whole event.
    bool next(Event& event);
    // The header alone; the event is passed over without its checksum being looked at.
    bool next_header(EventHeader& header);

    size_t segment() const { return segment_; }
    const LogSegment& file() const { return archive_.segments()[segment_]; }
    const Format& format() const { return format_; }
    uint64_t event_offset() const { return event_offset_; }  // of the last event
    uint64_t offset() const { return offset_; }              // of the one after it
    // Bytes remain that are no whole event: the file is being written, or was cut off.
    bool cut() const { return offset_ < file().size; }
    // "bin.000017 at 4711: …": the error with the place of the last event.
    Error at_event(const Error& error) const;

  private:
    ByteView window(uint64_t offset, size_t size);
    bool read_header(EventHeader& header);

    const LogArchive& archive_;
    size_t segment_;
    uint64_t offset_;
    uint64_t end_;
    uint64_t event_offset_ = 0;
    Format format_;
    Bytes buffer_;
    uint64_t buffer_start_ = 0;
};

}  // namespace sevenfold::database::mariadb
