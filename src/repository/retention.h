// Which snapshots a policy keeps (format A.9/A.10), as restic's `forget` decides it. Pure
// functions: nothing here touches a repository, and the same input gives the same answer.
//
// A policy is the union of its rules: a snapshot is kept when any rule asks for it. All rules look
// at the snapshots of one group, newest first; the counting rules keep the newest snapshot of each
// hour, day, ISO week, month or year, in the zone the snapshot was written in.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"
#include "repository/snapshot.h"

namespace sevenfold::repository {

// "1y5m7d2h": subtracted on the calendar, not as a number of seconds.
struct CalendarDuration {
    int32_t years = 0, months = 0, days = 0, hours = 0;
    bool zero() const { return years == 0 && months == 0 && days == 0 && hours == 0; }
    bool operator==(const CalendarDuration&) const = default;
};
// Numbers with the units y m d h, each at most once, in any order, none negative. Throws
// Error{usage}.
CalendarDuration parse_calendar_duration(std::string_view text);
std::string to_string(const CalendarDuration& duration);  // "1y5m7d2h"; zero is ""
// The moment that much earlier. Years, months and days are subtracted from the local date and
// normalised as Go's AddDate does (31 March less a month is 31 February, that is 2 or 3 March); the
// time of day stays, also across a change of daylight saving when `time` carries the machine's own
// zone. Hours are then subtracted as elapsed time.
Time earlier_by(const Time& time, const CalendarDuration& duration);

inline constexpr int kKeepAll = -1;  // a counter without limit

struct RetentionPolicy {
    int last = 0, hourly = 0, daily = 0, weekly = 0, monthly = 0, yearly = 0;  // 0: rule is off
    // Relative to the newest snapshot that is not in the future.
    CalendarDuration within{};  // everything younger
    CalendarDuration within_hourly{}, within_daily{}, within_weekly{}, within_monthly{},
        within_yearly{};
    std::vector<std::vector<std::string>> keep_tags{};  // any list of which a snapshot has all tags
    // A counting rule that has not used up its count also keeps the oldest snapshot of all, so that
    // history does not shrink while it is still short of the goal (restic since 0.16; its 0.14 does
    // not).
    bool keep_oldest = true;

    bool empty() const;
    std::string describe() const;  // "keep 3 latest, 7 daily snapshots"
};

// What the counters had left after a snapshot was kept, for reports; kKeepAll stays kKeepAll.
struct RetentionCounters {
    int last = 0, hourly = 0, daily = 0, weekly = 0, monthly = 0, yearly = 0;
};
struct KeptSnapshot {
    size_t index;  // into the snapshots given
    std::vector<std::string> reasons;
    RetentionCounters left;
};
struct RetentionResult {
    std::vector<KeptSnapshot> keep;  // newest first
    std::vector<size_t> remove;      // newest first; indexes into the snapshots given
};
// Snapshots of one group in any order; of equal times the one given first counts as newer.
// Throws Error{refused} for an empty policy.
RetentionResult apply_retention(std::span<const Snapshot> snapshots, const RetentionPolicy& policy,
                                const Time& now);

struct GroupBy {
    bool host = true, paths = true, tags = false;
};
// "host,paths", "tags", "": none. Throws Error{usage}.
GroupBy parse_group_by(std::string_view text);

struct SnapshotGroup {
    std::string host;                      // empty unless grouped by it
    std::vector<std::string> paths, tags;  // sorted; empty unless grouped by them
    std::vector<size_t> members;           // indexes into the snapshots given, in their order
    std::string describe(const GroupBy& by) const;  // "host web1, paths [/srv]"; none: ""
};
// Groups in the order of host, paths, tags.
std::vector<SnapshotGroup> group_snapshots(std::span<const Snapshot> snapshots, const GroupBy& by);

// One group and what the policy says of it; all indexes point into the snapshots given.
struct ForgetGroup {
    SnapshotGroup group;
    RetentionResult result;
};
// Groups, applies the policy to each. Throws Error{refused} when the policy would leave a group
// without any snapshot, unless allow_remove_all.
std::vector<ForgetGroup> plan_forget(std::span<const Snapshot> snapshots,
                                     const RetentionPolicy& policy, const GroupBy& by,
                                     const Time& now, bool allow_remove_all);

}  // namespace sevenfold::repository
