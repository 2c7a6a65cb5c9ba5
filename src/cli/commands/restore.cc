// restore: a source as it was, from any of its places.
#include <set>

#include "cli/commands.h"
#include "cli/repo_options.h"
#include "cli/restore_output.h"
#include "cli/snapshot_options.h"
#include "cli/times.h"
#include "config/document.h"
#include "core/log.h"
#include "os/identity.h"
#include "protect/places.h"
#include "protect/status.h"
#include "repository/lock.h"

namespace sevenfold::cli {
namespace {

struct Options {
    std::string source, at = "latest", place, path, host, as_of;
    RestoreArguments restore;
};

using repository::Snapshot;

// The newest snapshot, the newest that is not younger than wanted, or the one named. Throws usage
// when `at` is neither or names several.
const Snapshot* choose(const std::vector<Snapshot>& snapshots, const std::string& at,
                       const Time& now) {
    if (at == "latest") return protect::newest_of(snapshots, now);
    const Snapshot* found = nullptr;
    if (auto until = parse_time(at)) {
        for (const Snapshot& snapshot : snapshots)
            if (snapshot.time <= *until) found = &snapshot;
        return found;
    }
    bool is_id = at.size() >= 4 && at.find_first_not_of("0123456789abcdef") == at.npos;
    if (!is_id)
        throw Error(ErrorKind::usage, fmt::format("--at \"{}\": neither a time nor an id", at),
                    "Write '2026-11-20 12:00', or at least 4 digits of a snapshot's id.");
    for (const Snapshot& snapshot : snapshots) {
        if (!snapshot.id.hex().starts_with(at)) continue;
        if (found)
            throw Error(ErrorKind::usage, fmt::format("several snapshots' ids begin with {}", at),
                        "Give more digits of the id.");
        found = &snapshot;
    }
    return found;
}

struct Candidate {
    const config::PlaceConfig* place;
    std::shared_ptr<repository::Repository> repository;
    Snapshot snapshot;
    std::unique_ptr<repository::Lock> lock;  // null where locking is not possible
};

// So that nobody removes what is being read. A place that may only be read cannot be locked, and
// one that somebody else works on exclusively must not stop a recovery: the data is immutable.
std::unique_ptr<repository::Lock> try_lock(Context& context, const config::PlaceConfig& place,
                                           const repository::Repository& repository) {
    try {
        return std::make_unique<repository::Lock>(repository,
                                                  repository::LockOptions{.stop = context.stop()});
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) throw;
        log_warning("place {} is read without a lock: {}", place.name, error.message());
        return nullptr;
    }
}

// On a new machine the snapshots are those of the old one's name.
std::string no_snapshot_hint(const config::FilesConfig& source,
                             const repository::Repository& repository, const Options& options) {
    std::set<std::string> hosts;
    std::vector<Error> damaged;
    for (const Snapshot& snapshot : repository::load_snapshots(repository, &damaged))
        if (snapshot.paths == std::vector{source.path}) hosts.insert(snapshot.hostname);
    hosts.erase(options.host.empty() ? os::host_name() : options.host);
    if (hosts.empty()) return "`sevenfold snapshots` lists what there is.";
    return fmt::format("It has some of other hosts: use --host {}.",
                       fmt::join(hosts, " or --host "));
}

// What the places offer, the best first: the newest snapshot, and of equal ones that of the place
// named first in the configuration. Throws the last reason when none has any.
std::vector<Candidate> candidates(Context& context, const config::FilesConfig& source,
                                  const Options& options) {
    const config::AppConfig& config = context.config();
    std::vector<const config::PlaceConfig*> places = protect::places_of(config, source);
    if (!options.place.empty()) {
        const config::PlaceConfig* only = &config.place(options.place);  // an error when unknown
        if (std::erase_if(places, [&](auto* place) { return place != only; }); places.empty())
            throw Error(ErrorKind::usage, fmt::format("source {} is not kept at place {}",
                                                      source.name, options.place));
    }
    std::vector<Candidate> out;
    std::vector<Error> problems;
    auto opened = protect::open_places(
        places, {config.app.state_dir + "/cache", context.stop(), past_moment(options.as_of)});
    for (size_t i = 0; i < places.size(); ++i) {
        try {
            if (opened[i].error) throw *opened[i].error;
            auto lock = try_lock(context, *places[i], *opened[i].repository);
            std::vector<Error> damaged;
            auto snapshots =
                protect::snapshots_of(source, *opened[i].repository, &damaged, options.host);
            for (const Error& error : damaged)
                log_warning("place {}: {}", places[i]->name, error.message());
            const Snapshot* snapshot = choose(snapshots, options.at, context.clock().now());
            if (!snapshot)
                throw Error(ErrorKind::not_found,
                            fmt::format("place {} has no snapshot of {} for \"{}\"",
                                        places[i]->name, source.name, options.at),
                            no_snapshot_hint(source, *opened[i].repository, options));
            out.push_back({places[i], opened[i].repository, *snapshot, std::move(lock)});
        } catch (const Error& error) {
            bool ours = error.kind() == ErrorKind::interrupted || error.kind() == ErrorKind::usage;
            if (ours) throw;
            problems.push_back(error);
        }
    }
    if (out.empty()) throw problems.back();
    for (const Error& error : problems) log_warning("{}", error.message());
    std::ranges::stable_sort(out, [](const Candidate& a, const Candidate& b) {
        return a.snapshot.time > b.snapshot.time;
    });
    return out;
}

// Nothing that is kept here may be overwritten or deleted by what comes back.
std::vector<KeepOut> keep_out(const config::LoadedConfig& loaded) {
    std::vector<KeepOut> out;
    for (const config::PlaceConfig& place : loaded.config.places) {
        if (auto path = config::local_path(place.url))
            out.push_back({*path, "place " + place.name, false});
        if (!place.password_file.empty())
            out.push_back({place.password_file, "the password of place " + place.name, true});
    }
    out.push_back({loaded.config.app.state_dir, "the state folder", true});
    out.push_back({loaded.path, "the configuration", true});
    return out;
}

std::vector<std::pair<storage::Location, std::string>> keep_out_buckets(
    const config::AppConfig& config) {
    std::vector<std::pair<storage::Location, std::string>> out;
    for (const config::PlaceConfig& place : config.places)
        if (place.url.starts_with("s3:"))
            out.emplace_back(storage::parse_location(place.url), "place " + place.name);
    return out;
}

// What the configuration says of the target's bucket, where it is a source's.
void use_settings_of_bucket(const config::AppConfig& config, RestoreArguments& arguments) {
    const storage::Location target = storage::parse_location(arguments.target);
    for (const config::FilesConfig& source : config.files) {
        if (source.url.empty()) continue;
        if (!is_same_bucket(storage::parse_location(source.url), target)) continue;
        auto take = [](std::string& mine, const std::string& theirs) {
            if (mine.empty()) mine = theirs;
        };
        take(arguments.region, source.region);
        take(arguments.credentials, source.credentials);
        take(arguments.bucket_lookup, source.bucket_lookup);
        take(arguments.ca_file, source.ca_file);
        return;
    }
}

// Another place has the same content, for going on where this one failed.
const Candidate* twin_of(const std::vector<Candidate>& all, size_t number) {
    for (size_t i = number + 1; i < all.size(); ++i)
        if (all[i].snapshot.tree == all[number].snapshot.tree) return &all[i];
    return nullptr;
}

int restore(Context& context, const Options& options) {
    const config::FilesConfig& source = context.config().source(options.source);
    RestoreArguments arguments = options.restore;
    arguments.keep_out = keep_out(context.loaded());
    arguments.keep_out_buckets = keep_out_buckets(context.config());
    if (is_bucket(arguments)) use_settings_of_bucket(context.config(), arguments);
    check_restore_target(context, arguments);
    // The source's own folder becomes the target's content.
    std::string path = source.path;
    if (!options.path.empty()) path += "/" + options.path;
    std::vector<Candidate> all = candidates(context, source, options);
    for (size_t i = 0;; ++i) {
        const Candidate& candidate = all[i];
        const Candidate* twin = twin_of(all, i);
        try {
            bool whole = load_readable_index(*candidate.repository);
            context.terminal().note(fmt::format("restoring {} as of {} from {}",
                                                printable(source.name),
                                                to_display(in_local_zone(candidate.snapshot.time)),
                                                printable(candidate.place->name)));
            int code =
                run_restore(context, *candidate.repository, candidate.snapshot, path, arguments);
            if (!whole) code = std::max(code, 1);
            if (code != 0 && twin)
                context.terminal().note(fmt::format(
                    "hint: What is missing may be at place {}: run it again with --place "
                    "{} --overwrite always.",
                    printable(twin->place->name), printable(twin->place->name)));
            return code;
        } catch (const Error& error) {
            // The place went away: another goes on with what is there already.
            bool lost = error.kind() == ErrorKind::network || error.kind() == ErrorKind::timeout;
            if (!lost || !twin) throw;
            log_warning("place {}: {}", candidate.place->name, error.message());
            if (arguments.overwrite.empty()) arguments.overwrite = "always";
            i = static_cast<size_t>(twin - all.data()) - 1;
        }
    }
}

}  // namespace

void add_restore(CommandTree& tree) {
    auto options = std::make_shared<Options>();
    Command command = tree.command(
        "restore", "Restore a source to a folder or a bucket, from any place that has it.",
        "sevenfold restore uploads --target /tmp/uploads\n"
        "sevenfold restore uploads --at '2026-11-20 12:00' --place offsite --target /tmp/u\n"
        "sevenfold restore uploads --target /srv/uploads --overwrite always    in place\n"
        "sevenfold restore uploads --target s3:https://s3.example.net/shop-uploads");
    command.argument("SOURCE", options->source, "the source's name")
        .option("--at", options->at, "TIME|SNAPSHOT", "the newest not after this time, or an id")
        .option("--place", options->place, "NAME", "from this place only")
        .option("--place-as-of", options->as_of, "TIME",
                "read places as they were then, whatever was deleted or overwritten since (S3 "
                "buckets with versions)")
        .option("--host", options->host, "NAME",
                "of the machine that made the snapshots (default: this one's)")
        .option("--path", options->path, "PATH", "only this folder inside the source");
    add_restore_arguments(command, options->restore);
    command.run([options](Context& context) { return restore(context, *options); });
}

}  // namespace sevenfold::cli
