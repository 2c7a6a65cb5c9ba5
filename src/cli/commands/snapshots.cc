// snapshots: what there is of each source at each place.
#include "cli/commands.h"
#include "cli/repo_options.h"
#include "cli/table.h"
#include "core/log.h"
#include "core/units.h"
#include "protect/database.h"
#include "protect/places.h"
#include "protect/status.h"

namespace sevenfold::cli {
namespace {

struct Options {
    std::vector<std::string> sources;
    std::string place, as_of;
};

struct Found {
    std::string source, place, kind;
    repository::Snapshot snapshot;
};

// Bases and points of a database; its log files are not listed.
void add_database(std::vector<Found>& all, const config::DatabaseConfig& database,
                  const protect::JobPlace& place, std::vector<Error>& damaged) {
    protect::DatabaseSnapshots snapshots =
        protect::list_database(*place.repository, database.name, &damaged);
    for (auto& base : protect::read_bases(*place.repository, snapshots, &damaged))
        all.push_back({database.name, place.name,
                       fmt::format("{} base {}", base.manifest.method, base.manifest.position.gtid),
                       std::move(base.snapshot)});
    for (auto& point : protect::read_points(*place.repository, snapshots, &damaged))
        all.push_back({database.name, place.name, "point " + point.manifest.position.gtid,
                       std::move(point.snapshot)});
}

void print(Terminal& terminal, const Found& found, Table& table) {
    const repository::Snapshot& snapshot = found.snapshot;
    std::string tags =
        found.kind.empty() ? fmt::format("{}", fmt::join(snapshot.tags, ",")) : found.kind;
    table.row({snapshot.id.short_hex(), to_display(in_local_zone(snapshot.time)), found.source,
               found.place,
               snapshot.summary ? format_count(snapshot.summary->total_files_processed) : "",
               snapshot.summary ? format_size(snapshot.summary->total_bytes_processed) : "", tags});
    terminal.json(JsonObject()
                      .set("type", "snapshot")
                      .set("source", found.source)
                      .set("place", found.place)
                      .set("id", snapshot.id.hex())
                      .set("short_id", snapshot.id.short_hex())
                      .set("time", snapshot.time)
                      .set("tree", snapshot.tree.hex())
                      .set("hostname", snapshot.hostname)
                      .set("paths", JsonArray::of(snapshot.paths))
                      .set("size", snapshot.summary ? snapshot.summary->total_bytes_processed : 0)
                      .set("tags", JsonArray::of(snapshot.tags)));
}

int snapshots(Context& context, const Options& options) {
    const config::AppConfig& config = context.config();
    std::vector<const config::PlaceConfig*> place_configs;
    for (const config::PlaceConfig& place : config.places)
        if (options.place.empty() || place.name == options.place) place_configs.push_back(&place);
    if (!options.place.empty()) config.place(options.place);  // an unknown name is an error
    std::vector<Found> all;
    std::vector<Error> damaged;
    int code = 0;
    for (auto& place : protect::open_places(
             place_configs,
             {config.app.state_dir + "/cache", context.stop(), past_moment(options.as_of)})) {
        if (place.error) {
            context.terminal().error(*place.error);
            code = exit_code(place.error->kind());
            continue;
        }
        std::vector<Error> damaged_here;
        for (const config::SourceConfig& source : config.sources(options.sources)) {
            damaged_here.clear();  // the same for every source
            if (source.database) {
                add_database(all, *source.database, place, damaged_here);
                continue;
            }
            for (auto& snapshot :
                 protect::snapshots_of(*source.files, *place.repository, &damaged_here))
                all.push_back({source.name(), place.name, "", std::move(snapshot)});
        }
        for (const Error& error : damaged_here)
            damaged.push_back(error.with_context("place " + place.name));
    }
    std::stable_sort(all.begin(), all.end(), [](const Found& a, const Found& b) {
        return a.snapshot.time < b.snapshot.time;
    });
    Table table({{"id"},
                 {"time"},
                 {"source"},
                 {"place"},
                 {"files", Column::right},
                 {"size", Column::right},
                 {"tags, kind"}});
    for (const Found& found : all) print(context.terminal(), found, table);
    if (all.empty())
        context.terminal().print("no snapshots yet; run `sevenfold backup`");
    else
        table.print(context.terminal());
    for (const Error& error : damaged) {
        context.terminal().error(error);
        if (code == 0) code = exit_code(error.kind());
    }
    return code;
}

}  // namespace

void add_snapshots(CommandTree& tree) {
    auto options = std::make_shared<Options>();
    tree.command("snapshots", "List the snapshots of sources at all places.",
                 "sevenfold snapshots\n"
                 "sevenfold snapshots uploads --place offsite")
        .arguments("SOURCE", options->sources, "sources to list (default: all)")
        .option("--place", options->place, "NAME", "only this place")
        .option("--place-as-of", options->as_of, "TIME",
                "read places as they were then, whatever was deleted or overwritten since (S3 "
                "buckets with versions)")
        .run([options](Context& context) { return snapshots(context, *options); });
}

}  // namespace sevenfold::cli
