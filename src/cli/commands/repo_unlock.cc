// repo unlock: removes locks that nobody holds any more.
#include "cli/commands.h"
#include "cli/repo_options.h"

namespace sevenfold::cli {
namespace {

int unlock(Context& context, const RepoOptions& repo, bool all) {
    auto repository = open_repository(context, repo);
    size_t removed = repository::remove_locks(*repository, all, context.clock());
    context.terminal().print(removed == 0 ? "no locks to remove"
                                          : fmt::format("removed {} locks", removed));
    context.terminal().json(
        JsonObject().set("message_type", "summary").set("removed_locks", removed));
    return 0;
}

}  // namespace

void add_repo_unlock(CommandTree& repo, std::shared_ptr<RepoOptions> shared) {
    auto all = std::make_shared<bool>(false);
    repo.command("unlock", "Remove locks that others left behind.",
                 "sevenfold repo unlock                 stale ones\n"
                 "sevenfold repo unlock --remove-all    all; only when nothing else is running")
        .flag("--remove-all", *all, "remove all locks, also those still in use")
        .run([shared, all](Context& context) { return unlock(context, *shared, *all); });
}

}  // namespace sevenfold::cli
