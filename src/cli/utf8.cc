#include "cli/utf8.h"

#include <clocale>
#include <cwchar>
#include <vector>

namespace sevenfold::cli {
namespace {

size_t width_of(const Utf8Step& step) {
    if (!step.valid) return 1;
    int width = ::wcwidth(static_cast<wchar_t>(step.code));
    return width < 0 ? 1 : static_cast<size_t>(width);
}

}  // namespace

Utf8Step decode_utf8(std::string_view text) {
    auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned first = byte(0);
    if (first < 0x80) return {first, 1, true};
    size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || text.size() < length) return {};
    char32_t code = first & (0xFFu >> (length + 1));
    for (size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0) != 0x80) return {};
        code = code << 6 | (byte(i) & 0x3Fu);
    }
    constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kSmallest[length] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return {};
    return {code, length, true};
}

void set_up_character_widths() { std::setlocale(LC_CTYPE, "C.UTF-8"); }

size_t display_width(std::string_view text) {
    size_t columns = 0;
    while (!text.empty()) {
        Utf8Step step = decode_utf8(text);
        columns += width_of(step);
        text.remove_prefix(step.length);
    }
    return columns;
}

std::string shorten(std::string_view text, size_t columns) {
    if (display_width(text) <= columns) return std::string(text);
    if (columns == 0) return {};
    std::string out;
    size_t used = 0;
    while (!text.empty()) {
        Utf8Step step = decode_utf8(text);
        if (used + width_of(step) > columns - 1) break;
        used += width_of(step);
        out += text.substr(0, step.length);
        text.remove_prefix(step.length);
    }
    return out + "…";
}

std::string shorten_front(std::string_view text, size_t columns) {
    size_t width = display_width(text);
    if (width <= columns) return std::string(text);
    if (columns == 0) return {};
    while (!text.empty() && width > columns - 1) {
        Utf8Step step = decode_utf8(text);
        width -= width_of(step);
        text.remove_prefix(step.length);
    }
    return "…" + std::string(text);
}

}  // namespace sevenfold::cli
