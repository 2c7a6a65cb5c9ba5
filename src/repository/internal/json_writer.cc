#include "repository/internal/json_writer.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "repository/internal/go_quote.h"
#include "repository/internal/utf8.h"

namespace sevenfold::repository {
namespace {

constexpr size_t kGrowth = 16 << 10;

// Bytes that mean themselves in Go's JSON and in strconv.Quote alike.
constexpr std::array<bool, 256> plain_table() {
    std::array<bool, 256> t{};
    for (size_t c = 0x20; c < 0x7f; ++c)
        t[c] = c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
    return t;
}
constexpr std::array<bool, 256> kPlain = plain_table();

bool is_plain(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return kPlain[static_cast<uint8_t>(c)]; });
}

constexpr std::array<char, 512> hex_pairs() {
    std::array<char, 512> t{};
    for (size_t i = 0; i < 256; ++i) {
        t[2 * i] = "0123456789abcdef"[i >> 4];
        t[2 * i + 1] = "0123456789abcdef"[i & 15];
    }
    return t;
}
constexpr std::array<char, 512> kHexPairs = hex_pairs();

uint8_t* put_two(uint8_t* p, int64_t value) {
    p[0] = static_cast<uint8_t>('0' + value / 10);
    p[1] = static_cast<uint8_t>('0' + value % 10);
    return p + 2;
}

}  // namespace

void JsonWriter::grow(size_t size) {
    // resize() alone doubles; the constant saves the first steps.
    out_.resize(std::max(used_ + size + kGrowth, out_.capacity()));
}

void JsonWriter::u64(uint64_t value) {
    auto* start = reinterpret_cast<char*>(room(20));
    used_ += static_cast<size_t>(std::to_chars(start, start + 20, value).ptr - start);
}

void JsonWriter::i64(int64_t value) {
    auto* start = reinterpret_cast<char*>(room(20));
    used_ += static_cast<size_t>(std::to_chars(start, start + 20, value).ptr - start);
}

void JsonWriter::string(std::string_view text) {
    raw("\"");
    if (is_plain(text)) {
        raw(text);
    } else {
        escaped(text);
    }
    raw("\"");
}

void JsonWriter::name(std::string_view bytes) {
    raw("\"");
    if (is_plain(bytes)) {
        raw(bytes);
    } else {
        std::string quoted;
        append_go_quoted(quoted, bytes);
        escaped(quoted);
    }
    raw("\"");
}

// encoding/json's encodeState.string with escapeHTML.
void JsonWriter::escaped(std::string_view text) {
    while (!text.empty()) {
        auto c = static_cast<uint8_t>(text[0]);
        if (c >= 0x80) {
            Rune rune = first_rune(text);
            if (!rune.valid) {
                raw("\\ufffd");
            } else if (rune.value == 0x2028 || rune.value == 0x2029) {
                raw(rune.value == 0x2028 ? "\\u2028" : "\\u2029");
            } else {
                raw(text.substr(0, rune.size));
            }
            text.remove_prefix(rune.size);
            continue;
        }
        if (kPlain[c] || c == 0x7f) {
            raw(text.substr(0, 1));
        } else if (c == '"' || c == '\\') {
            raw("\\");
            raw(text.substr(0, 1));
        } else if (c == '\n' || c == '\r' || c == '\t') {
            raw(c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
        } else {
            raw("\\u00");
            raw({&kHexPairs[2 * c], 2});
        }
        text.remove_prefix(1);
    }
}

void JsonWriter::strings(std::span<const std::string> list) {
    raw("[");
    for (size_t i = 0; i < list.size(); ++i) {
        if (i > 0) raw(",");
        string(list[i]);
    }
    raw("]");
}

void JsonWriter::id(const Id& id) {
    uint8_t* p = room(2 * Id::kSize + 2);
    used_ += 2 * Id::kSize + 2;
    *p++ = '"';
    for (uint8_t byte : id.bytes) {
        std::memcpy(p, &kHexPairs[2 * byte], 2);
        p += 2;
    }
    *p = '"';
}

// The bytes of core's append_rfc3339, which makes the date; a fifth of its time.
void JsonWriter::time(const Time& time) {
    constexpr int64_t kDay = 86400;
    int64_t local = time.seconds + time.offset;
    int64_t second = local % kDay;
    if (second < 0) second += kDay;
    if (int64_t day = local - second; day != day_) {
        std::string text = to_rfc3339({day, 0, 0});
        std::memcpy(date_, text.data(), sizeof date_);
        day_ = day;
    }
    uint8_t* const start = room(48);
    uint8_t* p = start;
    *p++ = '"';
    std::memcpy(p, date_, sizeof date_);
    p = put_two(p + sizeof date_, second / 3600);
    *p++ = ':';
    p = put_two(p, second / 60 % 60);
    *p++ = ':';
    p = put_two(p, second % 60);
    if (time.nanoseconds != 0) {
        *p++ = '.';
        int32_t rest = time.nanoseconds;
        for (int i = 8; i >= 0; --i, rest /= 10) p[i] = static_cast<uint8_t>('0' + rest % 10);
        p += 9;
        while (p[-1] == '0') --p;
    }
    if (int32_t minutes = time.offset / 60; minutes == 0) {
        *p++ = 'Z';
    } else {
        *p++ = minutes < 0 ? '-' : '+';
        minutes = std::abs(minutes);
        p = put_two(p, minutes / 60 % 100);
        *p++ = ':';
        p = put_two(p, minutes % 60);
    }
    *p++ = '"';
    used_ += static_cast<size_t>(p - start);
}

void JsonWriter::base64(ByteView bytes) {
    raw("\"");
    raw(to_base64(bytes));
    raw("\"");
}

}  // namespace sevenfold::repository
