// The stream of `mariadb-backup --stream=mbstream` (also called xbstream): the files of a data
// folder, in chunks of at most about 10 MiB that may interleave.
//
//   "XBSTCK01", flags (1), type (1), length of path (4), path, and by type, all little endian:
//     P  payload: length (8), offset (8), CRC-32 of the payload (4), payload
//     E  the file is complete (an empty file has nothing else)
//     S  seek: the offset (8) at which the next payload of this file goes; used for one field in
//        the head of Aria's log
//     R  rename: length (4) and the new path; D  delete: of files that are complete
//
// Flags: 2 when the file takes the place of one that came before. With DDL meanwhile such files
// come, and R and D, also for files that did not come at all.
//
// Written from measurements with MariaDB 10.11.19 and its mbstream.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/bytes.h"

namespace sevenfold::database::mariadb {

// What a stream says, in its order. Paths are below the data folder, and plain: every component is
// a safe name.
class MbstreamHandler {
  public:
    virtual ~MbstreamHandler() = default;
    // `replaces`: a complete file of that name may be there, and counts no more.
    virtual void begin(const std::string& path, bool replaces) = 0;
    // The bytes of one chunk may come in several calls; their checksum is known to be right only
    // when the next chunk begins. `offset` is where the last call for this path ended, unless there
    // was a seek.
    virtual void data(const std::string& path, uint64_t offset, ByteView bytes) = 0;
    virtual void end(const std::string& path) = 0;
    virtual void rename(const std::string& from, const std::string& to) = 0;
    virtual void remove(const std::string& path) = 0;
};

// Takes the stream in pieces of any size. Throws Error{corrupt} for everything that
// mariadb-backup does not write, including chunks out of order and paths that could lead out of
// the folder; {unsupported} for a chunk of unknown type. After an error it takes nothing more.
class MbstreamParser {
  public:
    explicit MbstreamParser(MbstreamHandler& handler) : handler_(handler) {}

    void feed(ByteView bytes);
    // The stream is over: throws unless it ended between chunks, with every file complete.
    void finish();
    uint64_t position() const { return position_; }

  private:
    enum class State { head, path, payload_head, payload, seek, new_path_size, new_path, failed };
    struct OpenFile {
        uint64_t next = 0;  // offset of the next payload
    };

    void step(ByteView field);
    void read_head(ByteView field);
    void read_path(ByteView field);
    void read_payload_head(ByteView field);
    void read_seek(ByteView field);
    void payload(ByteView bytes);
    void end_payload();
    void expect(State state, size_t bytes);
    OpenFile& open();
    std::string checked_path(ByteView bytes) const;
    [[noreturn]] void fail(const std::string& why) const;

    MbstreamHandler& handler_;
    State state_ = State::head;
    Bytes field_;            // of a field that is not complete
    size_t needed_ = 14;     // of the field
    uint64_t position_ = 0;  // in the stream
    char type_ = 0;          // of this chunk
    bool replaces_ = false;
    std::string path_;   // of this chunk
    uint64_t left_ = 0;  // of this payload
    uint32_t crc_ = 0, expected_crc_ = 0;
    std::map<std::string, OpenFile> open_;
};

}  // namespace sevenfold::database::mariadb
