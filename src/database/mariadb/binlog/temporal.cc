#include "database/mariadb/binlog/temporal.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>

#include "core/time.h"
#include "database/mariadb/binlog/fields.h"

namespace sevenfold::database::mariadb {
namespace {

using Kind = Value::Kind;

constexpr std::array<int64_t, 7> kPowers = {1, 10, 100, 1000, 10'000, 100'000, 1'000'000};
// MariaDB's formats with fractions, by decimals.
constexpr std::array<uint8_t, 7> kOldTimestampBytes = {4, 5, 5, 6, 6, 7, 7};
constexpr std::array<uint8_t, 7> kOldTimeBytes = {3, 4, 4, 5, 5, 5, 6};
constexpr std::array<uint8_t, 7> kOldDatetimeBytes = {8, 6, 6, 7, 7, 7, 8};

unsigned decimals_of(const Column& column) {
    bool packed = column.type == ColumnType::time2 || column.type == ColumnType::datetime2 ||
                  column.type == ColumnType::timestamp2;
    unsigned decimals = packed ? column.length : column.scale;
    if (decimals > 6) throw Error(ErrorKind::corrupt, "time with more than six decimals");
    return decimals;
}
size_t fraction_bytes(unsigned decimals) { return (decimals + 1) / 2; }

// ".678" of microseconds, for as many digits as the column has.
std::string fraction(int64_t microseconds, unsigned decimals) {
    if (decimals == 0) return {};
    return fmt::format(".{:0{}}", microseconds / kPowers[6 - decimals], decimals);
}

// The stored fraction in microseconds: it counts hundredths, ten-thousandths or millionths.
int64_t microseconds(ByteView stored, unsigned decimals) {
    return static_cast<int64_t>(big_endian(stored)) * kPowers[6 - 2 * fraction_bytes(decimals)];
}

std::string date_text(int64_t year, int64_t month, int64_t day) {
    return fmt::format("{:04}-{:02}-{:02}", year, month, day);
}
std::string clock_text(int64_t hour, int64_t minute, int64_t second) {
    return fmt::format("{:02}:{:02}:{:02}", hour, minute, second);
}
Value made(Kind kind, std::string text) { return {.kind = kind, .bytes = std::move(text)}; }

Value timestamp_value(int64_t seconds, int64_t micros, unsigned decimals) {
    if (seconds == 0 && micros == 0)  // not an instant: MariaDB's zero
        return made(Kind::timestamp, "0000-00-00 00:00:00" + fraction(0, decimals));
    Civil c = civil({.seconds = seconds});
    return made(Kind::timestamp, date_text(c.year, c.month, c.day) + " " +
                                     clock_text(c.hour, c.minute, c.second) +
                                     fraction(micros, decimals));
}

Value time_value(bool negative, int64_t hour, int64_t minute, int64_t second, int64_t micros,
                 unsigned decimals) {
    return made(Kind::time, (negative ? "-" : "") + clock_text(hour, minute, second) +
                                fraction(micros, decimals));
}

// Three bytes of hours, minutes, seconds and then the fraction, as one number with an offset: a
// negative time is the negative of the whole.
Value decode_time2(ByteView bytes, unsigned decimals) {
    size_t tail = fraction_bytes(decimals);
    auto offset = int64_t{0x800000} << (8 * tail);
    int64_t packed = static_cast<int64_t>(big_endian(bytes)) - offset;
    bool negative = packed < 0;
    packed = std::abs(packed);
    int64_t clock = packed >> (8 * tail);
    int64_t part = packed & ((int64_t{1} << (8 * tail)) - 1);
    return time_value(negative, clock >> 12 & 0x3ff, clock >> 6 & 0x3f, clock & 0x3f,
                      part * kPowers[6 - 2 * tail], decimals);
}

Value decode_datetime2(ByteView bytes, unsigned decimals) {
    int64_t packed = static_cast<int64_t>(big_endian(bytes.first(5))) - 0x8000000000;
    int64_t date = packed >> 17, clock = packed & 0x1ffff;
    int64_t months = date >> 5;
    return made(Kind::datetime, date_text(months / 13, months % 13, date & 0x1f) + " " +
                                    clock_text(clock >> 12, clock >> 6 & 0x3f, clock & 0x3f) +
                                    fraction(microseconds(bytes.subspan(5), decimals), decimals));
}

// YYYYMMDDhhmmss as a decimal number.
Value decode_old_datetime(ByteView bytes) {
    auto v = static_cast<int64_t>(little_endian(bytes));
    int64_t date = v / 1'000'000, clock = v % 1'000'000;
    return made(Kind::datetime, date_text(date / 10'000, date / 100 % 100, date % 100) + " " +
                                    clock_text(clock / 10'000, clock / 100 % 100, clock % 100));
}

// hhmmss as a signed decimal number.
Value decode_old_time(ByteView bytes) {
    int64_t v = static_cast<int64_t>(little_endian(bytes) << 40) >> 40;
    int64_t clock = std::abs(v);
    return time_value(v < 0, clock / 10'000, clock / 100 % 100, clock % 100, 0, 0);
}

// Seconds and fraction in units of the last decimal, above the lowest possible time.
Value decode_time_with_fraction(ByteView bytes, unsigned decimals) {
    constexpr int64_t kBeyond = (838 * 3600 + 59 * 60 + 59) + 1;
    int64_t units = static_cast<int64_t>(big_endian(bytes)) - kBeyond * kPowers[decimals];
    bool negative = units < 0;
    int64_t micros = std::abs(units) * kPowers[6 - decimals];
    int64_t seconds = micros / 1'000'000;
    return time_value(negative, seconds / 3600, seconds / 60 % 60, seconds % 60, micros % 1'000'000,
                      decimals);
}

// Mixed radix: months 13, days 32, hours 24, then units of the last decimal.
Value decode_datetime_with_fraction(ByteView bytes, unsigned decimals) {
    auto units = static_cast<int64_t>(big_endian(bytes));
    int64_t micros = units % kPowers[decimals] * kPowers[6 - decimals];
    int64_t v = units / kPowers[decimals];
    int64_t second = v % 60, minute = v / 60 % 60, hour = v / 3600 % 24;
    v /= 86'400;
    return made(Kind::datetime, date_text(v / 32 / 13, v / 32 % 13, v % 32) + " " +
                                    clock_text(hour, minute, second) + fraction(micros, decimals));
}

}  // namespace

size_t temporal_size(const Column& column) {
    unsigned decimals = decimals_of(column);
    switch (column.type) {
        case ColumnType::date:
        case ColumnType::new_date:
            return 3;
        case ColumnType::timestamp:
            return kOldTimestampBytes[decimals];
        case ColumnType::time:
            return kOldTimeBytes[decimals];
        case ColumnType::datetime:
            return kOldDatetimeBytes[decimals];
        case ColumnType::timestamp2:
            return 4 + fraction_bytes(decimals);
        case ColumnType::time2:
            return 3 + fraction_bytes(decimals);
        case ColumnType::datetime2:
            return 5 + fraction_bytes(decimals);
        default:
            throw Error(ErrorKind::unsupported,
                        fmt::format("column type {} in the log", static_cast<int>(column.type)));
    }
}

Value decode_temporal(const Column& column, ByteView bytes) {
    unsigned decimals = decimals_of(column);
    switch (column.type) {
        case ColumnType::date:
        case ColumnType::new_date: {
            auto v = static_cast<int64_t>(little_endian(bytes));
            return made(Kind::date, date_text(v >> 9, v >> 5 & 0xf, v & 0x1f));
        }
        case ColumnType::timestamp:
            if (decimals == 0)
                return timestamp_value(static_cast<int64_t>(little_endian(bytes)), 0, 0);
            return timestamp_value(
                static_cast<int64_t>(big_endian(bytes.first(4))),
                static_cast<int64_t>(big_endian(bytes.subspan(4))) * kPowers[6 - decimals],
                decimals);
        case ColumnType::timestamp2:
            return timestamp_value(static_cast<int64_t>(big_endian(bytes.first(4))),
                                   microseconds(bytes.subspan(4), decimals), decimals);
        case ColumnType::time:
            return decimals == 0 ? decode_old_time(bytes)
                                 : decode_time_with_fraction(bytes, decimals);
        case ColumnType::time2:
            return decode_time2(bytes, decimals);
        case ColumnType::datetime:
            return decimals == 0 ? decode_old_datetime(bytes)
                                 : decode_datetime_with_fraction(bytes, decimals);
        default:
            return decode_datetime2(bytes, decimals);
    }
}

}  // namespace sevenfold::database::mariadb
