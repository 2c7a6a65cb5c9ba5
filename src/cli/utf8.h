// UTF-8 and how many columns text takes on a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sevenfold::cli {

struct Utf8Step {
    char32_t code = 0xFFFD;
    size_t length = 1;  // bytes taken; 1 when not valid
    bool valid = false;
};
// Decodes the first character of a text that is not empty (RFC 3629: no surrogates, no overlong
// forms, nothing above U+10FFFF).
Utf8Step decode_utf8(std::string_view text);

// Makes wcwidth() know Unicode. Call once, before there are threads.
void set_up_character_widths();

// Columns: wide characters take two, combining marks none, invalid bytes one.
size_t display_width(std::string_view text);

// The text cut to at most `columns`, the last one then being "…".
std::string shorten(std::string_view text, size_t columns);
// As shorten(), but keeps the end, which says more of a path.
std::string shorten_front(std::string_view text, size_t columns);

}  // namespace sevenfold::cli
