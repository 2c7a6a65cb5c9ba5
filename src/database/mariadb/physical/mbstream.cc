#include "database/mariadb/physical/mbstream.h"

#include <fmt/format.h>

#include "core/crc32.h"
#include "core/cursor.h"
#include "core/error.h"
#include "core/log.h"
#include "repository/node.h"

namespace sevenfold::database::mariadb {
namespace {

constexpr std::string_view kMagic = "XBSTCK01";
constexpr uint8_t kReplaces = 2;
constexpr size_t kHead = 14, kPayloadHead = 20;
constexpr size_t kLongestPath = 512, kLongestName = 255;  // FN_REFLEN of the writer; Linux
// The writer's chunks have 10 MiB, or what it copies at once.
constexpr uint64_t kLargestPayload = uint64_t{1} << 30;
constexpr uint64_t kLargestFile = uint64_t{1} << 46;  // 64 TiB, InnoDB's own limit
constexpr size_t kMostOpen = 4096;

}  // namespace

void MbstreamParser::fail(const std::string& why) const {
    throw Error(ErrorKind::corrupt,
                fmt::format("backup stream: {} in the chunk before byte {}{}", why, position_,
                            path_.empty() ? "" : fmt::format(" ({})", printable(path_))));
}

void MbstreamParser::feed(ByteView bytes) {
    if (state_ == State::failed) throw Error(ErrorKind::corrupt, "backup stream: failed before");
    try {
        while (!bytes.empty()) {
            size_t n;
            if (state_ == State::payload) {
                n = static_cast<size_t>(std::min<uint64_t>(bytes.size(), left_));
                position_ += n;
                payload(bytes.first(n));
            } else {
                n = std::min(bytes.size(), needed_ - field_.size());
                position_ += n;
                append(field_, bytes.first(n));
                if (field_.size() == needed_) step(std::exchange(field_, {}));
            }
            bytes = bytes.subspan(n);
        }
    } catch (...) {
        state_ = State::failed;
        throw;
    }
}

void MbstreamParser::finish() {
    if (state_ != State::head || !field_.empty())
        throw Error(ErrorKind::corrupt,
                    fmt::format("backup stream: cut off after byte {}", position_));
    if (!open_.empty())
        throw Error(ErrorKind::corrupt,
                    fmt::format("backup stream: {} has no end", printable(open_.begin()->first)));
}

void MbstreamParser::expect(State state, size_t bytes) {
    state_ = state;
    needed_ = bytes;
}

void MbstreamParser::step(ByteView field) {
    switch (state_) {
        case State::head:
            return read_head(field);
        case State::path:
            return read_path(field);
        case State::payload_head:
            return read_payload_head(field);
        case State::seek:
            return read_seek(field);
        case State::new_path_size: {
            uint32_t size = Cursor(field, "backup stream").le32();
            if (size == 0 || size > kLongestPath) fail("a path of impossible length");
            return expect(State::new_path, size);
        }
        case State::new_path: {
            std::string to = checked_path(field);
            if (open_.contains(path_) || open_.contains(to)) fail("a rename of an open file");
            handler_.rename(path_, to);
            return expect(State::head, kHead);
        }
        case State::payload:
        case State::failed:
            break;
    }
    fail("impossible state");
}

void MbstreamParser::read_head(ByteView field) {
    Cursor cursor(field, "backup stream");
    path_.clear();
    if (as_text(cursor.take(kMagic.size())) != kMagic) fail("no chunk where one must begin");
    uint8_t flags = cursor.u8();
    type_ = static_cast<char>(cursor.u8());
    replaces_ = (flags & kReplaces) != 0;
    uint32_t size = cursor.le32();
    // Another flag could change what follows.
    if ((flags & ~kReplaces) != 0 ||
        std::string_view("PESRD").find(type_) == std::string_view::npos)
        throw Error(ErrorKind::unsupported,
                    fmt::format("backup stream: chunk of unknown type {} with flags {}",
                                static_cast<int>(static_cast<uint8_t>(type_)), flags));
    if (size == 0 || size > kLongestPath) fail("a path of impossible length");
    expect(State::path, size);
}

std::string MbstreamParser::checked_path(ByteView bytes) const {
    std::string_view rest = as_text(bytes);
    std::string path(rest.starts_with("./") ? rest.substr(2) : rest);
    for (rest = path;;) {
        size_t slash = rest.find('/');
        std::string_view name = rest.substr(0, slash);
        if (name.size() > kLongestName || !repository::is_safe_name(name))
            fail(fmt::format("a path that is not plain: {}", printable(path)));
        if (slash == rest.npos) return path;
        rest.remove_prefix(slash + 1);
    }
}

void MbstreamParser::read_path(ByteView field) {
    path_ = checked_path(field);
    switch (type_) {
        case 'P':
            return expect(State::payload_head, kPayloadHead);
        case 'S':
            return expect(State::seek, 8);
        case 'R':
            return expect(State::new_path_size, 4);
        case 'D':
            if (open_.contains(path_)) fail("an open file deleted");
            handler_.remove(path_);
            break;
        default:
            open();
            handler_.end(path_);
            open_.erase(path_);
    }
    expect(State::head, kHead);
}

MbstreamParser::OpenFile& MbstreamParser::open() {
    auto [found, is_new] = open_.try_emplace(path_);
    if (is_new) {
        if (open_.size() > kMostOpen) fail("too many files at a time");
        handler_.begin(path_, replaces_);
    }
    return found->second;
}

void MbstreamParser::read_payload_head(ByteView field) {
    Cursor cursor(field, "backup stream");
    left_ = cursor.le64();
    uint64_t offset = cursor.le64();
    expected_crc_ = cursor.le32();
    crc_ = 0;
    OpenFile& file = open();
    if (left_ > kLargestPayload) fail("a payload of impossible length");
    if (offset != file.next)
        fail(fmt::format("a payload for offset {} where {} is expected", offset, file.next));
    if (offset > kLargestFile) fail("a file of impossible length");
    state_ = State::payload;
    if (left_ == 0) end_payload();
}

void MbstreamParser::payload(ByteView bytes) {
    OpenFile& file = open();
    crc_ = crc32(bytes, crc_);
    handler_.data(path_, file.next, bytes);
    file.next += bytes.size();
    left_ -= bytes.size();
    if (left_ == 0) end_payload();
}

void MbstreamParser::end_payload() {
    if (crc_ != expected_crc_) fail("a wrong checksum");
    expect(State::head, kHead);
}

void MbstreamParser::read_seek(ByteView field) {
    uint64_t offset = Cursor(field, "backup stream").le64();
    OpenFile& file = open();
    // Going forward would leave a hole; the writer only goes back.
    if (offset > file.next) fail("a seek beyond the end");
    file.next = offset;
    expect(State::head, kHead);
}

}  // namespace sevenfold::database::mariadb
