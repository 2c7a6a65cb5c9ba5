#include "core/time.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "core/error.h"

namespace sevenfold {
namespace {

constexpr int64_t kDay = 86400;
constexpr int64_t kBillion = 1'000'000'000;

int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

struct Date {
    int64_t year;
    int month, day;
};

// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
Date date_from_days(int64_t days) {
    days += 719468;
    int64_t era = floor_div(days, 146097);
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int day = static_cast<int>(doy - (153 * mp + 2) / 5 + 1);
    int month = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
    return {yoe + era * 400 + (month <= 2), month, day};
}

void append_padded(std::string& out, int64_t value, int width) {
    char digits[20];
    int n = 0;
    do {
        digits[n++] = static_cast<char>('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (n < width) digits[n++] = '0';
    while (n > 0) out += digits[--n];
}

int two_digits(std::string_view text, size_t at) {
    if (at + 2 > text.size()) return -1;
    char a = text[at], b = text[at + 1];
    if (a < '0' || a > '9' || b < '0' || b > '9') return -1;
    return (a - '0') * 10 + (b - '0');
}

class SystemClock : public Clock {
  public:
    Time now() const override {
        timespec ts{};
        clock_gettime(CLOCK_REALTIME, &ts);
        return in_local_zone({ts.tv_sec, static_cast<int32_t>(ts.tv_nsec), 0});
    }
    std::chrono::steady_clock::time_point steady() const override {
        return std::chrono::steady_clock::now();
    }
};

}  // namespace

Time Time::plus(std::chrono::nanoseconds d) const {
    int64_t total = nanoseconds + d.count() % kBillion;
    Time out = *this;
    out.seconds += d.count() / kBillion + floor_div(total, kBillion);
    out.nanoseconds = static_cast<int32_t>(total - floor_div(total, kBillion) * kBillion);
    return out;
}

std::chrono::nanoseconds Time::since(const Time& earlier) const {
    int64_t total = 0;
    if (__builtin_sub_overflow(seconds, earlier.seconds, &total) ||
        __builtin_mul_overflow(total, kBillion, &total) ||
        __builtin_add_overflow(total, int64_t{nanoseconds} - earlier.nanoseconds, &total))
        return *this < earlier ? std::chrono::nanoseconds::min() : std::chrono::nanoseconds::max();
    return std::chrono::nanoseconds(total);
}

int64_t days_from_civil(int64_t year, int64_t month, int64_t day) {
    year += floor_div(month - 1, 12);
    month = month - 1 - floor_div(month - 1, 12) * 12 + 1;
    year -= month <= 2;
    int64_t era = floor_div(year, 400);
    int64_t yoe = year - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468 + day - 1;
}

Civil civil(const Time& time) {
    int64_t local = time.seconds + time.offset;
    int64_t days = floor_div(local, kDay);
    int64_t rest = local - days * kDay;
    Date date = date_from_days(days);
    return {date.year,
            date.month,
            date.day,
            static_cast<int>(rest / 3600),
            static_cast<int>(rest / 60 % 60),
            static_cast<int>(rest % 60)};
}

IsoWeek iso_week(const Time& time) {
    int64_t days = floor_div(time.seconds + time.offset, kDay);
    int64_t weekday =
        days + 3 - floor_div(days + 3, 7) * 7;  // 0 is Monday; 1970-01-01 was a Thursday
    int64_t thursday = days - weekday + 3;
    int64_t year = date_from_days(thursday).year;
    return {year, static_cast<int>((thursday - days_from_civil(year, 1, 1)) / 7 + 1)};
}

Time in_local_zone(Time time) {
    // localtime_r takes a global lock; zone offsets change only on quarter hours, so one look-up
    // serves every time of the same quarter hour on this thread.
    thread_local int64_t cached_quarter = INT64_MIN;
    thread_local int32_t cached_offset = 0;
    int64_t quarter = floor_div(time.seconds, 900);
    if (quarter != cached_quarter) {
        time_t at = time.seconds;
        tm fields{};
        cached_offset = localtime_r(&at, &fields) ? static_cast<int32_t>(fields.tm_gmtoff) : 0;
        cached_quarter = quarter;
    }
    time.offset = cached_offset;
    return time;
}

void append_rfc3339(std::string& out, const Time& time) {
    Civil c = civil(time);
    append_padded(out, std::clamp<int64_t>(c.year, 0, 9999), 4);
    out += '-';
    append_padded(out, c.month, 2);
    out += '-';
    append_padded(out, c.day, 2);
    out += 'T';
    append_padded(out, c.hour, 2);
    out += ':';
    append_padded(out, c.minute, 2);
    out += ':';
    append_padded(out, c.second, 2);
    if (time.nanoseconds != 0) {
        out += '.';
        append_padded(out, time.nanoseconds, 9);
        while (out.back() == '0') out.pop_back();
    }
    int32_t minutes = time.offset / 60;
    if (minutes == 0) {
        out += 'Z';
        return;
    }
    out += minutes < 0 ? '-' : '+';
    minutes = std::abs(minutes);
    append_padded(out, minutes / 60, 2);
    out += ':';
    append_padded(out, minutes % 60, 2);
}

std::string to_rfc3339(const Time& time) {
    std::string out;
    append_rfc3339(out, time);
    return out;
}

Time parse_rfc3339(std::string_view text) {
    auto bad = [&] {
        return Error(ErrorKind::corrupt, fmt::format("invalid time \"{}\"", text.substr(0, 64)));
    };
    if (text.size() < 20 || text[4] != '-' || text[7] != '-' ||
        (text[10] != 'T' && text[10] != 't') || text[13] != ':' || text[16] != ':')
        throw bad();
    int century = two_digits(text, 0), years = two_digits(text, 2), month = two_digits(text, 5),
        day = two_digits(text, 8), hour = two_digits(text, 11), minute = two_digits(text, 14),
        second = two_digits(text, 17);
    if (century < 0 || years < 0 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 ||
        hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
        throw bad();
    Time time;
    size_t at = 19;
    if (text[at] == '.') {
        int digits = 0;
        int64_t fraction = 0;
        for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at)
            if (digits < 9) {
                fraction = fraction * 10 + (text[at] - '0');
                ++digits;
            }
        if (digits == 0) throw bad();
        for (; digits < 9; ++digits) fraction *= 10;
        time.nanoseconds = static_cast<int32_t>(fraction);
    }
    if (at >= text.size()) throw bad();
    if (text[at] == 'Z' || text[at] == 'z') {
        if (at + 1 != text.size()) throw bad();
    } else {
        int h = two_digits(text, at + 1), m = two_digits(text, at + 4);
        if ((text[at] != '+' && text[at] != '-') || at + 6 != text.size() || text[at + 3] != ':' ||
            h < 0 || h > 24 || m < 0 || m > 60 || h * 60 + m >= 25 * 60)
            throw bad();
        time.offset = (h * 60 + m) * 60 * (text[at] == '-' ? -1 : 1);
    }
    time.seconds = days_from_civil(century * 100 + years, month, day) * kDay + hour * 3600 +
                   minute * 60 + second - time.offset;
    return time;
}

std::string to_display(const Time& time) {
    Civil c = civil(time);
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", c.year, c.month, c.day, c.hour,
                       c.minute, c.second);
}

const Clock& Clock::system() {
    static const SystemClock clock;
    return clock;
}

}  // namespace sevenfold
