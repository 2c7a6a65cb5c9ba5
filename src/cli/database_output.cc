#include "cli/database_output.h"

#include "cli/progress_display.h"
#include "core/log.h"
#include "core/units.h"
#include "protect/places.h"

namespace sevenfold::cli {
namespace {

using files::PlaceResult;
using protect::DatabaseBackup;

void record(catalog::Catalog* catalog, const config::DatabaseConfig& database, const Time& started,
            const PlaceResult& place) {
    bool saved = place.state == PlaceResult::State::saved;
    const auto& summary = place.snapshot.summary;
    record_run(catalog, {.job = "backup",
                         .source = database.name,
                         .place = place.name,
                         .started = started,
                         .ended = Clock::system().now(),
                         .succeeded = saved,
                         .error = place.error ? place.error->message() : "",
                         .snapshot = saved ? place.snapshot.id.hex() : "",
                         .files = summary ? summary->total_files_processed : 0,
                         .bytes = summary ? summary->total_bytes_processed : 0,
                         .bytes_stored = place.stats.bytes_packed});
}

void print_place(Terminal& terminal, const PlaceResult& place) {
    std::string label = printable(place.name) + ": ";
    if (place.state == PlaceResult::State::saved) {
        terminal.print(fmt::format("{}snapshot {} saved, {} new, {} stored", label,
                                   terminal.styled(Style::green, place.snapshot.id.short_hex()),
                                   format_size(place.stats.bytes_added),
                                   format_size(place.stats.bytes_packed)));
        return;
    }
    std::string why = place.error ? place.error->message() : "no reason is known";
    terminal.print(label + terminal.styled(Style::red, "failed") + ": " + printable(why));
    if (place.error && !place.error->hint().empty()) terminal.print("hint: " + place.error->hint());
}

void print(Terminal& terminal, const config::DatabaseConfig& database, const DatabaseBackup& backup,
           std::chrono::nanoseconds took) {
    for (const std::string& warning : backup.outcome.warnings) log_warning("{}", warning);
    for (const PlaceResult& place : backup.places) print_place(terminal, place);
    std::string position =
        backup.position.gtid.empty() ? "" : " at GTID " + printable(backup.position.gtid);
    if (backup.kind == "base") {
        const database::BaseManifest& base = backup.outcome.base;
        uint64_t rows = 0;
        for (const auto& table : base.tables) rows += table.rows;
        std::string what = base.method == "logical"
                               ? fmt::format("{} tables, {} rows", format_count(base.tables.size()),
                                             format_count(rows))
                               : "the server's files";
        terminal.print(
            fmt::format("{}: {} base{}: {} in {}; commits were held for {:.1f} ms{}",
                        terminal.styled(Style::bold, printable(database.name)), base.method,
                        position, what, format_duration(took),
                        static_cast<double>(backup.outcome.commits_blocked.count()) / 1e6,
                        backup.why.empty() ? "" : " (" + backup.why + ")"));
    } else {
        terminal.print(fmt::format("{}: point{} verified in {}",
                                   terminal.styled(Style::bold, printable(database.name)), position,
                                   format_duration(took)));
    }
}

void print_json(Terminal& terminal, const config::DatabaseConfig& database,
                const DatabaseBackup& backup, std::chrono::nanoseconds took) {
    for (const PlaceResult& place : backup.places) {
        JsonObject line;
        line.set("message_type", "summary")
            .set("source", database.name)
            .set("place", place.name)
            .set("kind", backup.kind)
            .set("method", backup.outcome.base.method)
            .set("saved", place.state == PlaceResult::State::saved)
            .set("gtid", backup.position.gtid)
            .set("data_added", place.stats.bytes_added)
            .set("data_added_packed", place.stats.bytes_packed)
            .set("total_duration", std::chrono::duration<double>(took).count());
        if (!backup.why.empty()) line.set("reason", backup.why);
        if (place.error) line.set("error", place.error->message());
        if (place.state == PlaceResult::State::saved)
            line.set("snapshot_id", place.snapshot.id.hex());
        terminal.json(line);
    }
}

// The base is stored already; that there is no room to prepare it here does not make it worse.
int prepare_at_once(Context& context, const config::DatabaseConfig& database,
                    const std::vector<protect::JobPlace>& places,
                    const BackupDatabaseArguments& arguments, catalog::Catalog* catalog) {
    try {
        return run_prepare(context, database, places, {.retry_lock = arguments.retry_lock},
                           catalog);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::no_space && error.kind() != ErrorKind::not_found)
            throw error.with_context("the base is stored, but preparing it failed");
        log_warning("the base is not prepared: {}", error.message());
        return 0;
    }
}

}  // namespace

