// The packets of SFTP version 3 (draft-ietf-secsh-filexfer-02) and of the OpenSSH extensions that
// we use (PROTOCOL in its source: posix-rename, fsync, statvfs, limits). Only bytes: no connection.
//
// Everything read here comes from a server that may be hostile: all of it goes through Cursor, and
// what is malformed throws Error{corrupt}.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"

namespace sevenfold::net::sftp {

enum class PacketType : uint8_t {
    init = 1,
    version = 2,
    open = 3,
    close = 4,
    read = 5,
    write = 6,
    fstat = 8,
    fsetstat = 10,
    opendir = 11,
    readdir = 12,
    remove = 13,
    mkdir = 14,
    stat = 17,
    rename = 18,
    status = 101,
    handle = 102,
    data = 103,
    name = 104,
    attributes = 105,
    extended = 200,
    extended_reply = 201,
};

enum class StatusCode : uint32_t {
    ok = 0,
    eof = 1,
    no_such_file = 2,
    permission_denied = 3,
    failure = 4,
    bad_message = 5,
    no_connection = 6,
    connection_lost = 7,
    unsupported = 8,
};

// The longest packet taken from a server, its length field not counted. OpenSSH sends at most
// 256 KiB; a directory listing or a large read from others may be longer.
inline constexpr size_t kMaxPacket = 1 << 20;
// Handles are at most 256 bytes (section 4).
inline constexpr size_t kMaxHandle = 256;

// Flags of open.
inline constexpr uint32_t kOpenRead = 0x01, kOpenWrite = 0x02, kOpenCreate = 0x08,
                          kOpenTruncate = 0x10, kOpenExclusive = 0x20;

struct Attributes {
    std::optional<uint64_t> size;
    std::optional<uint32_t> permissions;  // st_mode, with the file's type
    std::optional<uint32_t> modified;     // seconds since 1970

    // What the server did not tell counts as a file.
    bool is_regular() const { return !permissions || (*permissions & 0170000) == 0100000; }
    bool is_directory() const { return permissions && (*permissions & 0170000) == 0040000; }
};

struct NameEntry {
    std::string name;
    Attributes attributes;
};

struct Status {
    StatusCode code = StatusCode::failure;
    std::string message;  // the server's words, cut to a sane length
};

struct Version {
    uint32_t version = 0;
    std::vector<std::pair<std::string, std::string>> extensions;
    bool offers(std::string_view name, std::string_view data) const;
};

struct Limits {  // limits@openssh.com; 0 means unknown
    uint64_t packet = 0, read = 0, write = 0, handles = 0;
};

struct FileSystem {  // statvfs@openssh.com
    uint64_t fragment_size = 0, available_blocks = 0;
};

// A reply split into its head and the rest; version has no id.
struct Reply {
    PacketType type{};
    uint32_t id = 0;
    ByteView body;  // into the packet
};

Reply parse_reply(ByteView packet);
Version parse_version(ByteView packet);
Status parse_status(ByteView body);
std::string parse_handle(ByteView body);
ByteView parse_data(ByteView body);
std::vector<NameEntry> parse_names(ByteView body);
Attributes parse_attributes(ByteView body);
Limits parse_limits(ByteView body);
FileSystem parse_statvfs(ByteView body);

// Builds one packet, length first. With `data_follows` the length counts that many bytes that the
// caller sends right after (so that megabytes need not be copied).
class PacketWriter {
  public:
    PacketWriter(PacketType type, uint32_t id);
    PacketWriter& u32(uint32_t value);
    PacketWriter& u64(uint64_t value);
    PacketWriter& string(std::string_view value);
    Bytes finish(size_t data_follows = 0);

  private:
    Bytes bytes_;
};

// Cuts a stream of bytes into packets.
class Deframer {
  public:
    // Where to read the next bytes to (at least `want` fit), and how many came.
    MutableByteView space(size_t want = 256 << 10);
    void filled(size_t count);
    // The next whole packet without its length, valid until the next call of space(). Throws
    // Error{corrupt} when the length is 0 or above kMaxPacket.
    std::optional<ByteView> next();

  private:
    Bytes buffer_;
    size_t begin_ = 0, end_ = 0;
};

}  // namespace sevenfold::net::sftp
