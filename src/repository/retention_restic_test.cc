// The retention engine against the real restic: the same snapshots, the same policies, the same
// answer with the same reasons.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/random.h"
#include "repository/retention.h"
#include "repository/testing/restic_repo.h"

namespace sevenfold::repository {
namespace {

using nlohmann::json;
using testing::ResticRepo;

// restic's flags for a policy.
std::vector<std::string> flags(const RetentionPolicy& p) {
    std::vector<std::string> out;
    auto count = [&](const char* name, int n) {
        if (n != 0) out.insert(out.end(), {name, std::to_string(n)});
    };
    auto within = [&](const char* name, const CalendarDuration& d) {
        if (!d.zero()) out.insert(out.end(), {name, to_string(d)});
    };
    count("--keep-last", p.last);
    count("--keep-hourly", p.hourly);
    count("--keep-daily", p.daily);
    count("--keep-weekly", p.weekly);
    count("--keep-monthly", p.monthly);
    count("--keep-yearly", p.yearly);
    within("--keep-within", p.within);
    within("--keep-within-hourly", p.within_hourly);
    within("--keep-within-daily", p.within_daily);
    within("--keep-within-weekly", p.within_weekly);
    within("--keep-within-monthly", p.within_monthly);
    within("--keep-within-yearly", p.within_yearly);
    for (const auto& tags : p.keep_tags)
        out.insert(out.end(), {"--keep-tag", fmt::format("{}", fmt::join(tags, ","))});
    return out;
}

// id -> reasons of what is kept; "" for what is removed.
using Answer = std::map<std::string, std::string>;

Answer restic_answer(const ResticRepo& repo, const RetentionPolicy& policy,
                     const std::string& group_by, const std::string& zone) {
    std::vector<std::string> arguments = {"forget", "--dry-run", "--json", "--group-by", group_by};
    for (std::string& flag : flags(policy)) arguments.push_back(std::move(flag));
    auto output = repo.restic(arguments, {{"TZ", zone}});
    EXPECT_TRUE(output.status.ok()) << output.errors;
    Answer out;
    for (const json& group : json::parse(as_text(output.output))) {
        for (size_t i = 0; i < group["keep"].size(); ++i) {
            std::string reasons;
            for (const json& reason : group["reasons"][i]["matches"])
                reasons += reason.get<std::string>() + "; ";
            const json& left = group["reasons"][i]["counters"];
            for (const char* counter : {"last", "hourly", "daily", "weekly", "monthly", "yearly"})
                reasons += std::to_string(left.value(counter, 0)) + " ";
            out[group["keep"][i]["id"]] = reasons;
        }
        for (const json& snapshot : group["remove"]) out[snapshot["id"]] = "";
    }
    return out;
}

Answer our_answer(const std::vector<Snapshot>& snapshots, const RetentionPolicy& policy,
                  const std::string& group_by) {
    Answer out;
    for (const ForgetGroup& group :
         plan_forget(snapshots, policy, parse_group_by(group_by), Clock::system().now(), true)) {
        for (const KeptSnapshot& kept : group.result.keep) {
            std::string reasons;
            for (const std::string& reason : kept.reasons) reasons += reason + "; ";
            const RetentionCounters& c = kept.left;
            for (int left : {c.last, c.hourly, c.daily, c.weekly, c.monthly, c.yearly})
                reasons += std::to_string(left) + " ";
            out[snapshots[kept.index].id.hex()] = reasons;
        }
        for (size_t i : group.result.remove) out[snapshots[i].id.hex()] = "";
    }
    return out;
}

// Dense lately, sparse long ago, some in the future, several zones, hosts, paths and tags. No two
// of the same time: restic's order of those is not defined.
std::vector<Snapshot> make_snapshots(const Repository& repository, const Id& tree,
                                     SplitMix64& random) {
    std::set<int64_t> times;
    int64_t newest = parse_rfc3339("2026-03-30T09:00:00Z").seconds;
    for (int64_t span : {6 * 3600, 5 * 86400, 60 * 86400, 500 * 86400, 4000 * 86400})
        for (int i = 0; i < 14; ++i)
            times.insert(newest - static_cast<int64_t>(random.below(static_cast<uint64_t>(span))));
    times.insert(newest + 100LL * 365 * 86400);
    std::vector<Snapshot> out;
    const int32_t offsets[] = {0, 3600, 7200, -5 * 3600, 19800};
    const std::vector<std::string> tag_sets[] = {{}, {}, {"a"}, {"b", "a"}, {"c"}};
    for (int64_t seconds : times) {
        Snapshot s;
        s.time = {seconds, static_cast<int32_t>(random.below(1'000'000'000)), 0};
        s.time.offset =
            random.below(3) == 0 ? offsets[random.below(5)] : in_local_zone(s.time).offset;
        s.tree = tree;
        s.hostname = random.below(8) == 0 ? "web2" : "web1";
        s.paths = random.below(8) == 0 ? std::vector<std::string>{"/srv", "/etc"}
                                       : std::vector<std::string>{"/srv"};
        s.tags = tag_sets[random.below(5)];
        save_snapshot(repository, s);
        out.push_back(std::move(s));
    }
    return out;
}

CalendarDuration random_duration(SplitMix64& random) {
    CalendarDuration d;
    if (random.below(3) == 0) d.years = static_cast<int32_t>(random.below(3));
    if (random.below(2) == 0) d.months = static_cast<int32_t>(random.below(15));
    if (random.below(2) == 0) d.days = static_cast<int32_t>(random.below(50));
    if (random.below(2) == 0) d.hours = static_cast<int32_t>(random.below(100));
    return d;
}

RetentionPolicy random_policy(SplitMix64& random) {
    RetentionPolicy p;
    p.keep_oldest = false;  // restic 0.14 does not
    auto maybe = [&](int& count) {
        if (random.below(3) == 0) count = static_cast<int>(random.below(12));
    };
    for (int* count : {&p.last, &p.hourly, &p.daily, &p.weekly, &p.monthly, &p.yearly})
        maybe(*count);
    for (CalendarDuration* d : {&p.within, &p.within_hourly, &p.within_daily, &p.within_weekly,
                                &p.within_monthly, &p.within_yearly})
        if (random.below(4) == 0) *d = random_duration(random);
    const std::vector<std::string> lists[] = {{"a"}, {"a", "b"}, {"c"}, {"nowhere"}};
    while (random.below(4) == 0) p.keep_tags.push_back(lists[random.below(4)]);
    return p;
}

void compare(const char* zone, uint64_t seed, int policies) {
    SCOPED_TRACE(fmt::format("TZ={} seed={}", zone, seed));
    setenv("TZ", zone, 1);
    tzset();
    SplitMix64 random(seed);
    ResticRepo repo;
    auto repository = repo.open();
    auto snapshots = make_snapshots(*repository, Id{{1}}, random);
    for (int i = 0; i < policies; ++i) {
        RetentionPolicy policy = random_policy(random);
        if (policy.empty()) policy.daily = 7;
        const char* groupings[] = {"host,paths", "host,paths", "", "host", "tags", "host,tags"};
        std::string group_by = groupings[random.below(6)];
        EXPECT_EQ(our_answer(snapshots, policy, group_by),
                  restic_answer(repo, policy, group_by, zone))
            << policy.describe() << " grouped by " << group_by;
    }
    unsetenv("TZ");
    tzset();
}

TEST(RetentionAgainstRestic, Utc) { compare("UTC", 1, 20); }
TEST(RetentionAgainstRestic, AcrossSummerTime) { compare("Europe/Berlin", 2, 20); }
TEST(RetentionAgainstRestic, WestOfGreenwich) { compare("America/St_Johns", 3, 12); }

}  // namespace
}  // namespace sevenfold::repository
