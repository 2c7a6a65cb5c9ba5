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

}  // namespace

std::string printable(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f)
            out += fmt::format("\\x{:02x}", byte);
        else
            out += c;
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
