// db prepare: a physical base made ready for a restore, and proven.
#include "cli/commands.h"
#include "cli/database_output.h"
#include "cli/db_context.h"
#include "core/units.h"

namespace sevenfold::cli {
namespace {

struct Options {
    std::string database, base, place, memory = "256MiB";
};

int prepare(Context& context, const Options& options) {
    DbContext db(context, options.database);
    protect::PrepareBaseOptions job{.base = options.base, .place = options.place};
    if (auto memory = parse_size(options.memory))
        job.memory = *memory;
    else
        throw Error(ErrorKind::usage, "--memory: not a size", "Write it like 2GiB.");
    auto catalog = open_catalog(context.config());
    return run_prepare(context, db.database(), db.places(), std::move(job), catalog.get());
}

}  // namespace

void add_db_prepare(CommandTree& db) {
    auto options = std::make_shared<Options>();
    db.command("prepare",
               "Make a physical base ready for a restore: prepare it, start a server on it, read "
               "every table, store it.",
               "sevenfold db prepare                  the newest physical base\n"
               "sevenfold db prepare shop --memory 4GiB")
        .argument("DATABASE", options->database, "its name (default: the only one)", false)
        .option("--base", options->base, "ID", "this base")
        .option("--place", options->place, "NAME", "read it from this place only")
        .option("--memory", options->memory, "SIZE",
                "for applying the redo log, and for the server")
        .run([options](Context& context) { return prepare(context, *options); });
}

}  // namespace sevenfold::cli
