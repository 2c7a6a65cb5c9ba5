#include "repository/retention.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdlib>
#include <set>

#include "core/error.h"

namespace sevenfold::repository {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Snapshot at(std::string_view time, std::vector<std::string> tags = {}) {
    Snapshot s;
    s.time = parse_rfc3339(time);
    s.hostname = "web1";
    s.paths = {"/srv"};
    s.tags = std::move(tags);
    return s;
}

const Time kNow = parse_rfc3339("2026-01-01T00:00:00Z");

std::vector<std::string> kept_times(const std::vector<Snapshot>& snapshots,
                                    const RetentionPolicy& policy) {
    std::vector<std::string> out;
    for (const KeptSnapshot& k : apply_retention(snapshots, policy, kNow).keep)
        out.push_back(to_rfc3339(snapshots[k.index].time));
    return out;
}

// Sets TZ for one test.
class Zone {
  public:
    explicit Zone(const char* name) {
        if (const char* old = getenv("TZ")) old_ = old;
        setenv("TZ", name, 1);
        tzset();
    }
    ~Zone() {
        if (old_)
            setenv("TZ", old_->c_str(), 1);
        else
            unsetenv("TZ");
        tzset();
    }

  private:
    std::optional<std::string> old_;
};

TEST(CalendarDuration, ReadsAndWrites) {
    EXPECT_EQ(parse_calendar_duration("1y5m7d2h"), (CalendarDuration{1, 5, 7, 2}));
    EXPECT_EQ(parse_calendar_duration(" 2h7d "), (CalendarDuration{0, 0, 7, 2}));
    EXPECT_EQ(parse_calendar_duration("14d"), (CalendarDuration{.days = 14}));
    EXPECT_TRUE(parse_calendar_duration("0d").zero());
    EXPECT_EQ(to_string(CalendarDuration{1, 5, 7, 2}), "1y5m7d2h");
    EXPECT_EQ(to_string(CalendarDuration{.days = 14}), "14d");
}

TEST(CalendarDuration, RefusesNonsense) {
    for (const char* text :
         {"", "  ", "d", "5", "5x", "5d3", "-5d", "5d-1h", "1d1d", "99999999d", "5 d", "1w",
          "\xff"
          "1d",
          "1d\x01"})
        EXPECT_THROW(parse_calendar_duration(text), Error) << text;
}

RC_GTEST_PROP(CalendarDuration, RoundTrips, ()) {
    auto field = rc::gen::inRange(0, 10'000'000);
    CalendarDuration d{*field, *field, *field, *field};
    RC_PRE(!d.zero());
    RC_ASSERT(parse_calendar_duration(to_string(d)) == d);
}

TEST(EarlierBy, NormalisesAsGoDoes) {
    auto less = [](std::string_view time, std::string_view duration) {
        return to_rfc3339(earlier_by(parse_rfc3339(time), parse_calendar_duration(duration)));
    };
    Zone utc("UTC");
    EXPECT_EQ(less("2023-03-31T10:00:00Z", "1m"), "2023-03-03T10:00:00Z");
    EXPECT_EQ(less("2024-03-31T10:00:00Z", "1m"), "2024-03-02T10:00:00Z");
    EXPECT_EQ(less("2024-02-29T10:00:00Z", "1y"), "2023-03-01T10:00:00Z");
    EXPECT_EQ(less("2024-01-01T01:00:00Z", "2h"), "2023-12-31T23:00:00Z");
    EXPECT_EQ(less("2024-05-15T01:00:00Z", "1y5m7d2h"), "2022-12-07T23:00:00Z");
    EXPECT_EQ(less("2024-05-15T01:00:00.5+02:00", "400d"), "2023-04-11T01:00:00.5+02:00");
    EXPECT_EQ(less("2024-05-15T01:00:00Z", "30m"), "2021-11-15T01:00:00Z");
}

TEST(EarlierBy, KeepsTheTimeOfDayAcrossSummerTime) {
    Zone berlin("Europe/Berlin");
    // In the machine's own zone the local hour stays; in a foreign one the offset is fixed.
    Time summer = parse_rfc3339("2024-04-02T12:00:00+02:00");
    EXPECT_EQ(to_rfc3339(earlier_by(summer, {.days = 7})), "2024-03-26T12:00:00+01:00");
    Time foreign = parse_rfc3339("2024-04-02T12:00:00+05:00");
    EXPECT_EQ(to_rfc3339(earlier_by(foreign, {.days = 7})), "2024-03-26T12:00:00+05:00");
}

TEST(Retention, RefusesAnEmptyPolicy) {
    std::vector<Snapshot> none;
    EXPECT_THROW(apply_retention(none, {}, kNow), Error);
    EXPECT_TRUE(RetentionPolicy{}.empty());
    EXPECT_FALSE(RetentionPolicy{.within = {.hours = 1}}.empty());
}

TEST(Retention, KeepsTheNewestOfEachBucketAndTheOldest) {
    std::vector<Snapshot> s = {at("2025-01-01T08:00:00Z"), at("2025-01-01T09:00:00Z"),
                               at("2025-01-02T08:00:00Z"), at("2025-01-02T09:30:00Z")};
    EXPECT_THAT(kept_times(s, {.daily = 2}),
                ElementsAre("2025-01-02T09:30:00Z", "2025-01-01T09:00:00Z"));
    EXPECT_THAT(
        kept_times(s, {.daily = 3}),
        ElementsAre("2025-01-02T09:30:00Z", "2025-01-01T09:00:00Z", "2025-01-01T08:00:00Z"));
    EXPECT_THAT(kept_times(s, {.daily = 3, .keep_oldest = false}),
                ElementsAre("2025-01-02T09:30:00Z", "2025-01-01T09:00:00Z"));
    auto result = apply_retention(s, {.daily = 3}, kNow);
    EXPECT_THAT(result.keep[2].reasons, ElementsAre("oldest daily snapshot"));
    EXPECT_EQ(result.keep[2].left.daily, 0);
    EXPECT_EQ(result.keep[0].left.daily, 2);
    EXPECT_THAT(result.remove, ElementsAre(2u));
}

TEST(Retention, AFutureSnapshotDoesNotMoveTheWindow) {
    std::vector<Snapshot> s = {at("2025-01-01T08:00:00Z"), at("2025-01-02T08:00:00Z"),
                               at("2030-01-01T08:00:00Z")};
    EXPECT_THAT(kept_times(s, {.within = {.days = 1}}),
                ElementsAre("2030-01-01T08:00:00Z", "2025-01-02T08:00:00Z"));
    std::vector<Snapshot> future = {at("2030-01-01T08:00:00Z"), at("2031-01-01T08:00:00Z")};
    EXPECT_EQ(kept_times(future, {.within = {.days = 1}}).size(), 2u);
}

TEST(Retention, TagsKeepWithoutCounting) {
    std::vector<Snapshot> s = {at("2025-01-01T08:00:00Z", {"a", "b"}),
                               at("2025-01-02T08:00:00Z", {"a"}), at("2025-01-03T08:00:00Z")};
    EXPECT_THAT(kept_times(s, {.keep_tags = {{"a", "b"}}}), ElementsAre("2025-01-01T08:00:00Z"));
    EXPECT_THAT(kept_times(s, {.keep_tags = {{"b"}, {""}}}),
                ElementsAre("2025-01-03T08:00:00Z", "2025-01-01T08:00:00Z"));
    EXPECT_THAT(kept_times(s, {.keep_tags = {{"zzz"}}}), IsEmpty());
}

TEST(Retention, BucketsAreInTheSnapshotsOwnZone) {
    // 23:30 and 00:30 of the same night in UTC, but one day in +02:00.
    std::vector<Snapshot> s = {at("2025-01-02T01:30:00+02:00"), at("2025-01-02T02:30:00+02:00"),
                               at("2025-01-02T23:00:00+02:00")};
    EXPECT_EQ(kept_times(s, {.daily = 9, .keep_oldest = false}).size(), 1u);
    std::vector<Snapshot> week = {at("2024-12-30T12:00:00Z"), at("2025-01-05T12:00:00Z")};
    EXPECT_EQ(kept_times(week, {.weekly = 9, .keep_oldest = false}).size(), 1u);  // 2025-W01
}

TEST(PlanForget, GroupsAndNeverEmptiesAGroupUnasked) {
    std::vector<Snapshot> s = {at("2025-01-01T08:00:00Z", {"keep"}), at("2025-01-02T08:00:00Z")};
    s.push_back(s[0]);
    s[2].hostname = "web2";
    s[2].tags = {};
    RetentionPolicy policy{.keep_tags = {{"keep"}}};
    try {
        plan_forget(s, policy, {}, kNow, false);
        FAIL() << "the group of web2 would lose everything";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::refused);
        EXPECT_THAT(error.message(), HasSubstr("web2"));
    }
    auto plan = plan_forget(s, policy, {}, kNow, true);
    ASSERT_EQ(plan.size(), 2u);
    EXPECT_EQ(plan[0].result.keep.at(0).index, 0u);
    EXPECT_THAT(plan[0].result.remove, ElementsAre(1u));
    EXPECT_THAT(plan[1].result.remove, ElementsAre(2u));
    EXPECT_EQ(plan_forget(s, policy, parse_group_by(""), kNow, false).size(), 1u);
    EXPECT_THROW(parse_group_by("host,color"), Error);
}

