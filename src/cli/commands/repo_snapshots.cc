// repo snapshots: what snapshots there are.
#include <map>

#include "cli/commands.h"
#include "cli/repo_options.h"
#include "cli/snapshot_options.h"
#include "cli/table.h"
#include "core/log.h"
#include "core/units.h"
#include "repository/retention.h"

namespace sevenfold::cli {
namespace {

using repository::Snapshot;

struct Options {
    SnapshotOptions snapshots;
    std::vector<std::string> names;
    uint64_t latest = 0;
    std::string group_by;
    bool compact = false;
};

void print_table(Terminal& terminal, const std::vector<Snapshot>& snapshots, bool compact) {
    std::vector<Column> columns = {{"ID"}, {"Time"}, {"Host"}, {"Tags"}};
    if (!compact) columns.push_back({"Paths", Column::left, true});
    columns.push_back({"Size", Column::right});
    Table table(columns);
    for (const Snapshot& s : snapshots) {
        std::string size = s.summary ? format_size(s.summary->total_bytes_processed) : "";
        std::vector<Cell> cells = {s.id.short_hex(), to_display(in_local_zone(s.time)), s.hostname,
                                   joined(s.tags, ",")};
        if (!compact) cells.push_back(joined(s.paths, ", "));
        cells.push_back(size);
        table.row(std::move(cells));
    }
    if (!table.empty()) table.print(terminal);
    terminal.print(fmt::format("{} snapshots", snapshots.size()));
}

// The newest n of each host and set of paths; oldest first, as they came.
std::vector<Snapshot> newest(const std::vector<Snapshot>& all, size_t n) {
    std::vector<bool> wanted(all.size());
    for (const auto& group : repository::group_snapshots(all, {}))
        for (size_t i = group.members.size() - std::min(n, group.members.size());
             i < group.members.size(); ++i)
            wanted[group.members[i]] = true;
    std::vector<Snapshot> out;
    for (size_t i = 0; i < all.size(); ++i)
        if (wanted[i]) out.push_back(all[i]);
    return out;
}

int snapshots(Context& context, const RepoOptions& repo, const Options& options) {
    auto repository = open_repository(context, repo);
    auto lock = lock_repository(context, *repository, repo, repository::LockMode::shared, true);
    std::vector<Error> damaged;
    std::vector<Snapshot> found;
    repository::SnapshotFilter filter = options.snapshots.filter();
    if (!options.names.empty()) {
        found = select_snapshots(*repository, options.names, filter);
    } else {
        for (Snapshot& s : repository::load_snapshots(*repository, &damaged))
            if (filter.matches(s)) found.push_back(std::move(s));
    }
    if (options.latest != 0) found = newest(found, options.latest);

    Terminal& terminal = context.terminal();
    for (const Snapshot& s : found) terminal.json(snapshot_json(s));
    if (options.group_by.empty()) {
        print_table(terminal, found, options.compact);
    } else {
        auto by = repository::parse_group_by(options.group_by);
        for (const auto& group : repository::group_snapshots(found, by)) {
            std::vector<Snapshot> members;
            for (size_t i : group.members) members.push_back(found[i]);
            terminal.print(fmt::format("snapshots for ({}):", printable(group.describe(by))));
            print_table(terminal, members, options.compact);
        }
    }
    for (const Error& error : damaged) terminal.error(error);
    return damaged.empty() ? 0 : exit_code(damaged.front().kind());
}

}  // namespace

void add_repo_snapshots(CommandTree& repo, std::shared_ptr<RepoOptions> shared) {
    auto options = std::make_shared<Options>();
    Command command = repo.command("snapshots", "List the snapshots.",
                                   "sevenfold repo snapshots\n"
                                   "sevenfold repo snapshots --host web1 --latest 3\n"
                                   "sevenfold repo snapshots --group-by host,tags");
    command.arguments("SNAPSHOT", options->names, "ids or \"latest\" (default: all)")
        .option("--latest", options->latest, "N", "only the newest N of each host and paths")
        .option("-g,--group-by", options->group_by, "WORDS", "host, paths, tags")
        .flag("--compact", options->compact, "without paths");
    add_snapshot_options(command, options->snapshots);
    command.run(
        [shared, options](Context& context) { return snapshots(context, *shared, *options); });
}

}  // namespace sevenfold::cli
