// repo restore: a snapshot of one repository to a folder.
#include "cli/commands.h"
#include "cli/repo_options.h"
#include "cli/restore_output.h"
#include "cli/snapshot_options.h"
#include "repository/snapshot.h"
#include "storage/open.h"

namespace sevenfold::cli {
namespace {

struct Options {
    std::string snapshot = "latest";
    std::vector<std::string> hosts, tags, paths;
    RestoreArguments restore;
};

std::vector<std::string> split_tags(const std::string& list) {
    std::vector<std::string> out;
    for (size_t at = 0; at <= list.size();) {
        size_t comma = std::min(list.find(',', at), list.size());
        if (comma > at) out.push_back(list.substr(at, comma - at));
        at = comma + 1;
    }
    return out;
}

int restore(Context& context, const RepoOptions& repo, const Options& options) {
    RestoreArguments arguments = options.restore;
    storage::Location location = storage::parse_location(repository_url(repo));
    if (location.driver == storage::Location::Driver::local)
        arguments.keep_out.push_back({location.path, "the repository", false});
    if (location.driver == storage::Location::Driver::s3)
        arguments.keep_out_buckets.emplace_back(location, "the repository");
    check_restore_target(context, arguments);
    auto repository = open_repository(context, repo);
    auto lock = lock_repository(context, *repository, repo, repository::LockMode::shared, true);
    repository::SnapshotFilter filter{.hosts = options.hosts, .paths = options.paths};
    for (const std::string& list : options.tags) filter.tag_lists.push_back(split_tags(list));
    auto spec = repository::find_snapshot(*repository, options.snapshot, filter);
    bool whole = load_readable_index(*repository);
    int code = run_restore(context, *repository, spec.snapshot, spec.subfolder, arguments);
    return whole ? code : std::max(code, 1);
}

}  // namespace

void add_repo_restore(CommandTree& repo, std::shared_ptr<RepoOptions> shared) {
    auto options = std::make_shared<Options>();
    Command command = repo.command(
        "restore", "Restore a snapshot to a folder or a bucket.",
        "sevenfold repo restore latest --target /tmp/back\n"
        "sevenfold repo restore 1a2b3c4d:/srv/www --target /srv/www --overwrite always");
    command.argument("SNAPSHOT", options->snapshot, "id, \"latest\", or either with :FOLDER", false)
        .option("-H,--host", options->hosts, "NAME", "latest: only of this host")
        .option("--tag", options->tags, "TAG[,TAG]", "latest: only with these tags")
        .option("--path", options->paths, "PATH", "latest: only of this path");
    add_restore_arguments(command, options->restore);
    command.run(
        [shared, options](Context& context) { return restore(context, *shared, *options); });
}

}  // namespace sevenfold::cli
