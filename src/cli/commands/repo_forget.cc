// repo forget: removes snapshots, by name or by policy.
#include <charconv>
#include <set>

#include "cli/commands.h"
#include "cli/renew.h"
#include "cli/repo_options.h"
#include "cli/snapshot_options.h"
#include "cli/table.h"
#include "core/log.h"
#include "repository/retention.h"
#include "repository/tag.h"

namespace sevenfold::cli {
namespace {

using repository::ForgetGroup;
using repository::RetentionPolicy;
using repository::Snapshot;

struct Options {
    SnapshotOptions filter;
    std::vector<std::string> snapshots, keep_tags;
    std::string last, hourly, daily, weekly, monthly, yearly;
    std::string within, within_hourly, within_daily, within_weekly, within_monthly, within_yearly;
    std::string group_by = "host,paths";
    bool dry_run = false, compact = false, allow_remove_all = false;
};

int parse_count(std::string_view option, const std::string& text) {
    if (text.empty()) return 0;
    if (text == "unlimited" || text == "-1") return repository::kKeepAll;
    int n = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error != std::errc() || end != text.data() + text.size() || n < 0)
        throw Error(ErrorKind::usage, fmt::format("--{} {}: not a count", option, printable(text)),
                    "Give a number, or \"unlimited\".");
    return n;
}

repository::CalendarDuration parse_within(const std::string& text) {
    return text.empty() ? repository::CalendarDuration{}
                        : repository::parse_calendar_duration(text);
}

RetentionPolicy make_policy(const Options& options) {
    RetentionPolicy policy;
    policy.last = parse_count("keep-last", options.last);
    policy.hourly = parse_count("keep-hourly", options.hourly);
    policy.daily = parse_count("keep-daily", options.daily);
    policy.weekly = parse_count("keep-weekly", options.weekly);
    policy.monthly = parse_count("keep-monthly", options.monthly);
    policy.yearly = parse_count("keep-yearly", options.yearly);
    policy.within = parse_within(options.within);
    policy.within_hourly = parse_within(options.within_hourly);
    policy.within_daily = parse_within(options.within_daily);
    policy.within_weekly = parse_within(options.within_weekly);
    policy.within_monthly = parse_within(options.within_monthly);
    policy.within_yearly = parse_within(options.within_yearly);
    for (const std::string& list : options.keep_tags) {
        auto tags = repository::split_tag_list(list);
        policy.keep_tags.push_back(tags.empty() ? std::vector<std::string>{""} : std::move(tags));
    }
    return policy;
}

// What will go and, of groups by policy, why the rest stays.
struct Plan {
    std::vector<Snapshot> snapshots;  // all that were considered
    std::vector<ForgetGroup> groups;  // none when snapshots were named
    std::vector<size_t> remove;
};

Plan make_plan(Context& context, const repository::Repository& repository, const Options& options) {
    RetentionPolicy policy = make_policy(options);
    Plan plan;
    if (!options.snapshots.empty() && !policy.empty())
        throw Error(ErrorKind::usage, "snapshots were named and a policy was given",
                    "Use one of the two.");
    plan.snapshots = select_snapshots(repository, options.snapshots, options.filter.filter());
    if (!options.snapshots.empty()) {
        for (size_t i = 0; i < plan.snapshots.size(); ++i) plan.remove.push_back(i);
        return plan;
    }
    if (policy.empty() && options.allow_remove_all &&
        (!options.filter.hosts.empty() || !options.filter.tags.empty() ||
         !options.filter.paths.empty())) {
        for (size_t i = 0; i < plan.snapshots.size(); ++i) plan.remove.push_back(i);
        return plan;
    }
    if (policy.empty())
        throw Error(ErrorKind::refused, "no policy was given: nothing would be kept",
                    "Say what to keep, for example --keep-daily 7, or name the snapshots to "
                    "remove.");
    plan.groups = repository::plan_forget(plan.snapshots, policy,
                                          repository::parse_group_by(options.group_by),
                                          context.clock().now(), options.allow_remove_all);
    for (const ForgetGroup& group : plan.groups)
        plan.remove.insert(plan.remove.end(), group.result.remove.begin(),
                           group.result.remove.end());
    context.terminal().print("Applying Policy: " + printable(policy.describe()));
    return plan;
}

void print_group(Terminal& terminal, const Plan& plan, const ForgetGroup& group,
                 const Options& options) {
    auto by = repository::parse_group_by(options.group_by);
    if (std::string text = group.group.describe(by); !text.empty())
        terminal.print(fmt::format("\nsnapshots for ({}):", printable(text)));
    auto cells = [&](const Snapshot& s) -> std::vector<Cell> {
        return {s.id.short_hex(), to_display(in_local_zone(s.time)), s.hostname,
                joined(s.tags, ",")};
    };
    const auto& [keep, remove] = group.result;
    if (!keep.empty()) {
        terminal.print(fmt::format("\nkeep {} snapshots:", keep.size()));
        Table table(
            {{"ID"}, {"Time"}, {"Host"}, {"Tags"}, {"Reasons"}, {"Paths", Column::left, true}});
        for (auto it = keep.rbegin(); it != keep.rend(); ++it) {
            std::vector<Cell> row = cells(plan.snapshots[it->index]);
            for (size_t i = 0; i < it->reasons.size(); ++i) {
                if (i > 0) row = {"", "", "", ""};
                row.push_back(it->reasons[i]);
                if (i == 0 && !options.compact)
                    row.push_back(joined(plan.snapshots[it->index].paths, ", "));
                table.row(row);
            }
        }
        table.print(terminal);
    }
    if (!remove.empty()) {
        terminal.print(fmt::format("\nremove {} snapshots:", remove.size()));
        Table table({{"ID"}, {"Time"}, {"Host"}, {"Tags"}, {"Paths", Column::left, true}});
        for (auto it = remove.rbegin(); it != remove.rend(); ++it) {
            std::vector<Cell> row = cells(plan.snapshots[*it]);
            if (!options.compact) row.push_back(joined(plan.snapshots[*it].paths, ", "));
            table.row(row);
        }
        table.print(terminal);
    }
}

void json_group(Terminal& terminal, const Plan& plan, const ForgetGroup& group) {
    JsonArray keep, remove, reasons;
    for (const auto& kept : group.result.keep) {
        JsonObject counters;
        auto count = [&](std::string_view name, int left) {
            if (left != 0) counters.set(name, left);
        };
        count("last", kept.left.last);
        count("hourly", kept.left.hourly);
        count("daily", kept.left.daily);
        count("weekly", kept.left.weekly);
        count("monthly", kept.left.monthly);
        count("yearly", kept.left.yearly);
        JsonObject snapshot = snapshot_json(plan.snapshots[kept.index]);
        keep.add(snapshot);
        reasons.add(JsonObject()
                        .set("snapshot", snapshot)
                        .set("matches", JsonArray::of(kept.reasons))
                        .set("counters", counters));
    }
    for (size_t i : group.result.remove) remove.add(snapshot_json(plan.snapshots[i]));
    terminal.json(JsonObject()
                      .set("tags", JsonArray::of(group.group.tags))
                      .set("host", group.group.host)
                      .set("paths", JsonArray::of(group.group.paths))
                      .set("keep", keep)
                      .set("remove", remove)
                      .set("reasons", reasons));
}

int forget(Context& context, const RepoOptions& repo, const Options& options) {
    auto repository = open_repository(context, repo);
    std::unique_ptr<repository::Lock> lock;
    if (!(options.dry_run && repo.no_lock))
        lock = lock_repository(context, *repository, repo, repository::LockMode::exclusive, false);
    Plan plan = make_plan(context, *repository, options);
    Terminal& terminal = context.terminal();
    for (const ForgetGroup& group : plan.groups) {
        print_group(terminal, plan, group, options);
        json_group(terminal, plan, group);
    }
    JsonArray removed;
    for (size_t i : plan.remove) {
        const Snapshot& snapshot = plan.snapshots[i];
        if (!options.dry_run) {
            context.check_stop();
            lock->check_held();
            repository->remove(storage::FileType::snapshot, snapshot.id);
            terminal.detail(fmt::format("removed snapshot {}", snapshot.id.short_hex()));
        }
        removed.add(snapshot.id.hex());
    }
    terminal.print(fmt::format("\n{} {} snapshots", options.dry_run ? "would remove" : "removed",
                               plan.remove.size()));
    if (!options.dry_run && !plan.remove.empty())
        terminal.note("The space is freed by a later prune (for now `restic prune`).");
    if (lock) lock->release();
    if (!options.dry_run) renew_repository_locks(context, repo, *repository);
    terminal.json(JsonObject()
                      .set("message_type", "summary")
                      .set("dry_run", options.dry_run)
                      .set("removed", removed));
    return 0;
}

void add_policy_options(Command& command, Options& o) {
    command.option("-l,--keep-last", o.last, "N", "keep the newest N snapshots")
        .option("-H,--keep-hourly", o.hourly, "N", "keep the newest of each of the last N hours")
        .option("-d,--keep-daily", o.daily, "N", "the same for days")
        .option("-w,--keep-weekly", o.weekly, "N", "the same for weeks")
        .option("-m,--keep-monthly", o.monthly, "N", "the same for months")
        .option("-y,--keep-yearly", o.yearly, "N", "the same for years")
        .option("--keep-within", o.within, "DURATION",
                "keep all that are younger than 1y5m7d2h before the newest")
        .option("--keep-within-hourly", o.within_hourly, "DURATION", "of these, one an hour")
        .option("--keep-within-daily", o.within_daily, "DURATION", "of these, one a day")
        .option("--keep-within-weekly", o.within_weekly, "DURATION", "of these, one a week")
        .option("--keep-within-monthly", o.within_monthly, "DURATION", "of these, one a month")
        .option("--keep-within-yearly", o.within_yearly, "DURATION", "of these, one a year")
        .option("--keep-tag", o.keep_tags, "TAG[,TAG]", "keep snapshots with all these tags");
}

}  // namespace

void add_repo_forget(CommandTree& repo, std::shared_ptr<RepoOptions> shared) {
    auto options = std::make_shared<Options>();
    Command command = repo.command(
        "forget", "Remove snapshots, by id or by what a policy does not keep.",
        "sevenfold repo forget --dry-run --keep-last 3 --keep-daily 14 --keep-monthly 12\n"
        "sevenfold repo forget --keep-within 30d --host web1\n"
        "sevenfold repo forget 1a2b3c4d");
    command.arguments("SNAPSHOT", options->snapshots, "ids to remove, instead of a policy");
    add_policy_options(command, *options);
    add_snapshot_options(command, options->filter, "", false);
    command
        .option("-g,--group-by", options->group_by, "WORDS",
                "apply the policy to each of: host, paths, tags; '' for all as one")
        .flag("-n,--dry-run", options->dry_run, "remove nothing, show what would be removed")
        .flag("--compact", options->compact, "without paths")
        .flag("--unsafe-allow-remove-all", options->allow_remove_all,
              "allow a policy that keeps nothing");
    command.run([shared, options](Context& context) { return forget(context, *shared, *options); });
}

}  // namespace sevenfold::cli
