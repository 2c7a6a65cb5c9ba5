#include "repository/internal/json_reader.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "core/error.h"
#include "repository/internal/utf8.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace sevenfold::repository {
namespace {

constexpr std::array<int8_t, 256> hex_table() {
    std::array<int8_t, 256> t{};
    for (auto& v : t) v = -1;
    for (int i = 0; i < 10; ++i) t[static_cast<size_t>('0' + i)] = static_cast<int8_t>(i);
    for (int i = 0; i < 6; ++i) t[static_cast<size_t>('a' + i)] = static_cast<int8_t>(10 + i);
    return t;
}
constexpr std::array<int8_t, 256> kLowerHex = hex_table();

int hex_digit(char c) { return kLowerHex[static_cast<uint8_t>(c | 0x20)]; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The first quote, backslash, control character or byte above 0x7f at or after p; or end.
const char* find_special(const char* p, const char* end) {
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'),
                  space = _mm_set1_epi8(0x20);
    while (end - p >= 16) {
        __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        // Signed: bytes above 0x7f are below the space, too.
        __m128i hit =
            _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(x, quote), _mm_cmpeq_epi8(x, backslash)),
                         _mm_cmplt_epi8(x, space));
        if (int mask = _mm_movemask_epi8(hit))
            return p + __builtin_ctz(static_cast<unsigned>(mask));
        p += 16;
    }
#endif
    while (p < end && *p != '"' && *p != '\\' && static_cast<int8_t>(*p) >= 0x20) ++p;
    return p;
}

}  // namespace

JsonReader::JsonReader(ByteView json, std::string_view what, unsigned max_depth)
    : begin_(as_text(json).data()),
      p_(begin_),
      end_(begin_ + json.size()),
      what_(what),
      max_depth_(max_depth) {}

void JsonReader::fail(std::string_view problem) const {
    throw Error(ErrorKind::corrupt, fmt::format("{}: {} at byte {}", what_, problem, p_ - begin_));
}

JsonReader::Kind JsonReader::peek() {
    skip_space();
    if (p_ == end_) fail("JSON ends early");
    switch (*p_) {
        case '{':
            return Kind::object;
        case '[':
            return Kind::array;
        case '"':
            return Kind::string;
        case 't':
        case 'f':
            return Kind::boolean;
        case 'n':
            return Kind::null;
        default:
            if (*p_ == '-' || is_digit(*p_)) return Kind::number;
            fail("invalid JSON");
    }
}

void JsonReader::expect(char c, std::string_view problem) {
    skip_space();
    if (p_ == end_) fail("JSON ends early");
    if (*p_ != c) fail(problem);
    ++p_;
}

void JsonReader::open(char c, std::string_view problem) {
    expect(c, problem);
    if (++depth_ > max_depth_) fail("JSON is nested too deep");
    first_ = true;
}

void JsonReader::close() {
    ++p_;
    --depth_;
    first_ = false;  // what we return to holds at least this container
}

void JsonReader::begin_object() { open('{', "expected an object"); }
void JsonReader::begin_array() { open('[', "expected an array"); }

bool JsonReader::next_key() {
    skip_space();
    if (p_ < end_ && *p_ == '}') {
        close();
        return false;
    }
    if (!first_) {
        expect(',', "expected , or }");
        skip_space();
    }
    first_ = false;
    bool value_was_plain = plain_;
    key_ = read_string(key_buffer_);
    plain_ = value_was_plain;
    expect(':', "expected :");
    return true;
}

bool JsonReader::next_element() {
    skip_space();
    if (p_ < end_ && *p_ == ']') {
        close();
        return false;
    }
    if (!first_) expect(',', "expected , or ]");
    first_ = false;
    return true;
}

std::string_view JsonReader::string() { return read_string(text_buffer_); }

std::string_view JsonReader::read_string(std::string& buffer) {
    expect('"', "expected a string");
    const char* start = p_;
    p_ = find_special(p_, end_);
    plain_ = true;
    while (p_ < end_ && (*p_ & 0x80)) {
        Rune rune = first_rune({p_, static_cast<size_t>(end_ - p_)});
        if (!rune.valid) fail("invalid UTF-8");
        p_ = find_special(p_ + rune.size, end_);
    }
    if (p_ < end_ && *p_ == '"') {
        std::string_view out(start, static_cast<size_t>(p_ - start));
        ++p_;
        return out;
    }
    return read_escaped(buffer, start);
}

