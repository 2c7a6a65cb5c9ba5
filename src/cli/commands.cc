#include "cli/commands.h"

namespace sevenfold::cli {

void add_commands(CommandTree& tree) {
    add_init(tree);
    add_config(tree);
    add_backup(tree);
    add_status(tree);
    add_snapshots(tree);
    add_restore(tree);
    add_db(tree);
    add_mirror(tree);
    add_stream(tree);
    add_ping(tree);
    add_serve(tree);
    add_repo(tree);
    add_completion(tree);
}

}  // namespace sevenfold::cli
