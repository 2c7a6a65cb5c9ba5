// restore: a source as it was, from any of its places.
#include "cli/commands.h"
#include "cli/restore_output.h"
#include "core/log.h"
#include "protect/places.h"
#include "protect/status.h"

namespace sevenfold::cli {
namespace {

struct Options {
    std::string source, at = "latest", place, path;
    RestoreArguments restore;
};

using repository::Snapshot;

// "2026-11-20", "2026-11-20 12:00", "2026-11-20 12:00:00" in the local zone; a day means its end.
std::optional<Time> parse_time(const std::string& text) {
    for (const char* format : {"%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"}) {
        tm fields{};
        const char* end = strptime(text.c_str(), format, &fields);
        if (end == nullptr || *end != 0) continue;
        fields.tm_isdst = -1;
        if (std::string_view(format) == "%Y-%m-%d") fields.tm_mday += 1;
        return Time{mktime(&fields), 0, 0};
    }
    return std::nullopt;
}

// The newest snapshot, the newest that is not younger than wanted, or the one named.
const Snapshot* choose(const std::vector<Snapshot>& snapshots, const std::string& at,
                       const Time& now) {
    if (at == "latest") return protect::newest_of(snapshots, now);
    const Snapshot* found = nullptr;
    std::optional<Time> until = parse_time(at);
    for (const Snapshot& snapshot : snapshots) {
        bool taken = until ? snapshot.time <= *until : snapshot.id.hex().starts_with(at);
        if (taken) found = &snapshot;
    }
    return found;
}

struct Candidate {
    const config::PlaceConfig* place;
    std::shared_ptr<repository::Repository> repository;
    Snapshot snapshot;
};

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
    auto opened = protect::open_places(places, {config.app.state_dir + "/cache", context.stop()});
    for (size_t i = 0; i < places.size(); ++i) {
        try {
            if (opened[i].error) throw *opened[i].error;
            std::vector<Error> damaged;
            auto snapshots = protect::snapshots_of(source, *opened[i].repository, &damaged);
            for (const Error& error : damaged)
                log_warning("place {}: {}", places[i]->name, error.message());
            const Snapshot* snapshot = choose(snapshots, options.at, context.clock().now());
            if (!snapshot)
                throw Error(ErrorKind::not_found,
                            fmt::format("place {} has no snapshot of {} for \"{}\"",
                                        places[i]->name, source.name, options.at),
                            "`sevenfold snapshots` lists what there is.");
            out.push_back({places[i], opened[i].repository, *snapshot});
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::interrupted) throw;
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

// Something is wrong with the place, and another may do better.
bool is_fault_of_place(const Error& error) {
    return error.kind() != ErrorKind::usage && error.kind() != ErrorKind::refused &&
           error.kind() != ErrorKind::interrupted;
}

int restore(Context& context, const Options& options) {
    const config::FilesConfig& source = context.config().source(options.source);
    if (options.restore.target.empty())
        throw Error(ErrorKind::usage, "no target given", "Say where to with --target DIR.");
    // The source's own folder becomes the target's content.
    std::string path = source.path;
    if (!options.path.empty()) path += "/" + options.path;
    std::vector<Candidate> all = candidates(context, source, options);
    for (size_t i = 0;; ++i) {
        const Candidate& candidate = all[i];
        try {
            candidate.repository->load_index();
            context.terminal().note(fmt::format("restoring {} as of {} from {}",
                                                printable(source.name),
                                                to_display(in_local_zone(candidate.snapshot.time)),
                                                printable(candidate.place->name)));
            return run_restore(context, *candidate.repository, candidate.snapshot, path,
                               options.restore);
        } catch (const Error& error) {
            if (!is_fault_of_place(error) || i + 1 == all.size()) throw;
            log_warning("{}", error.message());
        }
    }
}

}  // namespace

void add_restore(CommandTree& tree) {
    auto options = std::make_shared<Options>();
    Command command = tree.command(
        "restore", "Restore a source to a folder, from any place that has it.",
        "sevenfold restore uploads --target /tmp/uploads\n"
        "sevenfold restore uploads --at '2026-11-20 12:00' --place offsite --target /tmp/u\n"
        "sevenfold restore uploads --target /srv/uploads --overwrite always    in place");
    command.argument("SOURCE", options->source, "the source's name")
        .option("--at", options->at, "TIME|SNAPSHOT", "the newest not after this time, or an id")
        .option("--place", options->place, "NAME", "from this place only")
        .option("--path", options->path, "PATH", "only this folder inside the source");
    add_restore_arguments(command, options->restore);
    command.run([options](Context& context) { return restore(context, *options); });
}

}  // namespace sevenfold::cli
