#include "cli/times.h"

#include <ctime>
#include <string_view>

#include "core/error.h"

namespace sevenfold::cli {

std::optional<Time> parse_time(const std::string& text) {
    for (const char* format : {"%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"}) {
        tm fields{};
        const char* end = strptime(text.c_str(), format, &fields);
        if (end == nullptr || *end != 0) continue;
        fields.tm_isdst = -1;
        std::string_view given = format;
        if (given == "%Y-%m-%d") fields.tm_mday += 1;
        if (given == "%Y-%m-%d %H:%M") fields.tm_min += 1;
        if (given == "%Y-%m-%d %H:%M:%S") fields.tm_sec += 1;
        return Time{mktime(&fields) - 1, 999'999'999, 0};
    }
    try {
        return parse_rfc3339(text);
    } catch (const Error&) {
        return std::nullopt;
    }
}

}  // namespace sevenfold::cli
