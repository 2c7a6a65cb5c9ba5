#include "core/log.h"

#include <atomic>
#include <cstdio>
#include <mutex>

namespace sevenfold {
namespace {

std::atomic<LogLevel> lowest{LogLevel::info};
std::atomic<LogSink> sink{nullptr};
std::mutex stderr_mutex;

std::string_view prefix(LogLevel level) {
    switch (level) {
        case LogLevel::debug:
            return "debug: ";
        case LogLevel::warning:
            return "warning: ";
        case LogLevel::error:
            return "error: ";
        case LogLevel::info:
            break;
    }
    return "";
}

// Bytes of the UTF-8 character at the front of `text`; 1 for a byte that begins none.
size_t character_size(std::string_view text) {
    auto first = static_cast<uint8_t>(text[0]);
    size_t size = first < 0xc2 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 1;
    if (size > text.size()) return 1;
    for (size_t i = 1; i < size; ++i)
        if ((static_cast<uint8_t>(text[i]) & 0xc0) != 0x80) return 1;
    return size;
}

// C0, DEL, and C1 (U+0080 to U+009F), which some terminals also take as single bytes.
bool is_control(std::string_view character) {
    auto first = static_cast<uint8_t>(character[0]), last = static_cast<uint8_t>(character.back());
    if (character.size() == 2) return first == 0xc2 && last < 0xa0;
    return character.size() == 1 && (first < 0x20 || (first >= 0x7f && first < 0xa0));
}

}  // namespace

std::string printable(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        std::string_view character = text.substr(0, character_size(text));
        text.remove_prefix(character.size());
        if (!is_control(character)) {
            out += character;
            continue;
        }
        for (char c : character) out += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    }
    return out;
}

void log_line(LogLevel level, std::string_view text) {
    if (level < lowest.load(std::memory_order_relaxed)) return;
    std::string line;
    size_t start = 0;
    // A hint stands on a line of its own; everything else is one line.
    for (size_t newline; (newline = text.find('\n', start)) != text.npos; start = newline + 1)
        line += printable(text.substr(start, newline - start)) + "\n";
    line += printable(text.substr(start));
    if (LogSink custom = sink.load()) return custom(level, line);
    std::lock_guard lock(stderr_mutex);
    std::string_view p = prefix(level);
    std::fprintf(stderr, "%.*s%s\n", static_cast<int>(p.size()), p.data(), line.c_str());
}

void set_log_level(LogLevel lowest_shown) { lowest = lowest_shown; }
void set_log_sink(LogSink new_sink) { sink = new_sink; }

}  // namespace sevenfold
