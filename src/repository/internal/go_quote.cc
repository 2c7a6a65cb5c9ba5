#include "repository/internal/go_quote.h"

#include <cstdint>

#include "repository/internal/go_print.h"
#include "repository/internal/utf8.h"

namespace sevenfold::repository {
namespace {

void append_hex(std::string& out, uint32_t value, int digits) {
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
        out += "0123456789abcdef"[value >> shift & 15];
}

void append_escaped(std::string& out, uint32_t rune) {
    constexpr std::string_view kNamed = "abtnvfr";  // 7 … 13
    out += '\\';
    if (rune >= 7 && rune <= 13) {
        out += kNamed[rune - 7];
    } else if (rune < 0x80) {
        out += 'x';
        append_hex(out, rune, 2);
    } else if (rune < 0x10000) {
        out += 'u';
        append_hex(out, rune, 4);
    } else {
        out += 'U';
        append_hex(out, rune, 8);
    }
}

// Takes `digits` digits of the base from the front of `rest`.
std::optional<uint32_t> take_number(std::string_view& rest, size_t digits, unsigned bits_a_digit) {
    if (rest.size() < digits) return std::nullopt;
    uint32_t value = 0;
    for (char c : rest.substr(0, digits)) {
        uint32_t digit = c >= '0' && c <= '9'   ? static_cast<uint32_t>(c - '0')
                         : c >= 'a' && c <= 'f' ? static_cast<uint32_t>(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? static_cast<uint32_t>(c - 'A' + 10)
                                                : 99;
        if (digit >> bits_a_digit != 0) return std::nullopt;
        value = value << bits_a_digit | digit;
    }
    rest.remove_prefix(digits);
    return value;
}

// What stands behind a backslash; false when it is no escape of a Go string.
bool append_unescaped(std::string& out, std::string_view& rest) {
    if (rest.empty()) return false;
    char c = rest.front();
    if (c >= '0' && c <= '7') {
        auto byte = take_number(rest, 3, 3);
        if (!byte || *byte > 255) return false;
        out += static_cast<char>(*byte);
        return true;
    }
    rest.remove_prefix(1);
    switch (c) {
        case 'a':
            out += '\a';
            return true;
        case 'b':
            out += '\b';
            return true;
        case 'f':
            out += '\f';
            return true;
        case 'n':
            out += '\n';
            return true;
        case 'r':
            out += '\r';
            return true;
        case 't':
            out += '\t';
            return true;
        case 'v':
            out += '\v';
            return true;
        case '\\':
        case '"':
            out += c;
            return true;
        case 'x': {
            auto byte = take_number(rest, 2, 4);
            if (byte) out += static_cast<char>(*byte);
            return byte.has_value();
        }
        case 'u':
        case 'U': {
            auto rune = take_number(rest, c == 'u' ? 4 : 8, 4);
            if (!rune || *rune > 0x10ffff || (*rune >= 0xd800 && *rune <= 0xdfff)) return false;
            append_utf8(out, *rune);
            return true;
        }
        default:
            return false;
    }
}

}  // namespace

void append_go_quoted(std::string& out, std::string_view text) {
    while (!text.empty()) {
        Rune rune = first_rune(text);
        if (!rune.valid) {
            out += "\\x";
            append_hex(out, static_cast<uint8_t>(text[0]), 2);
        } else if (rune.value == '"' || rune.value == '\\') {
            out += '\\';
            out += text[0];
        } else if (is_printable(rune.value)) {
            out.append(text.substr(0, rune.size));
        } else {
            append_escaped(out, rune.value);
        }
        text.remove_prefix(rune.size);
    }
}

std::optional<std::string> go_unquote(std::string_view quoted) {
    std::string out;
    out.reserve(quoted.size());
    while (!quoted.empty()) {
        char c = quoted.front();
        if (c == '"' || c == '\n') return std::nullopt;
        quoted.remove_prefix(1);
        if (c != '\\') {
            out += c;
        } else if (!append_unescaped(out, quoted)) {
            return std::nullopt;
        }
    }
    return out;
}

}  // namespace sevenfold::repository
