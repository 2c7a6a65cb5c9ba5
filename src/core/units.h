// Durations and sizes as people write them, and back.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sevenfold {

// "512", "16MiB", "1.5 GiB", "100k" (K, M, G, T, P: powers of 1024, as restic has them; KB, MB, …:
// powers of 1000). Nothing unless valid, not negative and below 2^63.
std::optional<uint64_t> parse_size(std::string_view text);

// "90s", "15m", "1h30m", "14d", "2w"; units ms s m h d w. Nothing unless valid and not negative.
std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);

// "1.500 GiB", "512 B": three decimals above KiB as restic prints them.
std::string format_size(uint64_t bytes);
// "0.4 s", "12 s", "3:05 min", "2:14:09 h".
std::string format_duration(std::chrono::nanoseconds d);
// "5 min", "3 h", "2 days": one unit, for ages.
std::string format_age(std::chrono::nanoseconds d);
// "1,234,567".
std::string format_count(uint64_t n);

}  // namespace sevenfold