std::string_view JsonReader::read_escaped(std::string& buffer, const char* start) {
    plain_ = false;
    buffer.assign(start, p_);
    while (true) {
        if (p_ == end_) fail("JSON ends inside a string");
        if (*p_ == '"') {
            ++p_;
            return buffer;
        }
        if (*p_ & 0x80) {
            Rune rune = first_rune({p_, static_cast<size_t>(end_ - p_)});
            if (!rune.valid) fail("invalid UTF-8");
            buffer.append(p_, rune.size);
            p_ += rune.size;
        } else if (*p_ == '\\') {
            if (++p_ == end_) fail("JSON ends inside a string");
            switch (char c = *p_++) {
                case '"':
                case '\\':
                case '/':
                    buffer += c;
                    break;
                case 'b':
                    buffer += '\b';
                    break;
                case 'f':
                    buffer += '\f';
                    break;
                case 'n':
                    buffer += '\n';
                    break;
                case 'r':
                    buffer += '\r';
                    break;
                case 't':
                    buffer += '\t';
                    break;
                case 'u':
                    append_utf8(buffer, unicode_escape());
                    break;
                default:
                    --p_;
                    fail("invalid escape");
            }
        } else if (static_cast<uint8_t>(*p_) < 0x20) {
            fail("control character inside a string");
        } else {
            const char* next = find_special(p_, end_);
            buffer.append(p_, next);
            p_ = next;
        }
    }
}

// After "\u". A pair of surrogates is one rune; a lone one becomes U+FFFD, and what follows it is
// read on its own.
uint32_t JsonReader::unicode_escape() {
    uint32_t high = hex4();
    if (high < 0xd800 || high > 0xdfff) return high;
    if (high <= 0xdbff && end_ - p_ >= 6 && p_[0] == '\\' && p_[1] == 'u') {
        const char* back = p_;
        p_ += 2;
        uint32_t low = hex4();
        if (low >= 0xdc00 && low <= 0xdfff) return 0x10000 + ((high - 0xd800) << 10) + low - 0xdc00;
        p_ = back;
    }
    return kReplacementRune;
}

uint32_t JsonReader::hex4() {
    if (end_ - p_ < 4) fail("JSON ends inside a string");
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i, ++p_) {
        // Without is_digit, setting bit 5 would make digits of control characters.
        bool letter = (*p_ >= 'a' && *p_ <= 'f') || (*p_ >= 'A' && *p_ <= 'F');
        if (!letter && !is_digit(*p_)) fail("invalid escape");
        value = value << 4 | static_cast<uint32_t>(hex_digit(*p_));
    }
    return value;
}

uint64_t JsonReader::u64() {
    skip_space();
    if (p_ == end_ || !is_digit(*p_)) fail("expected a whole number");
    const char* start = p_;
    uint64_t value = 0;
    for (; p_ < end_ && is_digit(*p_); ++p_) {
        auto digit = static_cast<uint64_t>(*p_ - '0');
        if (p_ - start >= 19 && (value > UINT64_MAX / 10 || value * 10 > UINT64_MAX - digit))
            fail("number out of range");
        value = value * 10 + digit;
    }
    if (*start == '0' && p_ - start > 1) fail("number with leading zero");
    if (p_ < end_ && (*p_ == '.' || *p_ == 'e' || *p_ == 'E')) fail("expected a whole number");
    return value;
}

uint32_t JsonReader::u32() {
    uint64_t value = u64();
    if (value > UINT32_MAX) fail("number out of range");
    return static_cast<uint32_t>(value);
}

int64_t JsonReader::i64() {
    skip_space();
    bool negative = p_ < end_ && *p_ == '-';
    if (negative && (++p_ == end_ || !is_digit(*p_))) fail("expected a whole number");
    uint64_t value = u64();
    if (value > static_cast<uint64_t>(INT64_MAX) + negative) fail("number out of range");
    return static_cast<int64_t>(negative ? 0 - value : value);
}

bool JsonReader::boolean() {
    if (peek() != Kind::boolean) fail("expected true or false");
    bool value = *p_ == 't';
    literal(value ? "true" : "false");
    return value;
}

bool JsonReader::null() {
    skip_space();
    if (p_ == end_ || *p_ != 'n') return false;
    literal("null");
    return true;
}

void JsonReader::literal(std::string_view word) {
    if (std::string_view(p_, static_cast<size_t>(end_ - p_)).substr(0, word.size()) != word)
        fail("invalid JSON");
    p_ += word.size();
}

