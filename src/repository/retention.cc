#include "repository/retention.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <optional>
#include <tuple>

#include "core/check.h"
#include "core/error.h"

namespace sevenfold::repository {
namespace {

// What a counting rule compares: two snapshots of the same bucket count once.
using Bucket = int64_t;
using Bucketer = Bucket (*)(const Time&, size_t position);

Bucket each_alone(const Time&, size_t position) { return static_cast<Bucket>(position); }
Bucket by_hour(const Time& t, size_t) {
    Civil c = civil(t);
    return ((c.year * 100 + c.month) * 100 + c.day) * 100 + c.hour;
}
Bucket by_day(const Time& t, size_t) {
    Civil c = civil(t);
    return (c.year * 100 + c.month) * 100 + c.day;
}
Bucket by_week(const Time& t, size_t) {
    IsoWeek w = iso_week(t);
    return w.year * 100 + w.week;
}
Bucket by_month(const Time& t, size_t) {
    Civil c = civil(t);
    return c.year * 100 + c.month;
}
Bucket by_year(const Time& t, size_t) { return civil(t).year; }

struct CountedRule {
    int count;  // left; kKeepAll without limit
    Bucketer bucket;
    std::string_view reason;
    std::optional<Bucket> previous{};
};
struct WithinRule {
    const CalendarDuration& within;
    Bucketer bucket;
    std::string_view reason;
    std::optional<Time> after{};
    std::optional<Bucket> previous{};
};

std::string in_brackets(const std::vector<std::string>& names) {
    return fmt::format("[{}]", fmt::join(names, ", "));
}

bool has_all_tags(const Snapshot& snapshot, const std::vector<std::string>& wanted) {
    return std::all_of(wanted.begin(), wanted.end(), [&](const std::string& tag) {
        // An empty tag stands for "no tags at all".
        return (tag.empty() && snapshot.tags.empty()) ||
               std::find(snapshot.tags.begin(), snapshot.tags.end(), tag) != snapshot.tags.end();
    });
}

// The policy at work on one list of snapshots, newest first.
class Pass {
  public:
    Pass(const RetentionPolicy& policy, std::optional<Time> newest)
        : policy_(policy),
          counted_{{{policy.last, each_alone, "last snapshot"},
                    {policy.hourly, by_hour, "hourly snapshot"},
                    {policy.daily, by_day, "daily snapshot"},
                    {policy.weekly, by_week, "weekly snapshot"},
                    {policy.monthly, by_month, "monthly snapshot"},
                    {policy.yearly, by_year, "yearly snapshot"}}},
          within_{{{policy.within_hourly, by_hour, "hourly within"},
                   {policy.within_daily, by_day, "daily within"},
                   {policy.within_weekly, by_week, "weekly within"},
                   {policy.within_monthly, by_month, "monthly within"},
                   {policy.within_yearly, by_year, "yearly within"}}} {
        if (!newest) return;  // everything lies in the future: younger than any limit
        within_all_after_ = earlier_by(*newest, policy.within);
        for (WithinRule& rule : within_) rule.after = earlier_by(*newest, rule.within);
    }

    std::vector<std::string> reasons_to_keep(const Snapshot& snapshot, size_t position,
                                             bool oldest) {
        std::vector<std::string> reasons;
        for (const auto& tags : policy_.keep_tags)
            if (has_all_tags(snapshot, tags)) reasons.push_back("has tags " + in_brackets(tags));
        if (!policy_.within.zero() && (!within_all_after_ || snapshot.time > *within_all_after_))
            reasons.push_back("within " + to_string(policy_.within));
        oldest = oldest && policy_.keep_oldest;
        for (CountedRule& rule : counted_) {
            if (rule.count == 0) continue;
            Bucket bucket = rule.bucket(snapshot.time, position);
            bool fresh = bucket != rule.previous;
            if (!fresh && !oldest) continue;
            reasons.push_back((fresh ? "" : "oldest ") + std::string(rule.reason));
            rule.previous = bucket;
            if (rule.count > 0) --rule.count;
        }
        for (WithinRule& rule : within_) {
            if (rule.within.zero() || (rule.after && snapshot.time <= *rule.after)) continue;
            Bucket bucket = rule.bucket(snapshot.time, position);
            bool fresh = bucket != rule.previous;
            if (!fresh && !oldest) continue;
            reasons.push_back(fmt::format("{}{} {}", fresh ? "" : "oldest ", rule.reason,
                                          to_string(rule.within)));
            rule.previous = bucket;
        }
        return reasons;
    }

    RetentionCounters left() const {
        return {counted_[0].count, counted_[1].count, counted_[2].count,
                counted_[3].count, counted_[4].count, counted_[5].count};
    }

