#include "database/mariadb/binlog/log_file.h"

#include <fmt/format.h>

#include <algorithm>

namespace sevenfold::database::mariadb {
namespace {

constexpr size_t kWindow = 256 * 1024;
constexpr uint64_t kHeadWindow = 1024;  // a format description has about 250 bytes

}  // namespace

LogFileReader::LogFileReader(const LogArchive& archive, size_t segment, uint64_t offset,
                             uint64_t end)
    : archive_(archive),
      segment_(segment),
      offset_(kBinlogMagic.size()),
      end_(offset == kBinlogMagic.size() ? end : kHeadWindow) {
    if (file().size < kBinlogMagic.size() + kHeaderSize) {
        offset_ = std::min<uint64_t>(offset_, file().size);
        return;
    }
    ByteView magic = window(0, kBinlogMagic.size());
    if (magic[0] == 0xfd && std::equal(magic.begin() + 1, magic.end(), kBinlogMagic.begin() + 1))
        throw Error(ErrorKind::unsupported, file().name + " is encrypted");
    if (!std::ranges::equal(magic, kBinlogMagic))
        throw Error(ErrorKind::corrupt, file().name + " is not a log file");
    Event event;
    if (!next(event)) return;
    if (event.header.type != EventType::format_description)
        throw at_event(Error(ErrorKind::corrupt, "no format description"));
    offset_ = offset;
    end_ = end;
}

Error LogFileReader::at_event(const Error& error) const {
    return error.with_context(
        fmt::format("{}/{} at {}", file().incarnation, file().name, event_offset_));
}

// A view of at most `size` bytes; fewer at the end of the file.
ByteView LogFileReader::window(uint64_t offset, size_t size) {
    bool there = offset >= buffer_start_ && offset - buffer_start_ + size <= buffer_.size();
    if (!there) {
        uint64_t useful = std::min<uint64_t>(kWindow, end_ - std::min(end_, offset));
        uint64_t wanted = std::max<uint64_t>(size, useful);
        wanted = std::min<uint64_t>(wanted, file().size - std::min(offset, file().size));
        if (buffer_.capacity() > 4 * kWindow && wanted <= kWindow) buffer_ = {};  // a huge event
        buffer_.resize(wanted);
        buffer_start_ = offset;
        buffer_.resize(archive_.read(segment_, offset, buffer_));
    }
    size_t from = offset - buffer_start_;
    return ByteView(buffer_).subspan(from, std::min(size, buffer_.size() - from));
}

// Fills `header` when the whole event is there.
bool LogFileReader::read_header(EventHeader& header) {
    event_offset_ = offset_;
    ByteView head = window(offset_, kHeaderSize);
    if (head.size() < kHeaderSize) return false;
    try {
        header = decode_header(head);
        bool placed = header.next_position != 0 && (header.flags & kArtificial) == 0;
        if (placed && header.next_position != static_cast<uint32_t>(offset_ + header.size))
            throw Error(ErrorKind::corrupt,
                        fmt::format("{}: its position does not match", name(header.type)));
    } catch (const Error& e) {
        throw at_event(e);
    }
    return offset_ + header.size <= file().size;
}

bool LogFileReader::next(Event& event) {
    EventHeader header;
    if (!read_header(header)) return false;
    ByteView raw = window(offset_, header.size);
    if (raw.size() < header.size)
        throw at_event(Error(ErrorKind::corrupt, "the archive gives fewer bytes than it has"));
    try {
        event = split_event(raw, format_);
        refuse_unreadable(event);
        if (header.type == EventType::format_description) format_ = decode_format(event);
    } catch (const Error& e) {
        throw at_event(e);
    }
    offset_ += header.size;
    return true;
}

bool LogFileReader::next_header(EventHeader& header) {
    if (!read_header(header)) return false;
    offset_ += header.size;
    return true;
}

}  // namespace sevenfold::database::mariadb