Id JsonReader::id() {
    std::string_view text = string();
    Id id;
    int bad = text.size() == 2 * Id::kSize ? 0 : -1;
    for (size_t i = 0; bad >= 0 && i < Id::kSize; ++i) {
        int high = kLowerHex[static_cast<uint8_t>(text[2 * i])];
        int low = kLowerHex[static_cast<uint8_t>(text[2 * i + 1])];
        bad = high | low;
        id.bytes[i] = static_cast<uint8_t>(high << 4 | low);
    }
    if (bad < 0) fail("invalid id");
    return id;
}

// The usual form of a time, on the same day as the one before: false for anything else, which
// core's parser then reads or refuses.
bool JsonReader::fast_time(std::string_view text, Time& out) {
    if (text.size() < 20 || std::memcmp(text.data(), date_, sizeof date_) != 0) return false;
    const char* p = text.data() + sizeof date_;
    const char* const end = text.data() + text.size();
    auto two = [](const char* at) {
        return is_digit(at[0]) && is_digit(at[1]) ? (at[0] - '0') * 10 + at[1] - '0' : 100;
    };
    int hour = two(p + 1), minute = two(p + 4), second = two(p + 7);
    if (p[0] != 'T' || p[3] != ':' || p[6] != ':' || hour > 23 || minute > 59 || second > 59)
        return false;
    p += 9;
    int32_t nanoseconds = 0, offset = 0;
    if (*p == '.') {
        int digits = 0;
        for (++p; p < end && is_digit(*p); ++p, ++digits) {
            if (digits == 9) return false;
            nanoseconds = nanoseconds * 10 + (*p - '0');
        }
        if (digits == 0) return false;
        for (; digits < 9; ++digits) nanoseconds *= 10;
    }
    if (end - p == 6 && (*p == '+' || *p == '-') && p[3] == ':') {
        int hours = two(p + 1), minutes = two(p + 4);
        if (hours > 23 || minutes > 59) return false;
        offset = (hours * 60 + minutes) * 60 * (*p == '-' ? -1 : 1);
    } else if (end - p != 1 || *p != 'Z') {
        return false;
    }
    out = {midnight_ + hour * 3600 + minute * 60 + second - offset, nanoseconds, offset};
    return true;
}

Time JsonReader::time() {
    std::string_view text = string();
    Time time;
    if (fast_time(text, time)) return time;
    try {
        time = parse_rfc3339(text);
        std::memcpy(date_, text.data(), sizeof date_);  // parse_rfc3339 has checked its form
        int64_t local = time.seconds + time.offset, in_day = local % 86400;
        midnight_ = local - in_day - (in_day < 0 ? 86400 : 0);
        return time;
    } catch (const Error& error) {
        fail(error.message());
    }
}

Bytes JsonReader::base64() {
    if (null()) return {};
    std::string_view text = string();
    try {
        return from_base64(text);
    } catch (const Error& error) {
        fail(error.message());
    }
}

void JsonReader::number() {
    auto digits = [&] {
        if (p_ == end_ || !is_digit(*p_)) fail("invalid number");
        while (p_ < end_ && is_digit(*p_)) ++p_;
    };
    if (*p_ == '-') ++p_;
    if (p_ < end_ && *p_ == '0') {
        ++p_;
    } else {
        digits();
    }
    if (p_ < end_ && *p_ == '.') {
        ++p_;
        digits();
    }
    if (p_ < end_ && (*p_ == 'e' || *p_ == 'E')) {
        ++p_;
        if (p_ < end_ && (*p_ == '+' || *p_ == '-')) ++p_;
        digits();
    }
}

void JsonReader::skip() {
    switch (peek()) {
        case Kind::object:
            begin_object();
            while (next_key()) skip();
            break;
        case Kind::array:
            begin_array();
            while (next_element()) skip();
            break;
        case Kind::string:
            string();
            break;
        case Kind::number:
            number();
            break;
        case Kind::boolean:
            boolean();
            break;
        case Kind::null:
            literal("null");
            break;
    }
}

std::string_view JsonReader::raw() {
    skip_space();
    const char* start = p_;
    skip();
    return {start, static_cast<size_t>(p_ - start)};
}

void JsonReader::end() {
    skip_space();
    if (p_ != end_) fail("more data after the JSON");
}

}  // namespace sevenfold::repository
