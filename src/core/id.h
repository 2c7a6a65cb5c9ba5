// The 256-bit identity of everything stored: the SHA-256 of a file's stored bytes, or of a blob's
// plaintext.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/bytes.h"

namespace sevenfold {

struct Id {
    static constexpr size_t kSize = 32;
    std::array<uint8_t, kSize> bytes{};

    auto operator<=>(const Id&) const = default;
    bool is_zero() const { return *this == Id{}; }
    ByteView view() const { return bytes; }

    // 64 lower-case hexadecimal digits.
    std::string hex() const { return to_hex(bytes); }
    // The first 8 digits, for people.
    std::string short_hex() const { return to_hex(ByteView(bytes).first(4)); }

    // Exactly 64 lower-case hexadecimal digits, or nothing.
    static std::optional<Id> parse(std::string_view hex) {
        Id id;
        if (hex.size() != 2 * kSize || hex.find_first_not_of("0123456789abcdef") != hex.npos)
            return std::nullopt;
        if (!from_hex(hex, id.bytes)) return std::nullopt;
        return id;
    }
};

// Ids are uniform already: their first bytes serve as the hash.
struct IdHash {
    size_t operator()(const Id& id) const noexcept {
        size_t h;
        std::memcpy(&h, id.bytes.data(), sizeof h);
        return h;
    }
};

}  // namespace sevenfold

template <>
struct std::hash<sevenfold::Id> : sevenfold::IdHash {};