  private:
    const RetentionPolicy& policy_;
    std::array<CountedRule, 6> counted_;
    std::array<WithinRule, 5> within_;
    std::optional<Time> within_all_after_;
};

std::vector<std::string> sorted(std::vector<std::string> names) {
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace

bool RetentionPolicy::empty() const {
    return last == 0 && hourly == 0 && daily == 0 && weekly == 0 && monthly == 0 && yearly == 0 &&
           within.zero() && within_hourly.zero() && within_daily.zero() && within_weekly.zero() &&
           within_monthly.zero() && within_yearly.zero() && keep_tags.empty();
}

std::string RetentionPolicy::describe() const {
    std::vector<std::string> parts, counts;
    auto count = [&](int n, std::string_view what) {
        if (n != 0)
            counts.push_back(n < 0 ? fmt::format("all {}", what) : fmt::format("{} {}", n, what));
    };
    count(last, "latest");
    count(hourly, "hourly");
    count(daily, "daily");
    count(weekly, "weekly");
    count(monthly, "monthly");
    count(yearly, "yearly");
    if (!counts.empty()) parts.push_back(fmt::format("{} snapshots", fmt::join(counts, ", ")));
    auto within_rule = [&](const CalendarDuration& d, std::string_view what) {
        if (!d.zero()) parts.push_back(fmt::format("{} snapshots within {}", what, to_string(d)));
    };
    within_rule(within_hourly, "hourly");
    within_rule(within_daily, "daily");
    within_rule(within_weekly, "weekly");
    within_rule(within_monthly, "monthly");
    within_rule(within_yearly, "yearly");
    for (const auto& tags : keep_tags)
        parts.push_back("all snapshots with tags " + in_brackets(tags));
    if (!within.zero())
        parts.push_back(fmt::format("all snapshots within {} of the newest", to_string(within)));
    if (parts.empty()) return "keep nothing";
    return fmt::format("keep {}", fmt::join(parts, ", "));
}

RetentionResult apply_retention(std::span<const Snapshot> snapshots, const RetentionPolicy& policy,
                                const Time& now) {
    if (policy.empty())
        throw Error(ErrorKind::refused, "no retention policy was given",
                    "Say what to keep, for example --keep-daily 7.");
    std::vector<size_t> order(snapshots.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return snapshots[a].time > snapshots[b].time; });
    std::optional<Time> newest;
    for (size_t i : order)
        if (snapshots[i].time < now) {
            newest = snapshots[i].time;
            break;
        }

    RetentionResult result;
    Pass pass(policy, newest);
    for (size_t position = 0; position < order.size(); ++position) {
        size_t i = order[position];
        auto reasons = pass.reasons_to_keep(snapshots[i], position, position + 1 == order.size());
        if (reasons.empty())
            result.remove.push_back(i);
        else
            result.keep.push_back({i, std::move(reasons), pass.left()});
    }
    CHECK(result.keep.size() + result.remove.size() == snapshots.size());
    return result;
}

GroupBy parse_group_by(std::string_view text) {
    GroupBy by{.host = false, .paths = false, .tags = false};
    while (!text.empty()) {
        size_t comma = std::min(text.find(','), text.size());
        std::string_view word = text.substr(0, comma);
        text.remove_prefix(std::min(comma + 1, text.size()));
        if (word == "host" || word == "hosts")
            by.host = true;
        else if (word == "paths" || word == "path")
            by.paths = true;
        else if (word == "tags" || word == "tag")
            by.tags = true;
        else if (!word.empty())
            throw Error(ErrorKind::usage, fmt::format("cannot group snapshots by \"{}\"", word),
                        "Use host, paths and tags, separated by commas.");
    }
    return by;
}

std::string SnapshotGroup::describe(const GroupBy& by) const {
    std::vector<std::string> parts;
    if (by.host) parts.push_back("host " + in_brackets({host}));
    if (by.paths) parts.push_back("paths " + in_brackets(paths));
    if (by.tags) parts.push_back("tags " + in_brackets(tags));
    return fmt::format("{}", fmt::join(parts, ", "));
}

std::vector<SnapshotGroup> group_snapshots(std::span<const Snapshot> snapshots, const GroupBy& by) {
    using Key = std::tuple<std::string, std::vector<std::string>, std::vector<std::string>>;
    std::map<Key, std::vector<size_t>> groups;
    for (size_t i = 0; i < snapshots.size(); ++i) {
        const Snapshot& s = snapshots[i];
        Key key;
        if (by.host) std::get<0>(key) = s.hostname;
        if (by.paths) std::get<1>(key) = sorted(s.paths);
        if (by.tags) std::get<2>(key) = sorted(s.tags);
        groups[std::move(key)].push_back(i);
    }
    std::vector<SnapshotGroup> out;
    for (auto& [key, members] : groups)
        out.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), std::move(members)});
    return out;
}

std::vector<ForgetGroup> plan_forget(std::span<const Snapshot> snapshots,
                                     const RetentionPolicy& policy, const GroupBy& by,
                                     const Time& now, bool allow_remove_all) {
    std::vector<ForgetGroup> plan;
    for (SnapshotGroup& group : group_snapshots(snapshots, by)) {
        std::vector<Snapshot> members;
        members.reserve(group.members.size());
        for (size_t i : group.members) members.push_back(snapshots[i]);
        RetentionResult result = apply_retention(members, policy, now);
        if (result.keep.empty() && !allow_remove_all)
            throw Error(ErrorKind::refused,
                        fmt::format("the policy would remove every snapshot of group \"{}\"",
                                    group.describe(by)),
                        "Check the tags given to --keep-tag; --unsafe-allow-remove-all removes "
                        "them nevertheless.");
        for (KeptSnapshot& kept : result.keep) kept.index = group.members[kept.index];
        for (size_t& index : result.remove) index = group.members[index];
        plan.push_back({std::move(group), std::move(result)});
    }
    return plan;
}

}  // namespace sevenfold::repository