// The rules again, said another way: for every snapshot count the distinct buckets among those that
// are newer, quadratically and with strings.
std::string bucket_text(const Time& time, char rule, size_t position) {
    switch (rule) {
        case 'l':
            return std::to_string(position);
        case 'h':
            return to_display(time).substr(0, 13);
        case 'd':
            return to_display(time).substr(0, 10);
        case 'w':
            return fmt::format("{}w{}", iso_week(time).year, iso_week(time).week);
        case 'm':
            return to_display(time).substr(0, 7);
        default:
            return to_display(time).substr(0, 4);
    }
}

bool naive_keeps(const std::vector<Snapshot>& newest_first, size_t at_position, char rule,
                 int count) {
    if (count == 0) return false;
    std::set<std::string> newer;
    for (size_t i = 0; i < at_position; ++i)
        newer.insert(bucket_text(newest_first[i].time, rule, i));
    bool fresh = !newer.contains(bucket_text(newest_first[at_position].time, rule, at_position));
    bool left = count < 0 || newer.size() < static_cast<size_t>(count);
    return left && (fresh || at_position + 1 == newest_first.size());
}

RC_GTEST_PROP(Retention, AgreesWithANaiveRestatement, ()) {
    // One zone: with mixed offsets "differs from the last bucket" and "is a new bucket" diverge.
    size_t n = *rc::gen::inRange<size_t>(1, 60);
    int64_t span = *rc::gen::element<int64_t>(7200, 86400 * 3, 86400 * 40, 86400 * 800);
    std::set<int64_t> times;
    for (size_t i = 0; i < n; ++i) times.insert(*rc::gen::inRange<int64_t>(0, span));
    std::vector<Snapshot> s;
    for (int64_t t : times) {
        s.insert(s.begin(), at("2022-12-28T05:00:00Z"));
        s.front().time.seconds += t;
    }
    auto count = rc::gen::inRange(kKeepAll, 9);
    RetentionPolicy p{.last = *count,
                      .hourly = *count,
                      .daily = *count,
                      .weekly = *count,
                      .monthly = *count,
                      .yearly = *count};
    RC_PRE(!p.empty());
    auto result = apply_retention(s, p, kNow);
    std::set<size_t> kept;
    for (const auto& k : result.keep) {
        RC_ASSERT(!k.reasons.empty());
        kept.insert(k.index);
    }
    for (size_t i : result.remove) RC_ASSERT(!kept.contains(i));
    RC_ASSERT(kept.size() + result.remove.size() == s.size());
    for (size_t i = 0; i < s.size(); ++i) {
        bool want = naive_keeps(s, i, 'l', p.last) || naive_keeps(s, i, 'h', p.hourly) ||
                    naive_keeps(s, i, 'd', p.daily) || naive_keeps(s, i, 'w', p.weekly) ||
                    naive_keeps(s, i, 'm', p.monthly) || naive_keeps(s, i, 'y', p.yearly);
        RC_ASSERT(kept.contains(i) == want);
    }
    RC_ASSERT(kept.contains(0));  // any counting rule keeps the newest
}

RC_GTEST_PROP(Retention, MoreRulesNeverKeepLess, ()) {
    std::vector<Snapshot> s;
    for (size_t i = 0, n = *rc::gen::inRange<size_t>(1, 40); i < n; ++i) {
        s.push_back(at("2024-01-01T00:00:00Z"));
        s.back().time.seconds += *rc::gen::inRange<int64_t>(0, 86400 * 90);
    }
    auto kept = [&](const RetentionPolicy& p) {
        std::set<size_t> out;
        for (const auto& k : apply_retention(s, p, kNow).keep) out.insert(k.index);
        return out;
    };
    RetentionPolicy a{.daily = *rc::gen::inRange(1, 9)};
    RetentionPolicy b = a;
    b.within_hourly = {.days = *rc::gen::inRange(1, 40)};
    b.weekly = *rc::gen::inRange(0, 5);
    auto fewer = kept(a), more = kept(b);
    RC_ASSERT(std::includes(more.begin(), more.end(), fewer.begin(), fewer.end()));
}

}  // namespace
}  // namespace sevenfold::repository
