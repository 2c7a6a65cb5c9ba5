// Reads the events of one archived binlog in order, each checked: length, checksum, not encrypted.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "database/log_archive.h"
#include "database/mariadb/source/internal/events.h"

namespace sevenfold::database::source {

class ReadAhead;

// Used by one thread. With read-ahead another thread fetches up to 8 MiB in advance; besides these
// the reader holds one event.
class SegmentReader {
  public:
    SegmentReader(const LogArchive& archive, size_t number, bool read_ahead);
    ~SegmentReader();
    SegmentReader(const SegmentReader&) = delete;
    SegmentReader& operator=(const SegmentReader&) = delete;

    // The next whole event, valid until the next call. Nothing at the end, also when the file ends
    // inside of an event. Throws Error{corrupt} naming file and offset, Error{unsupported} for
    // encrypted files, and what reading throws.
    std::optional<Event> next();
    const FormatDescription& format() const { return format_; }
    const std::string& name() const { return name_; }

  private:
    bool have(size_t size);
    [[noreturn]] void damaged(std::string_view what) const;

    const LogArchive& archive_;
    size_t number_;
    std::string name_;  // incarnation/file
    std::unique_ptr<ReadAhead> ahead_;
    uint64_t fetched_ = 0;  // up to where the file was read
    Bytes buffer_;
    size_t begin_ = 0;  // of the unused part of the buffer
    size_t last_ = 0;   // size of the event returned last
    uint64_t offset_ = 0;
    bool described_ = false;
    FormatDescription format_;
};

}  // namespace sevenfold::database::source
