// The options that `restore` and `repo restore` share, and what they show.
#pragma once

#include <string>
#include <vector>

#include "cli/command_tree.h"
#include "files/restore.h"
#include "repository/snapshot.h"

namespace sevenfold::cli {

struct RestoreArguments {
    std::string target;
    files::SelectOptions select;
    std::string overwrite;  // empty: only into an empty or new target
    bool delete_extra = false, no_sparse = false, verify = false, dry_run = false;
    bool device_nodes = false;
};

void add_restore_arguments(Command& command, RestoreArguments& arguments);

// Restores `path` ("" for all) of a snapshot and prints the summary. Returns the exit code: 1 when
// something could not be restored. Throws usage when the target is not empty and neither
// --overwrite nor --delete says that this is meant.
int run_restore(Context& context, const repository::Repository& repository,
                const repository::Snapshot& snapshot, const std::string& path,
                const RestoreArguments& arguments);

}  // namespace sevenfold::cli
