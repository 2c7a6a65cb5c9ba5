// repo tag: changes the tags of snapshots.
#include "cli/commands.h"
#include "cli/repo_options.h"
#include "cli/snapshot_options.h"
#include "repository/tag.h"

namespace sevenfold::cli {
namespace {

struct Options {
    SnapshotOptions filter;
    std::vector<std::string> snapshots, set, add, remove;
};

std::vector<std::string> words(const std::vector<std::string>& lists) {
    std::vector<std::string> out;
    for (const std::string& list : lists)
        for (std::string& tag : repository::split_tag_list(list))
            if (std::find(out.begin(), out.end(), tag) == out.end()) out.push_back(std::move(tag));
    return out;
}

int tag(Context& context, const RepoOptions& repo, const Options& options) {
    if (options.set.empty() && options.add.empty() && options.remove.empty())
        throw Error(ErrorKind::usage, "nothing to do", "Give --set, --add or --remove.");
    if (!options.set.empty() && !(options.add.empty() && options.remove.empty()))
        throw Error(ErrorKind::usage, "--set cannot be used together with --add or --remove");
    repository::TagChange change{
        .set = std::nullopt, .add = words(options.add), .remove = words(options.remove)};
    if (!options.set.empty()) change.set = words(options.set);
    auto repository = open_repository(context, repo);
    auto lock = lock_repository(context, *repository, repo, repository::LockMode::exclusive, false);
    uint64_t changed = 0;
    Terminal& terminal = context.terminal();
    for (auto& snapshot :
         select_snapshots(*repository, options.snapshots, options.filter.filter())) {
        context.check_stop();
        lock->check_held();
        Id old = snapshot.id;
        if (!repository::apply(change, snapshot)) continue;
        repository::replace_snapshot(*repository, snapshot);
        ++changed;
        terminal.detail(fmt::format("{} is now {}", old.short_hex(), snapshot.id.short_hex()));
        terminal.json(JsonObject()
                          .set("message_type", "changed")
                          .set("old_snapshot_id", old.hex())
                          .set("new_snapshot_id", snapshot.id.hex())
                          .set("tags", JsonArray::of(snapshot.tags)));
    }
    terminal.print(changed == 0 ? "no snapshots were modified"
                                : fmt::format("modified tags on {} snapshots", changed));
    terminal.json(JsonObject().set("message_type", "summary").set("changed_snapshots", changed));
    return 0;
}

}  // namespace

void add_repo_tag(CommandTree& repo, std::shared_ptr<RepoOptions> shared) {
    auto options = std::make_shared<Options>();
    Command command = repo.command("tag", "Change the tags of snapshots.",
                                   "sevenfold repo tag --add release latest\n"
                                   "sevenfold repo tag --set a,b --host web1\n"
                                   "sevenfold repo tag --set '' 1a2b3c4d");
    command.arguments("SNAPSHOT", options->snapshots, "ids or \"latest\" (default: all)")
        .option("--set", options->set, "TAG[,TAG]", "replace all tags by these; '' for none")
        .option("--add", options->add, "TAG[,TAG]", "add these tags")
        .option("--remove", options->remove, "TAG[,TAG]", "remove these tags");
    add_snapshot_options(command, options->filter);
    command.run([shared, options](Context& context) { return tag(context, *shared, *options); });
}

}  // namespace sevenfold::cli
