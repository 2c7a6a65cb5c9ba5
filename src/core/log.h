// Messages for the person at the terminal or in the journal, on stderr. No secret may reach them:
// `Secret` does not format.
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace sevenfold {

enum class LogLevel { debug, info, warning, error };

// Thread-safe. A sink gets whole messages, without the last newline; the default one writes to
// stderr. Other control characters than the newline between message and hint go through
// printable(), so that a file name cannot drive a terminal.
void log_line(LogLevel level, std::string_view text);
void set_log_level(LogLevel lowest_shown);
using LogSink = void (*)(LogLevel, std::string_view line);
void set_log_sink(LogSink sink);  // nullptr: the default

// Names and messages made safe for a terminal: the bytes of control characters, tab and C1 (U+0080
// to U+009F) included, become \xNN.
std::string printable(std::string_view text);

template <class... A>
void log_debug(fmt::format_string<A...> f, A&&... a) {
    log_line(LogLevel::debug, fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void log_info(fmt::format_string<A...> f, A&&... a) {
    log_line(LogLevel::info, fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void log_warning(fmt::format_string<A...> f, A&&... a) {
    log_line(LogLevel::warning, fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void log_error(fmt::format_string<A...> f, A&&... a) {
    log_line(LogLevel::error, fmt::format(f, std::forward<A>(a)...));
}

}  // namespace sevenfold
