#include <gtest/gtest.h>

#include "core/bytes.h"
#include "core/error.h"
#include "core/id.h"
#include "core/log.h"
#include "core/parallel.h"
#include "core/queue.h"
#include "core/time.h"
#include "core/units.h"

namespace sevenfold {
namespace {

using namespace std::chrono_literals;

TEST(Bytes, Base64RoundTripAndRefusal) {
    for (std::string text : {"", "f", "fo", "foo", "foob", "fooba", "foobar"})
        EXPECT_EQ(as_text(from_base64(to_base64(as_bytes(text)))), text);
    EXPECT_EQ(to_base64(as_bytes("fooba")), "Zm9vYmE=");
    for (std::string bad : {"Zg=", "Z===", "Zh==", "Zm9=", "Zm 9v", "Zg==Zg==", "===="})
        EXPECT_THROW(from_base64(bad), Error) << bad;
}

TEST(Id, ParsesOnlyLowerHexOf64Digits) {
    std::string hex(64, 'a');
    ASSERT_TRUE(Id::parse(hex));
    EXPECT_EQ(Id::parse(hex)->hex(), hex);
    EXPECT_FALSE(Id::parse(std::string(64, 'A')));
    EXPECT_FALSE(Id::parse(std::string(63, 'a')));
    EXPECT_FALSE(Id::parse(std::string(63, 'a') + "g"));
}

TEST(Time, Rfc3339RoundTrip) {
    for (std::string text : {"2026-11-22T17:45:46.123456789+01:00", "1970-01-01T00:00:00Z",
                             "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.9-11:30",
                             "1969-12-31T23:59:59.000000001Z", "2024-02-29T12:00:00.5Z"})
        EXPECT_EQ(to_rfc3339(parse_rfc3339(text)), text);
    for (std::string bad :
         {"", "2026-11-22", "2026-13-22T00:00:00Z", "2026-11-22T00:00:00", "2026-11-22T00:00:00.Z",
          "2026-11-22T00:00:00Zx", "2026-11-22T00:00:00+1:00"})
        EXPECT_THROW(parse_rfc3339(bad), Error) << bad;
}

TEST(Time, OffsetsAreThoseThatCanBeWritten) {
    // Go reads up to 24 hours and 60 minutes.
    for (std::string text : {"+24:59", "-24:59", "+24:00", "+23:60", "-00:60"}) {
        Time time = parse_rfc3339("2026-11-22T00:00:00" + text);
        EXPECT_TRUE(parse_rfc3339(to_rfc3339(time)).same_instant(time)) << text;
    }
    for (std::string text : {"+24:60", "-24:60", "+25:00", "+01:61"})
        EXPECT_THROW(parse_rfc3339("2026-11-22T00:00:00" + text), Error) << text;
}

TEST(Time, IsoWeeksAroundNewYear) {
    EXPECT_EQ(iso_week(parse_rfc3339("2021-01-03T12:00:00Z")).week, 53);
    EXPECT_EQ(iso_week(parse_rfc3339("2021-01-03T12:00:00Z")).year, 2020);
    EXPECT_EQ(iso_week(parse_rfc3339("2021-01-04T00:00:00Z")).week, 1);
    EXPECT_EQ(iso_week(parse_rfc3339("2018-12-31T00:00:00Z")).year, 2019);
}

TEST(Time, PlusCarriesNanoseconds) {
    Time t{10, 900'000'000, 0};
    EXPECT_EQ(t.plus(200ms), (Time{11, 100'000'000, 0}));
    EXPECT_EQ(t.plus(-1s), (Time{9, 900'000'000, 0}));
    EXPECT_EQ(t.plus(-950ms), (Time{9, 950'000'000, 0}));
}

TEST(Time, SinceSaturates) {
    Time first = parse_rfc3339("0001-01-01T00:00:00Z"),
         last = parse_rfc3339("9999-12-31T23:59:59Z");
    EXPECT_EQ(last.since(first), std::chrono::nanoseconds::max());
    EXPECT_EQ(first.since(last), std::chrono::nanoseconds::min());
    EXPECT_EQ((Time{INT64_MAX, 0, 0}.since({INT64_MIN, 0, 0})), std::chrono::nanoseconds::max());
    EXPECT_EQ((Time{INT64_MIN, 0, 0}.since({INT64_MAX, 0, 0})), std::chrono::nanoseconds::min());
    EXPECT_EQ((Time{9'223'372'035, 999'999'999, 0}.since({})), 9'223'372'035'999'999'999ns);
    EXPECT_EQ((Time{1, 0, 0}.since({2, 1, 0})), -1'000'000'001ns);
}

TEST(Units, SizesAndDurations) {
    EXPECT_EQ(parse_size("16MiB"), 16u << 20);
    EXPECT_EQ(parse_size("1.5k"), 1536u);
    EXPECT_EQ(parse_size("2 GB"), 2'000'000'000u);
    EXPECT_FALSE(parse_size("-1"));
    EXPECT_FALSE(parse_size("12 apples"));
    EXPECT_FALSE(parse_size("1e30"));
    EXPECT_EQ(parse_duration("1h30m"), 90min);
    EXPECT_EQ(parse_duration("14d"), 14 * 24h);
    EXPECT_FALSE(parse_duration("15"));
    EXPECT_EQ(format_size(1536ull << 20), "1.500 GiB");
    EXPECT_EQ(format_count(1234567), "1,234,567");
}

TEST(Errors, ErrnoGetsKindAndContext) {
    Error error = errno_error("open /x", ENOSPC).with_context("place offsite");
    EXPECT_EQ(error.kind(), ErrorKind::no_space);
    EXPECT_EQ(error.message(), "place offsite: open /x: no space left on device");
    EXPECT_EQ(exit_code(ErrorKind::wrong_password), 12);
    EXPECT_TRUE(is_temporary(ErrorKind::network));
}

TEST(Log, ControlBytesAreShown) {
    EXPECT_EQ(printable("a\x1b[31mb\n\t"), "a\\x1b[31mb\\x0a\\x09");
    // C1: CSI is U+009B.
    EXPECT_EQ(printable("a\xc2\x9b"
                        "31m\xc2\x80\xc2\x9f"),
              "a\\xc2\\x9b31m\\xc2\\x80\\xc2\\x9f");
    EXPECT_EQ(printable("\xc2\xa0 \xc3\x9b \xe2\x9b\x84 \xf0\x9f\x9b\x91"),
              "\xc2\xa0 \xc3\x9b \xe2\x9b\x84 \xf0\x9f\x9b\x91");
    // What is no UTF-8 may be a control character to a terminal that expects none.
    EXPECT_EQ(printable("\x9b"
                        "0m \xc2"),
              "\\x9b0m \xc2");
}

TEST(Parallel, FirstFailureIsRethrownAndStopsTheRest) {
    // Never ends unless the failure stops the others.
    EXPECT_THROW(parallel_for(SIZE_MAX / 2, 4,
                              [&](size_t i) {
                                  if (i == 3) throw Error(ErrorKind::io, "x");
                              }),
                 Error);
}

TEST(BoundedQueue, CloseLetsTheRestOutAndRefusesMore) {
    BoundedQueue<int> queue(2);
    EXPECT_TRUE(queue.push(1));
    EXPECT_TRUE(queue.push(2));
    int third = 3;
    EXPECT_FALSE(queue.push_for(third, 1ms));
    queue.close();
    EXPECT_FALSE(queue.push(4));
    EXPECT_EQ(queue.pop(), 1);
    EXPECT_EQ(queue.pop(), 2);
    EXPECT_EQ(queue.pop(), std::nullopt);
}

}  // namespace
}  // namespace sevenfold
