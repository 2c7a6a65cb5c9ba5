// The explicit list of commands, one file each in cli/commands/.
#pragma once

#include <memory>

#include "cli/command_tree.h"

namespace sevenfold::cli {

struct RepoOptions;

void add_commands(CommandTree& tree);

void add_init(CommandTree& tree);
void add_config(CommandTree& tree);
void add_ping(CommandTree& tree);
void add_backup(CommandTree& tree);
void add_status(CommandTree& tree);
void add_snapshots(CommandTree& tree);
void add_restore(CommandTree& tree);
void add_db(CommandTree& tree);  // databases in time
void add_db_timeline(CommandTree& db);
void add_db_show(CommandTree& db);
void add_db_restore(CommandTree& db);
void add_db_undo(CommandTree& db);
void add_db_diff(CommandTree& db);
void add_db_export(CommandTree& db);
void add_db_prepare(CommandTree& db);
void add_db_grants(CommandTree& db);
void add_mirror(CommandTree& tree);
void add_stream(CommandTree& tree);      // the binlog receiver
void add_serve(CommandTree& tree);       // a repository server
void add_completion(CommandTree& tree);  // completion, manpage

// repo: commands on one repository without a configuration.
void add_repo(CommandTree& tree);
void add_repo_init(CommandTree& repo, std::shared_ptr<RepoOptions> options);
void add_repo_backup(CommandTree& repo, std::shared_ptr<RepoOptions> options);
void add_repo_restore(CommandTree& repo, std::shared_ptr<RepoOptions> options);
void add_repo_snapshots(CommandTree& repo, std::shared_ptr<RepoOptions> options);
void add_repo_ls(CommandTree& repo, std::shared_ptr<RepoOptions> options);
void add_repo_find(CommandTree& repo, std::shared_ptr<RepoOptions> options);
void add_repo_diff(CommandTree& repo, std::shared_ptr<RepoOptions> options);
void add_repo_dump(CommandTree& repo, std::shared_ptr<RepoOptions> options);
void add_repo_stats(CommandTree& repo, std::shared_ptr<RepoOptions> options);
void add_repo_check(CommandTree& repo, std::shared_ptr<RepoOptions> options);
void add_repo_key(CommandTree& repo, std::shared_ptr<RepoOptions> options);
void add_repo_tag(CommandTree& repo, std::shared_ptr<RepoOptions> options);
void add_repo_unlock(CommandTree& repo, std::shared_ptr<RepoOptions> options);
void add_repo_cat(CommandTree& repo, std::shared_ptr<RepoOptions> options);
void add_repo_forget(CommandTree& repo, std::shared_ptr<RepoOptions> options);
void add_repo_recover_versions(CommandTree& repo, std::shared_ptr<RepoOptions> shared);

}  // namespace sevenfold::cli
