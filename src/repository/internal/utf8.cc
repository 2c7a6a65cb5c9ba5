#include "repository/internal/utf8.h"

#include <cstring>

namespace sevenfold::repository {

Rune first_rune(std::string_view text) {
    const Rune bad{kReplacementRune, 1, false};
    auto at = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    auto tail = [&](size_t i) { return i < text.size() && (at(i) & 0xc0) == 0x80; };
    uint32_t b0 = at(0);
    if (b0 < 0x80) return {b0, 1, true};
    if (b0 < 0xc2 || b0 > 0xf4 || !tail(1)) return bad;
    uint32_t value = b0 < 0xe0 ? b0 & 0x1f : b0 < 0xf0 ? b0 & 0x0f : b0 & 0x07;
    unsigned size = b0 < 0xe0 ? 2 : b0 < 0xf0 ? 3 : 4;
    for (unsigned i = 1; i < size; ++i) {
        if (!tail(i)) return bad;
        value = value << 6 | (at(i) & 0x3f);
    }
    if ((size == 3 && (value < 0x800 || (value >= 0xd800 && value <= 0xdfff))) ||
        (size == 4 && (value < 0x10000 || value > 0x10ffff)))
        return bad;
    return {value, size, true};
}

bool is_valid_utf8(std::string_view text) {
    while (!text.empty()) {
        uint64_t eight;
        if (text.size() >= 8 &&
            (std::memcpy(&eight, text.data(), 8), (eight & 0x8080808080808080) == 0)) {
            text.remove_prefix(8);
            continue;
        }
        Rune rune = first_rune(text);
        if (!rune.valid) return false;
        text.remove_prefix(rune.size);
    }
    return true;
}

void append_utf8(std::string& out, uint32_t rune) {
    if (rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff)) rune = kReplacementRune;
    auto put = [&](uint32_t byte) { out += static_cast<char>(byte); };
    if (rune < 0x80) {
        put(rune);
    } else if (rune < 0x800) {
        put(0xc0 | rune >> 6);
        put(0x80 | (rune & 0x3f));
    } else if (rune < 0x10000) {
        put(0xe0 | rune >> 12);
        put(0x80 | (rune >> 6 & 0x3f));
        put(0x80 | (rune & 0x3f));
    } else {
        put(0xf0 | rune >> 18);
        put(0x80 | (rune >> 12 & 0x3f));
        put(0x80 | (rune >> 6 & 0x3f));
        put(0x80 | (rune & 0x3f));
    }
}

}  // namespace sevenfold::repository
