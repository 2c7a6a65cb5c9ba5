// The options that `restore` and `repo restore` share, and what they show.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cli/command_tree.h"
#include "files/restore.h"
#include "repository/snapshot.h"
#include "storage/open.h"

namespace sevenfold::cli {

// What a restore must not damage.
struct KeepOut {
    std::string path;  // of a file or folder on this machine
    std::string what;  // "place near", for the message
    // The target may not lie in it, nor contain it; or contain it only where nothing is deleted.
    bool only_from_deleting = false;
};

struct RestoreArguments {
    std::string target;             // a folder, or the URL of a bucket
    std::vector<KeepOut> keep_out;  // set by the command
    std::vector<std::pair<storage::Location, std::string>> keep_out_buckets;  // the same
    // Of a target that is a bucket; what is empty may be set by the command.
    std::string region, credentials, bucket_lookup, ca_file;
    std::vector<std::string> grantees;  // "THEN=NOW"
    files::SelectOptions select;
    std::string overwrite;  // empty: only into an empty or new target
    bool delete_extra = false, no_sparse = false, verify = false, dry_run = false;
    bool device_nodes = false;
};

void add_restore_arguments(Command& command, RestoreArguments& arguments);

// Throws refused when the target is not empty and no --overwrite says that this is meant, and when
// something of keep_out is in danger.
void check_restore_target(Context& context, const RestoreArguments& arguments);
bool is_bucket(const RestoreArguments& arguments);
bool is_same_bucket(const storage::Location& a, const storage::Location& b);
// Restores `path` ("" for all) of a snapshot and prints the summary; the target has been checked.
// Returns the exit code: 1 when something could not be restored.
int run_restore(Context& context, const repository::Repository& repository,
                const repository::Snapshot& snapshot, const std::string& path,
                const RestoreArguments& arguments);

}  // namespace sevenfold::cli
