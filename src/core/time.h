// Times as the repository format has them: an instant with nanoseconds and the zone offset it was
// written with. Also the clock that tests can replace.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace sevenfold {

struct Time {
    int64_t seconds = 0;      // since 1970-01-01T00:00:00Z, may be negative
    int32_t nanoseconds = 0;  // [0, 1e9)
    int32_t offset = 0;       // seconds east of UTC; presentation only, not part of the instant

    bool same_instant(const Time& o) const {
        return seconds == o.seconds && nanoseconds == o.nanoseconds;
    }
    std::strong_ordering operator<=>(const Time& o) const {
        if (auto c = seconds <=> o.seconds; c != 0) return c;
        return nanoseconds <=> o.nanoseconds;
    }
    bool operator==(const Time& o) const { return same_instant(o); }
    Time plus(std::chrono::nanoseconds d) const;
    // min() or max() where the difference is beyond the 292 years that nanoseconds reach.
    std::chrono::nanoseconds since(const Time& earlier) const;
};

// The calendar fields of a time in its own zone.
struct Civil {
    int64_t year;
    int month, day, hour, minute, second;  // month and day from 1
};
Civil civil(const Time& time);
// Days since 1970-01-01 of a proleptic Gregorian date; month and day may be out of range and are
// normalised as Go's time.Date does (month 13 is January of the next year, day 0 the day before 1).
int64_t days_from_civil(int64_t year, int64_t month, int64_t day);
// ISO 8601 week number and its year, in the time's own zone.
struct IsoWeek {
    int64_t year;
    int week;
};
IsoWeek iso_week(const Time& time);

// Sets offset to the one the machine's local zone (TZ) has at that instant.
Time in_local_zone(Time time);

// RFC 3339 with nanoseconds, trailing zeros trimmed, "Z" or "+01:00", as Go's RFC3339Nano writes
// it. The year is clamped to 0..9999, the other fields kept.
std::string to_rfc3339(const Time& time);
void append_rfc3339(std::string& out, const Time& time);
// Throws Error{corrupt} unless `text` is RFC 3339. As in Go, offsets may have 24 hours and 60
// minutes; together they must stay below 25 hours, which to_rfc3339 could not write so that it can
// be read.
Time parse_rfc3339(std::string_view text);
// "2026-11-22 14:03:09" in the time's own zone, for people.
std::string to_display(const Time& time);

// What time it is. Tests pass their own.
class Clock {
  public:
    virtual ~Clock() = default;
    virtual Time now() const = 0;  // with the local zone's offset
    virtual std::chrono::steady_clock::time_point steady() const = 0;
    static const Clock& system();
};

}  // namespace sevenfold
