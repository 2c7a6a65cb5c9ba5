#include "net/sftp_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/check.h"
#include "core/cursor.h"
#include "core/error.h"

namespace sevenfold::net::sftp {
namespace {

constexpr size_t kMaxMessage = 1024;
constexpr size_t kMaxExtensions = 256;

// Attribute flags, section 5.
constexpr uint32_t kHasSize = 1, kHasOwner = 2, kHasPermissions = 4, kHasTimes = 8,
                   kHasExtended = 0x80000000;

Attributes read_attributes(Cursor& cursor) {
    Attributes out;
    uint32_t flags = cursor.be32();
    if (flags & kHasSize) out.size = cursor.be64();
    if (flags & kHasOwner) cursor.take(8);
    if (flags & kHasPermissions) out.permissions = cursor.be32();
    if (flags & kHasTimes) {
        cursor.be32();  // of the last access
        out.modified = cursor.be32();
    }
    if (flags & kHasExtended) {
        // Each pair takes 8 bytes at least, so a wrong count ends as "truncated" soon.
        for (uint32_t pairs = cursor.be32(); pairs > 0; --pairs) {
            cursor.be_string();
            cursor.be_string();
        }
    }
    return out;
}

void put_be32(uint8_t* to, uint32_t value) {
    value = __builtin_bswap32(value);
    std::memcpy(to, &value, sizeof value);
}

}  // namespace

bool Version::offers(std::string_view name, std::string_view data) const {
    return std::ranges::any_of(
        extensions, [&](const auto& pair) { return pair.first == name && pair.second == data; });
}

Reply parse_reply(ByteView packet) {
    Cursor cursor(packet, "sftp packet");
    Reply reply;
    reply.type = static_cast<PacketType>(cursor.u8());
    reply.id = cursor.be32();
    reply.body = cursor.take(cursor.remaining());
    return reply;
}

Version parse_version(ByteView packet) {
    Cursor cursor(packet, "sftp version");
    if (cursor.u8() != static_cast<uint8_t>(PacketType::version))
        throw Error(ErrorKind::corrupt, "sftp version: the server sent another packet first");
    Version out;
    out.version = cursor.be32();
    while (!cursor.done() && out.extensions.size() < kMaxExtensions) {
        std::string name(as_text(cursor.be_string()));
        out.extensions.emplace_back(std::move(name), as_text(cursor.be_string()));
    }
    return out;
}

Status parse_status(ByteView body) {
    Cursor cursor(body, "sftp status");
    Status out;
    out.code = static_cast<StatusCode>(cursor.be32());
    // Some servers of version 3 leave the message out.
    if (!cursor.done()) {
        out.message = as_text(cursor.be_string());
        if (out.message.size() > kMaxMessage) out.message.resize(kMaxMessage);
    }
    return out;
}

std::string parse_handle(ByteView body) {
    Cursor cursor(body, "sftp handle");
    ByteView handle = cursor.be_string();
    if (handle.empty() || handle.size() > kMaxHandle)
        throw Error(ErrorKind::corrupt,
                    fmt::format("sftp handle: {} bytes, 1 to 256 are allowed", handle.size()));
    return std::string(as_text(handle));
}

ByteView parse_data(ByteView body) {
    Cursor cursor(body, "sftp data");
    return cursor.be_string();
}

std::vector<NameEntry> parse_names(ByteView body) {
    Cursor cursor(body, "sftp names");
    uint32_t count = cursor.be32();
    std::vector<NameEntry> out;
    // An entry takes 12 bytes at least: no reservation for a count that the packet cannot hold.
    out.reserve(std::min<size_t>(count, cursor.remaining() / 12));
    for (; count > 0; --count) {
        NameEntry entry;
        entry.name = as_text(cursor.be_string());
        cursor.be_string();  // the long name, for people
        entry.attributes = read_attributes(cursor);
        out.push_back(std::move(entry));
    }
    return out;
}

Attributes parse_attributes(ByteView body) {
    Cursor cursor(body, "sftp attributes");
    return read_attributes(cursor);
}

Limits parse_limits(ByteView body) {
    Cursor cursor(body, "sftp limits");
    Limits out;
    out.packet = cursor.be64();
    out.read = cursor.be64();
    out.write = cursor.be64();
    out.handles = cursor.be64();
    return out;
}

FileSystem parse_statvfs(ByteView body) {
    Cursor cursor(body, "sftp statvfs");
    FileSystem out;
    cursor.be64();  // f_bsize
    out.fragment_size = cursor.be64();
    cursor.take(16);  // f_blocks, f_bfree
    out.available_blocks = cursor.be64();
    cursor.take(48);  // inodes, fsid, flags, name length
    return out;
}

PacketWriter::PacketWriter(PacketType type, uint32_t id) {
    bytes_.reserve(128);
    bytes_.resize(5);
    bytes_[4] = static_cast<uint8_t>(type);
    u32(id);
}

PacketWriter& PacketWriter::u32(uint32_t value) {
    bytes_.resize(bytes_.size() + 4);
    put_be32(bytes_.data() + bytes_.size() - 4, value);
    return *this;
}

PacketWriter& PacketWriter::u64(uint64_t value) {
    return u32(static_cast<uint32_t>(value >> 32)).u32(static_cast<uint32_t>(value));
}

PacketWriter& PacketWriter::string(std::string_view value) {
    u32(static_cast<uint32_t>(value.size()));
    append(bytes_, as_bytes(value));
    return *this;
}

Bytes PacketWriter::finish(size_t data_follows) {
    put_be32(bytes_.data(), static_cast<uint32_t>(bytes_.size() - 4 + data_follows));
    return std::move(bytes_);
}

MutableByteView Deframer::space(size_t want) {
    if (begin_ > 0) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    if (buffer_.size() < end_ + want) buffer_.resize(end_ + want);
    return MutableByteView(buffer_).subspan(end_);
}

void Deframer::filled(size_t count) {
    CHECK(count <= buffer_.size() - end_);
    end_ += count;
}

std::optional<ByteView> Deframer::next() {
    if (end_ - begin_ < 4) return std::nullopt;
    ByteView rest = ByteView(buffer_).subspan(begin_, end_ - begin_);
    size_t length = Cursor(rest, "sftp packet").be32();
    if (length == 0 || length > kMaxPacket) {
        // A login script that prints something is the usual reason.
        std::string text;
        for (uint8_t c : rest.first(std::min<size_t>(rest.size(), 60)))
            text += c >= ' ' && c < 0x7f ? static_cast<char>(c) : '?';
        throw Error(
            ErrorKind::corrupt,
            fmt::format("sftp packet: the length {} is not valid (received \"{}\")", length, text));
    }
    if (rest.size() - 4 < length) return std::nullopt;
    begin_ += 4 + length;
    return rest.subspan(4, length);
}

}  // namespace sevenfold::net::sftp
