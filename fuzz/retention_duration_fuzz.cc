// Durations of the forget policy: any text parses or is refused, and what parses survives a round
// trip and the calendar.
#include <cstddef>
#include <cstdint>

#include "core/check.h"
#include "core/error.h"
#include "repository/retention.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace sevenfold;
    using namespace sevenfold::repository;
    std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        CalendarDuration duration = parse_calendar_duration(text);
        Time now{1'700'000'000, 0, 3600};
        CHECK(!(earlier_by(now, duration) > now));
        if (!duration.zero()) CHECK(parse_calendar_duration(to_string(duration)) == duration);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::usage);
    }
    try {
        parse_group_by(text);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::usage);
    }
    return 0;
}