std::unique_ptr<catalog::Catalog> open_catalog(const config::AppConfig& config) {
    try {
        return std::make_unique<catalog::Catalog>(config.app.state_dir);
    } catch (const Error& error) {
        log_warning("runs are not recorded: {}", error.message());
        return nullptr;
    }
}

void record_run(catalog::Catalog* catalog, const catalog::RunRecord& run) {
    if (!catalog) return;
    try {
        catalog->add_run(run);
    } catch (const Error& error) {
        log_warning("this run is not recorded: {}", error.message());
    }
}

int run_prepare(Context& context, const config::DatabaseConfig& database,
                const std::vector<protect::JobPlace>& places, protect::PrepareBaseOptions options,
                catalog::Catalog* catalog) {
    Terminal& terminal = context.terminal();
    Time started = context.clock().now();
    Progress progress;
    options.progress = &progress;
    options.stop = context.stop();
    options.on_step = [&](const std::string& step) { progress.set_current(step); };
    protect::PreparedBase done;
    {
        ProgressDisplay display(terminal, progress, "prepare " + database.name);
        done = protect::prepare_base(context.config(), database, places, options);
    }
    std::string base = fmt::format("base {} of {}", done.base.id.short_hex(),
                                   to_display(in_local_zone(done.manifest.consistent_at)));
    JsonObject line;
    line.set("message_type", "prepared")
        .set("source", database.name)
        .set("base", done.base.id.hex())
        .set("was_ready", done.was_ready);
    if (done.was_ready) {
        terminal.print(fmt::format("{}: {} is prepared already", printable(database.name), base));
        terminal.json(line);
        return 0;
    }
    for (const PlaceResult& place : done.places) {
        print_place(terminal, place);
        record_run(catalog, {.job = "prepare",
                             .source = database.name,
                             .place = place.name,
                             .started = started,
                             .ended = Clock::system().now(),
                             .succeeded = place.state == PlaceResult::State::saved,
                             .error = place.error ? place.error->message() : ""});
    }
    for (const std::string& difference : done.differences)
        log_warning("{}: {}", printable(database.name), difference);
    auto tables = done.manifest.objects.find("table");
    terminal.print(fmt::format(
        "{}: {} prepared, started and read in {}: {} tables, each of them sound",
        terminal.styled(Style::bold, printable(database.name)), base,
        format_duration(std::chrono::nanoseconds(static_cast<int64_t>(done.seconds * 1e9))),
        format_count(tables == done.manifest.objects.end() ? 0 : tables->second)));
    terminal.json(line.set("total_duration", done.seconds)
                      .set("differences", JsonArray::of(done.differences)));
    return done.exit_code();
}

int run_database_backup(Context& context, const config::DatabaseConfig& database,
                        const BackupDatabaseArguments& arguments, catalog::Catalog* catalog) {
    const config::AppConfig& config = context.config();
    auto place_configs = protect::places_of(config, database);
    auto places =
        protect::open_places(place_configs, {config.app.state_dir + "/cache", context.stop()});
    Time started = context.clock().now();
    auto from = std::chrono::steady_clock::now();
    Progress progress;
    try {
        DatabaseBackup backup;
        {
            ProgressDisplay display(context.terminal(), progress, "backup " + database.name);
            backup = protect::back_up_database(config, database, places, catalog,
                                               {.method = arguments.method,
                                                .force_base = arguments.force_base,
                                                .allow_privileged = arguments.allow_privileged,
                                                .retry_lock = arguments.retry_lock,
                                                .progress = &progress,
                                                .stop = context.stop()});
        }
        auto took = std::chrono::steady_clock::now() - from;
        for (const PlaceResult& place : backup.places) record(catalog, database, started, place);
        print(context.terminal(), database, backup, took);
        print_json(context.terminal(), database, backup, took);
        int code = backup.exit_code();
        if (code == 0 && database.prepare && backup.outcome.base.method == "physical")
            code = prepare_at_once(context, database, places, arguments, catalog);
        return code;
    } catch (const Error& error) {
        for (const config::PlaceConfig* place : place_configs)
            record(catalog, database, started, {.name = place->name, .error = error});
        throw;
    }
}

}  // namespace sevenfold::cli
