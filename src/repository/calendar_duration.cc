#include <fmt/format.h>

#include "core/error.h"
#include "repository/retention.h"

namespace sevenfold::repository {
namespace {

// Far more than any history, and safe from overflow in every sum made with it.
constexpr int32_t kLargest = 9'999'999;

int32_t local_offset(int64_t seconds) { return in_local_zone({seconds, 0, 0}).offset; }

}  // namespace

CalendarDuration parse_calendar_duration(std::string_view text) {
    auto bad = [&](std::string_view why) {
        return Error(ErrorKind::usage,
                     fmt::format("invalid duration \"{}\": {}", text.substr(0, 64), why),
                     "Write years, months, days and hours like 1y5m7d2h.");
    };
    size_t end = text.find_last_not_of(" \t");
    std::string_view rest = text.substr(0, end == text.npos ? 0 : end + 1);
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
    if (rest.empty()) throw bad("it is empty");

    CalendarDuration out;
    bool seen[4] = {};
    while (!rest.empty()) {
        int64_t number = 0;
        size_t digits = 0;
        for (; digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9'; ++digits) {
            number = number * 10 + (rest[digits] - '0');
            if (number > kLargest) throw bad("the number is too large");
        }
        if (digits == 0) throw bad("no number found");
        if (digits == rest.size()) throw bad("the number has no unit");
        size_t unit = std::string_view("ymdh").find(rest[digits]);
        if (unit == std::string_view::npos) throw bad("unknown unit");
        if (seen[unit]) throw bad("a unit is given twice");
        seen[unit] = true;
        int32_t* fields[] = {&out.years, &out.months, &out.days, &out.hours};
        *fields[unit] = static_cast<int32_t>(number);
        rest.remove_prefix(digits + 1);
    }
    return out;
}

std::string to_string(const CalendarDuration& d) {
    std::string out;
    if (d.years != 0) out += fmt::format("{}y", d.years);
    if (d.months != 0) out += fmt::format("{}m", d.months);
    if (d.days != 0) out += fmt::format("{}d", d.days);
    if (d.hours != 0) out += fmt::format("{}h", d.hours);
    return out;
}

Time earlier_by(const Time& time, const CalendarDuration& d) {
    Civil c = civil(time);
    int64_t days = days_from_civil(c.year - d.years, c.month - d.months, c.day - d.days);
    int64_t wall = days * 86400 + c.hour * 3600 + c.minute * 60 + c.second;
    Time out = time;
    // Go reads a stored time whose offset is the machine's own at that moment into the local zone,
    // whose offset may be another one on the earlier date; any other offset is fixed.
    if (local_offset(time.seconds) == time.offset)
        out.offset = local_offset(wall - local_offset(wall));
    out.seconds = wall - out.offset - int64_t{d.hours} * 3600;
    return out;
}

}  // namespace sevenfold::repository
