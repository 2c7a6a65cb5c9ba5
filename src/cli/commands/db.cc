// db: databases in time.
#include "cli/commands.h"

namespace sevenfold::cli {

void add_db(CommandTree& tree) {
    CommandTree group =
        tree.group("db", "Databases in time: what happened, and back to any moment of it.",
                   "sevenfold db restore --to '2026-11-25 14:03' --data-dir /srv/restored\n"
                   "sevenfold db restore --before 0-1-4711 --data-dir /srv/restored");
    add_db_timeline(group);
    add_db_show(group);
    add_db_restore(group);
    add_db_undo(group);
    add_db_diff(group);
    add_db_export(group);
    add_db_prepare(group);
    add_db_grants(group);
}

}  // namespace sevenfold::cli
