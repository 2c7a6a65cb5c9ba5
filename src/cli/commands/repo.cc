// repo: the group of commands on one repository, without a configuration.
#include "cli/commands.h"
#include "cli/repo_options.h"

namespace sevenfold::cli {

void add_repo(CommandTree& tree) {
    CommandTree repo = tree.group(
        "repo", "Work on one repository without a configuration, as restic does.",
        "sevenfold repo -r /srv/backup init\n"
        "RESTIC_REPOSITORY=/srv/backup RESTIC_PASSWORD_FILE=pw sevenfold repo snapshots");
    std::shared_ptr<RepoOptions> options = add_repo_options(repo);
    add_repo_init(repo, options);
    add_repo_backup(repo, options);
    add_repo_restore(repo, options);
    add_repo_snapshots(repo, options);
    add_repo_ls(repo, options);
    add_repo_find(repo, options);
    add_repo_diff(repo, options);
    add_repo_dump(repo, options);
    add_repo_stats(repo, options);
    add_repo_check(repo, options);
    add_repo_key(repo, options);
    add_repo_tag(repo, options);
    add_repo_unlock(repo, options);
    add_repo_cat(repo, options);
    add_repo_forget(repo, options);
    add_repo_recover_versions(repo, options);
}

}  // namespace sevenfold::cli
