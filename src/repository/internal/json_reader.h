// A strict pull reader for the JSON that lies in a repository: trees, indexes, snapshots, locks,
// keys, config. One pass, no tree of values, no allocation except for strings with escapes.
//
//     JsonReader json(bytes, "index 1a2b3c4d");
//     json.begin_object();
//     while (json.next_key()) {
//         if (json.key() == "packs") {
//             json.begin_array();
//             while (json.next_element()) { … one value each … }
//         } else {
//             json.skip();
//         }
//     }
//     json.end();
//
// After next_key() or next_element() has returned true exactly one value must be read (or
// skipped). Everything that is not RFC 8259 JSON, invalid UTF-8 included, throws Error{corrupt}
// with `what` and the byte's position; so does a value of another type than the one asked for.
// Lone surrogate escapes become U+FFFD, as Go reads them.
//
// Views that a reader returns point into its input, or, for strings with escapes, into a buffer
// that the next call of string() (for key(): of next_key()) overwrites. One thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/id.h"
#include "core/time.h"

namespace sevenfold::repository {

class JsonReader {
  public:
    static constexpr unsigned kMaxDepth = 64;  // of arrays and objects inside each other

    // `json` and `what` (which names the object in errors) must outlive the reader.
    JsonReader(ByteView json, std::string_view what, unsigned max_depth = kMaxDepth);

    enum class Kind { object, array, string, number, boolean, null };
    // The kind of the next value, by its first byte.
    Kind peek();

    void begin_object();
    // True with key() set; false after the object's end was read.
    bool next_key();
    std::string_view key() const { return key_; }
    void begin_array();
    // True when another element follows; false after the array's end was read.
    bool next_element();

    std::string_view string();
    uint64_t u64();  // exact: no sign, fraction or exponent, no overflow
    uint32_t u32();
    int64_t i64();  // exact
    bool boolean();
    // Reads a null if one is next.
    bool null();
    // A string of 64 lower-case hexadecimal digits.
    Id id();
    // A string in RFC 3339.
    Time time();
    // A string in base64. Null counts as empty (Go writes it for a nil slice).
    Bytes base64();

    // Reads any value and checks its syntax.
    void skip();
    // As skip(), and returns its text as it stands in the input.
    std::string_view raw();

    // Throws unless nothing but white space follows the one value.
    void end();

    // Throws Error{corrupt}: "<what>: <problem> at byte N".
    [[noreturn]] void fail(std::string_view problem) const;

    // True when the string read last stood in the input without escapes.
    bool string_was_plain() const { return plain_; }

  private:
    void skip_space() {
        while (p_ < end_ && (*p_ == ' ' || *p_ == '\n' || *p_ == '\t' || *p_ == '\r')) ++p_;
    }
    void expect(char c, std::string_view problem);
    void open(char c, std::string_view problem);
    void close();
    void literal(std::string_view word);
    void number();  // skips one, checking its grammar
    std::string_view read_string(std::string& buffer);
    std::string_view read_escaped(std::string& buffer, const char* start);
    uint32_t unicode_escape();
    uint32_t hex4();
    bool fast_time(std::string_view text, Time& out);

    const char* begin_;
    const char* p_;
    const char* end_;
    std::string_view what_;
    std::string_view key_;
    std::string key_buffer_, text_buffer_;
    unsigned depth_ = 0;
    unsigned max_depth_;
    bool first_ = true;  // no element of the innermost container has been read yet
    bool plain_ = true;
    // The date ("2026-11-22") of the time read last and its midnight: the times of a tree cluster.
    char date_[10] = {'x'};  // no date yet
    int64_t midnight_ = 0;
};

}  // namespace sevenfold::repository
