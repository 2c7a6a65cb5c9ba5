#include "database/mariadb/source/internal/events.h"

#include <fmt/format.h>
#include <strings.h>
#include <zlib.h>

#include <charconv>

#include "core/cursor.h"

namespace sevenfold::database::source {
namespace {

uint16_t get_le16(const uint8_t* p) { return static_cast<uint16_t>(p[0] | p[1] << 8); }

template <class T>
bool parse_number(std::string_view& text, char end, T& value) {
    auto [stop, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc()) return false;
    text.remove_prefix(static_cast<size_t>(stop - text.data()));
    if (end == '\0') return text.empty();
    if (text.empty() || text[0] != end) return false;
    text.remove_prefix(1);
    return true;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\n')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\n')) text.remove_suffix(1);
    return text;
}

bool same_word(std::string_view text, std::string_view word) {
    return text.size() == word.size() && strncasecmp(text.data(), word.data(), word.size()) == 0;
}

// The statement of a query event.
std::string_view query_text(const Event& event) {
    Cursor cursor(event.body, "query event");
    cursor.take(8);  // thread, time
    size_t database = cursor.u8();
    cursor.take(2);
    size_t status = get_le16(cursor.take(2).data());
    cursor.take(status + database + 1);
    return as_text(cursor.take(cursor.remaining()));
}

}  // namespace

std::string Gtid::display() const { return fmt::format("{}-{}-{}", domain, server, sequence); }

Gtid Gtid::parse(std::string_view text) {
    Gtid gtid;
    std::string_view rest = trimmed(text);
    if (!parse_number(rest, '-', gtid.domain) || !parse_number(rest, '-', gtid.server) ||
        !parse_number(rest, '\0', gtid.sequence))
        throw Error(ErrorKind::usage, fmt::format("not a GTID: {}", text),
                    "A GTID of MariaDB is domain-server-sequence, as in 0-1-100.");
    return gtid;
}

GtidState GtidState::parse(std::string_view text) {
    GtidState state;
    for (text = trimmed(text); !text.empty();) {
        size_t comma = text.find(',');
        state.set(Gtid::parse(text.substr(0, comma)));
        text.remove_prefix(comma == text.npos ? text.size() : comma + 1);
    }
    return state;
}

std::string GtidState::display() const {
    std::string out;
    for (const auto& [domain, gtid] : last_) out += (out.empty() ? "" : ",") + gtid.display();
    return out;
}

EventHeader parse_header(ByteView bytes) {
    const uint8_t* p = bytes.data();
    return {.timestamp = get_le32(p),
            .type = p[4],
            .server_id = get_le32(p + 5),
            .size = get_le32(p + 9),
            .end_pos = get_le32(p + 13),
            .flags = get_le16(p + 17)};
}

void put_header(uint8_t* to, const EventHeader& header) {
    put_le32(to, header.timestamp);
    to[4] = header.type;
    put_le32(to + 5, header.server_id);
    put_le32(to + 9, header.size);
    put_le32(to + 13, header.end_pos);
    to[17] = static_cast<uint8_t>(header.flags);
    to[18] = static_cast<uint8_t>(header.flags >> 8);
}

FormatDescription parse_format_description(ByteView event) {
    constexpr size_t kFixed = 2 + 50 + 4 + 1;
    Cursor cursor(event, "format description event");
    cursor.take(kEventHeaderSize);
    ByteView fixed = cursor.take(kFixed);
    if (get_le16(fixed.data()) != 4 || fixed[kFixed - 1] != kEventHeaderSize)
        throw Error(ErrorKind::unsupported, "binlog format is not version 4");
    cursor.take(1 + kChecksumSize);
    FormatDescription out;
    std::string_view version = as_text(fixed.subspan(2, 50));
    out.server_version = std::string(version.substr(0, version.find('\0')));
    uint8_t algorithm = event[event.size() - kChecksumSize - 1];
    if (algorithm > 1)
        throw Error(ErrorKind::unsupported, fmt::format("binlog checksum {}", algorithm));
    out.checksum = algorithm == 1;
    return out;
}

GtidEvent parse_gtid(const Event& event) {
    Cursor cursor(event.body, "GTID event");
    GtidEvent out;
    out.timestamp = event.header.timestamp;
    out.gtid.server = event.header.server_id;
    out.gtid.sequence = cursor.le64();
    out.gtid.domain = cursor.le32();
    out.flags = cursor.u8();
    if (out.flags & GtidEvent::group_commit_id) cursor.take(8);
    if (out.flags & (GtidEvent::prepared_xa | GtidEvent::completed_xa)) {
        uint32_t format = cursor.le32();
        size_t global = cursor.u8(), branch = cursor.u8();
        std::string first = to_hex(cursor.take(global)), second = to_hex(cursor.take(branch));
        out.xid = fmt::format("X'{}',X'{}',{}", first, second, format);
    }
    constexpr uint8_t kAlterFlags = 2 | 4 | 8;  // start, commit, rollback
    if (!cursor.done()) out.two_phase_alter = (cursor.u8() & kAlterFlags) != 0;
    return out;
}

GtidState parse_gtid_list(const Event& event) {
    Cursor cursor(event.body, "GTID list event");
    uint32_t count = cursor.le32() & 0x0fffffff;  // flags above
    GtidState state;
    for (uint32_t i = 0; i < count; ++i) {
        Gtid gtid;
        gtid.domain = cursor.le32();
        gtid.server = cursor.le32();
        gtid.sequence = cursor.le64();
        state.set(gtid);  // the newest of a domain is its last one
    }
    return state;
}

bool ends_group(const GtidEvent& begin, const Event& event) {
    uint8_t type = event.header.type;
    if (type == kXidEvent || type == kXaPrepareEvent || type == kIncidentEvent) return true;
    bool query = type == kQueryEvent || type == kQueryCompressedEvent;
    if (!query) return false;
    if (begin.flags & GtidEvent::standalone) return true;
    if (type == kQueryCompressedEvent) return false;  // so short a statement is never compressed
    std::string_view text = query_text(event);
    return same_word(text, "COMMIT") || same_word(text, "ROLLBACK");
}

uint32_t checksum_of(ByteView bytes) {
    return static_cast<uint32_t>(crc32_z(0, bytes.data(), bytes.size()));
}

bool checksum_matches(ByteView event) {
    if (event.size() < kEventHeaderSize + kChecksumSize) return false;
    ByteView covered = event.first(event.size() - kChecksumSize);
    uint32_t stored = get_le32(covered.data() + covered.size());
    if (parse_header(event).type != kFormatDescriptionEvent) return checksum_of(covered) == stored;
    // The server sets the flag "in use" of an open file without touching the checksum.
    uint8_t head[kEventHeaderSize];
    std::memcpy(head, event.data(), kEventHeaderSize);
    head[17] &= static_cast<uint8_t>(~kInUseFlag);
    uLong sum = crc32_z(0, head, kEventHeaderSize);
    ByteView rest = covered.subspan(kEventHeaderSize);
    return static_cast<uint32_t>(crc32_z(sum, rest.data(), rest.size())) == stored;
}

}  // namespace sevenfold::database::source
