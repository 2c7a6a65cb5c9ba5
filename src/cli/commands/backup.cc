// backup: every source, or those named, into all of its places at once.
#include <algorithm>

#include "catalog/catalog.h"
#include "cli/backup_output.h"
#include "cli/commands.h"
#include "cli/database_output.h"
#include "cli/renew.h"
#include "cli/times.h"
#include "core/log.h"
#include "core/units.h"
#include "files/bucket_contents.h"
#include "protect/backup.h"
#include "protect/places.h"

namespace sevenfold::cli {
namespace {

struct Options {
    std::vector<std::string> sources;
    bool force = false, dry_run = false, allow_empty = false, base = false, privileged = false;
    std::string retry_lock = "1m", method, at;
};

// The time of --at, which must be over.
std::optional<Time> bucket_time(const Options& options, const Time& now) {
    if (options.at.empty()) return std::nullopt;
    auto time = parse_time(options.at);
    if (!time || *time > now)
        throw Error(ErrorKind::usage, "--at: not a time in the past",
                    "Write it like '2026-11-20 12:00'.");
    return time;
}

std::chrono::milliseconds lock_patience(const Options& options) {
    if (auto wait = parse_duration(options.retry_lock))
        return std::chrono::duration_cast<std::chrono::milliseconds>(*wait);
    throw Error(ErrorKind::usage, "--retry-lock: not a duration", "Write it like 5m.");
}

files::ExcludeOptions excludes_of(const config::FilesConfig& source) {
    files::ExcludeOptions options;
    options.patterns = source.exclude;
    options.pattern_files = source.exclude_file;
    options.if_present = source.exclude_if_present;
    options.caches = source.exclude_caches;
    if (source.exclude_larger_than != 0) options.larger_than = source.exclude_larger_than;
    return options;
}

void record(catalog::Catalog* catalog, const config::FilesConfig& source, const Time& started,
            const files::PlaceResult& place, const files::ArchiveResult& archive) {
    bool saved = place.state == files::PlaceResult::State::saved;
    record_run(catalog, {.job = "backup",
                         .source = source.name,
                         .place = place.name,
                         .started = started,
                         .ended = Clock::system().now(),
                         .succeeded = saved,
                         .error = saved         ? ""
                                  : place.error ? place.error->message()
                                                : "could not keep up",
                         .snapshot = saved ? place.snapshot.id.hex() : "",
                         .files = archive.summary.total_files_processed,
                         .bytes = archive.summary.total_bytes_processed,
                         .bytes_stored = place.stats.bytes_packed,
                         .unreadable = archive.unreadable});
}

int back_up_source(Context& context, const config::FilesConfig& source, const Options& options,
                   catalog::Catalog* catalog) {
    const config::AppConfig& config = context.config();
    files::Exclude exclude(excludes_of(source));
    protect::BackupOptions job;
    job.archive.targets = {source.path};
    job.archive.exclude = &exclude;
    job.archive.one_file_system = source.one_file_system;
    job.archive.tags = source.tags;
    job.archive.follow_targets = true;
    job.archive.force = options.force;
    job.archive.dry_run = options.dry_run;
    job.archive.program_version = "sevenfold " SEVENFOLD_VERSION;
    job.guard_against_empty = !options.allow_empty;
    job.min_files = source.min_files;
    job.state_dir = config.app.state_dir;
    job.retry_lock = lock_patience(options);
    std::unique_ptr<storage::Bucket> bucket;
    std::optional<files::BucketContents> contents;
    if (!source.url.empty()) {
        bucket = protect::open_source_bucket(source, context.stop());
        job.archive.time = bucket_time(options, context.clock().now());
        contents.emplace(*bucket, files::BucketContents::Options{
                                      .at = job.archive.time,
                                      .acl = source.acl,
                                      .tags = source.object_tags,
                                      .refresh = options.force,
                                      .workers = source.connections == 0
                                                     ? 16U
                                                     : static_cast<unsigned>(source.connections)});
        job.archive.bucket = &*contents;
    } else if (!options.at.empty()) {
        throw Error(ErrorKind::usage, "--at: only a bucket knows what it held earlier");
    }
    auto place_configs = protect::places_of(config, source);
    auto places =
        protect::open_places(place_configs, {config.app.state_dir + "/cache", context.stop()});
    Time started = context.clock().now();
    BackupOutput output(context, source.name);
    output.attach(job.archive);
    try {
        protect::BackupResult result = protect::back_up(places, job);
        for (const files::PlaceResult& place : result.places)
            if (!options.dry_run) record(catalog, source, started, place, result.archive);
        if (bucket) log_info("source {}: {} requests", source.name, bucket->requests());
        return output.finish(result, options.dry_run);
    } catch (const Error& error) {
        for (const config::PlaceConfig* place : place_configs) {
            files::PlaceResult failed{.name = place->name, .error = error};
            if (!options.dry_run) record(catalog, source, started, failed, {});
        }
        throw;
    }
}

int back_up_database(Context& context, const config::DatabaseConfig& database,
                     const Options& options, catalog::Catalog* catalog) {
    if (options.dry_run) {
        context.terminal().note(printable(database.name) + ": a dry run reads no database");
        return 0;
    }
    if (!options.method.empty() && options.method != "logical" && options.method != "physical")
        throw Error(ErrorKind::usage, "--method: logical or physical");
    return run_database_backup(context, database,
                               {.method = options.method,
                                .force_base = options.base || !options.method.empty(),
                                .allow_privileged = options.privileged,
                                .retry_lock = lock_patience(options)},
                               catalog);
}

int backup(Context& context, const Options& options) {
    const config::AppConfig& config = context.config();
    std::vector<config::SourceConfig> sources = config.sources(options.sources);
    auto catalog = open_catalog(config);
    int worst = 0;
    for (const config::SourceConfig& source : sources) {
        try {
            int code = source.files
                           ? back_up_source(context, *source.files, options, catalog.get())
                           : back_up_database(context, *source.database, options, catalog.get());
            // 3 (some items unreadable) counts less than a failure.
            if (code != 0 && (worst == 0 || worst == exit_code(ErrorKind::partial))) worst = code;
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::interrupted || sources.size() == 1) throw;
            context.terminal().error(error.with_context("source " + source.name()));
            if (worst == 0 || worst == exit_code(ErrorKind::partial))
                worst = exit_code(error.kind());
        }
    }
    if (options.dry_run) return worst;
    std::vector<const config::PlaceConfig*> places;
    for (const config::PlaceConfig& place : config.places)
        if (std::ranges::any_of(sources, [&](const config::SourceConfig& source) {
                const auto& names = source.files ? source.files->places : source.database->places;
                return std::ranges::find(names, place.name) != names.end();
            }))
            places.push_back(&place);
    int code = renew_place_locks(context, places);
    if (code == 0) return worst;
    return worst == 0 || worst == exit_code(ErrorKind::partial) ? code : worst;
}

}  // namespace

void add_backup(CommandTree& tree) {
    auto options = std::make_shared<Options>();
    tree.command("backup", "Back up sources: each is read once and stored at all of its places.",
                 "sevenfold backup              all sources\n"
                 "sevenfold backup uploads      one of them\n"
                 "sevenfold backup --dry-run    what would be stored")
        .arguments("SOURCE", options->sources, "sources to back up (default: all)")
        .flag("-f,--force", options->force, "read all files again, also unchanged ones")
        .flag("-n,--dry-run", options->dry_run, "store nothing, say what would be stored")
        .flag("--allow-empty", options->allow_empty,
              "accept a source that had files and is empty now")
        .flag("--base", options->base, "databases: make a base, though a point would do")
        .option("--method", options->method, "METHOD",
                "databases: logical or physical, instead of the configuration's")
        .flag("--allow-privileged", options->privileged,
              "databases: use an account that may change data or grant rights")
        .option("--at", options->at, "TIME", "buckets with versions: as it was then")
        .option("--retry-lock", options->retry_lock, "DURATION",
                "wait this long for a place that others have locked (default: 1m)")
        .run([options](Context& context) { return backup(context, *options); });
}

}  // namespace sevenfold::cli
