// UTF-8 (RFC 3629) as Go's unicode/utf8 decodes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sevenfold::repository {

inline constexpr uint32_t kReplacementRune = 0xfffd;

struct Rune {
    uint32_t value;  // kReplacementRune when not valid
    unsigned size;   // bytes; 1 when not valid
    bool valid;
};

// The first rune of `text`, which must not be empty. Overlong forms, surrogates and values above
// U+10FFFF are not valid.
Rune first_rune(std::string_view text);
bool is_valid_utf8(std::string_view text);
// Appends a rune; values that are none become U+FFFD.
void append_utf8(std::string& out, uint32_t rune);

}  // namespace sevenfold::repository
