#include "mirror/mirror.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/units.h"

namespace sevenfold::mirror {

void Plan::count(Change change) {
    using Kind = Change::Kind;
    if (change.folder) {
        if (change.kind == Kind::remove) ++removed_folders;
        return;
    }
    switch (change.kind) {
        case Kind::add:
            ++added;
            bytes_to_copy += change.bytes;
            return;
        case Kind::change:
            ++changed;
            bytes_to_copy += change.bytes;
            break;
        case Kind::attributes:
            ++attributes;
            return;
        case Kind::remove:
            ++removed;
            break;
    }
    if (examples.size() < kMostExamples) examples.push_back(std::move(change));
}

uint64_t Limits::allowed(const Plan& plan) const {
    // Split so that nothing overflows.
    uint64_t files = plan.target_files();
    uint64_t part = files / 100 * max_change_percent + files % 100 * max_change_percent / 100;
    return std::max(allow_changes, part);
}

std::vector<std::string> judge(const Plan& plan, const Limits& limits,
                               const std::optional<Former>& former, bool marker_wanted) {
    std::vector<std::string> reasons;
    if (marker_wanted && !plan.marker_found)
        reasons.emplace_back("the marker is not in the source: is it mounted?");
    if (plan.source_files < limits.min_files)
        reasons.push_back(fmt::format("the source has {} files, fewer than min_files ({})",
                                      format_count(plan.source_files),
                                      format_count(limits.min_files)));
    if (!former && plan.removed != 0)
        reasons.push_back(fmt::format(
            "this mirror has never run, and its target holds {} files that are not in the source",
            format_count(plan.removed)));
    if (former && former->files != 0 && plan.target_files() == 0)
        reasons.push_back(
            fmt::format("the target is empty, but had {} files after the last run: is it mounted?",
                        format_count(former->files)));
    uint64_t changes = plan.changed + plan.removed;
    if (limits.max_change_percent < 100 && changes > limits.allowed(plan))
        reasons.push_back(fmt::format(
            "it would remove {} and overwrite {} of {} files, more than {} (max_change {}%)",
            format_count(plan.removed), format_count(plan.changed),
            format_count(plan.target_files()), format_count(limits.allowed(plan)),
            limits.max_change_percent));
    return reasons;
}

std::string stamp_of(const Time& time) {
    Civil c = civil(Time{time.seconds, 0, 0});
    return fmt::format("{:04}-{:02}-{:02}T{:02}{:02}{:02}Z", c.year, c.month, c.day, c.hour,
                       c.minute, c.second);
}

std::optional<Time> parse_stamp(std::string_view text) {
    constexpr std::string_view kForm = "0000-00-00T000000Z";
    if (text.size() != kForm.size()) return std::nullopt;
    for (size_t i = 0; i < text.size(); ++i)
        if (kForm[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != kForm[i])
            return std::nullopt;
    std::string full =
        fmt::format("{}:{}:{}", text.substr(0, 13), text.substr(13, 2), text.substr(15));
    try {
        Time time = parse_rfc3339(full);
        if (stamp_of(time) == text) return time;
    } catch (const Error&) {  // month 13
    }
    return std::nullopt;  // 30 February
}

}  // namespace sevenfold::mirror
