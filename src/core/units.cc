#include "core/units.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace sevenfold {
namespace {

using namespace std::chrono_literals;

std::string_view trim(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

// Takes a decimal number from the front of `text`.
std::optional<double> take_number(std::string_view& text) {
    double value = 0;
    if (text.empty() || !(text[0] >= '0' && text[0] <= '9')) return std::nullopt;
    auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    return value;
}

std::optional<double> size_factor(std::string_view unit) {
    if (unit.empty() || unit == "B" || unit == "b") return 1;
    constexpr std::string_view kLetters = "KMGTP";
    size_t power = kLetters.find(static_cast<char>(unit[0] & ~0x20));
    if (power == kLetters.npos) return std::nullopt;
    std::string_view rest = unit.substr(1);
    if (rest.empty() || rest == "iB" || rest == "ib") return std::pow(1024, power + 1);
    if (rest == "B" || rest == "b") return std::pow(1000, power + 1);
    return std::nullopt;
}

std::optional<std::chrono::nanoseconds> take_unit(std::string_view& text) {
    struct Unit {
        std::string_view name;
        std::chrono::nanoseconds length;
    };
    constexpr Unit kUnits[] = {{"ms", 1ms}, {"s", 1s},  {"m", 1min},
                               {"h", 1h},   {"d", 24h}, {"w", 7 * 24h}};
    for (const Unit& unit : kUnits)
        if (text.starts_with(unit.name)) {
            text.remove_prefix(unit.name.size());
            return unit.length;
        }
    return std::nullopt;
}

}  // namespace

std::optional<uint64_t> parse_size(std::string_view text) {
    text = trim(text);
    auto number = take_number(text);
    if (!number) return std::nullopt;
    auto factor = size_factor(trim(text));
    if (!factor) return std::nullopt;
    double bytes = std::round(*number * *factor);
    if (!(bytes < 0x1p63)) return std::nullopt;
    return static_cast<uint64_t>(bytes);
}

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
    text = trim(text);
    if (text.empty()) return std::nullopt;
    double total = 0;
    while (!text.empty()) {
        auto number = take_number(text);
        if (!number) return std::nullopt;
        auto unit = take_unit(text);
        if (!unit) return std::nullopt;
        total += *number * static_cast<double>(unit->count());
        text = trim(text);
    }
    if (!(total < 0x1p63)) return std::nullopt;
    return std::chrono::nanoseconds(static_cast<int64_t>(total));
}

std::string format_size(uint64_t bytes) {
    constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
    if (bytes < 1024) return fmt::format("{} B", bytes);
    double value = static_cast<double>(bytes) / 1024;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < std::size(kUnits)) {
        value /= 1024;
        ++unit;
    }
    return fmt::format("{:.3f} {}", value, kUnits[unit]);
}

std::string format_duration(std::chrono::nanoseconds d) {
    double seconds = std::chrono::duration<double>(d).count();
    if (seconds < 10) return fmt::format("{:.1f} s", seconds);
    auto whole = static_cast<int64_t>(seconds + 0.5);
    if (whole < 60) return fmt::format("{} s", whole);
    if (whole < 3600) return fmt::format("{}:{:02} min", whole / 60, whole % 60);
    return fmt::format("{}:{:02}:{:02} h", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string format_age(std::chrono::nanoseconds d) {
    int64_t seconds = std::max<int64_t>(0, d / 1s);
    auto plural = [](int64_t n, const char* unit) {
        return fmt::format("{} {}{}", n, unit, n == 1 ? "" : "s");
    };
    if (seconds < 60) return fmt::format("{} s", seconds);
    if (seconds < 2 * 3600) return fmt::format("{} min", seconds / 60);
    if (seconds < 2 * 86400) return fmt::format("{} h", seconds / 3600);
    return plural(seconds / 86400, "day");
}

std::string format_count(uint64_t n) {
    std::string digits = fmt::format("{}", n), out;
    for (size_t i = 0; i < digits.size(); ++i) {
        if (i != 0 && (digits.size() - i) % 3 == 0) out += ',';
        out += digits[i];
    }
    return out;
}

}  // namespace sevenfold
