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

// The newest snapshot that is not younger than wanted, or the one named.
const repository::Snapshot* choose(const std::vector<repository::Snapshot>& snapshots,
                                   const std::string& at) {
    if (at == "latest") return snapshots.empty() ? nullptr : &snapshots.back();
    const repository::Snapshot* found = nullptr;
    std::optional<Time> until;
    tm fields{};
    for (const char* format : {"%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"}) {
        fields = {};
        const char* end = strptime(at.c_str(), format, &fields);
        if (end == nullptr || *end != 0) continue;
        fields.tm_isdst = -1;
        if (std::string_view(format) == "%Y-%m-%d") fields.tm_mday += 1;  // the whole day
        until = Time{mktime(&fields), 0, 0};
        break;
    }
    for (const auto& snapshot : snapshots) {
        bool taken = until ? snapshot.time <= *until : snapshot.id.hex().starts_with(at);
        if (taken) found = &snapshot;
    }
    return found;
}

int restore(Context& context, const Options& options) {
    const config::AppConfig& config = context.config();
    const config::FilesConfig& source = config.source(options.source);
    RestoreArguments arguments = options.restore;
    if (arguments.target.empty())
        throw Error(ErrorKind::usage, "no target given", "Say where to with --target DIR.");
    // In a given order of places: the first that works and has the snapshot.
    std::optional<Error> last;
    for (const config::PlaceConfig* place : protect::places_of(config, source)) {
        if (!options.place.empty() && place->name != options.place) continue;
        try {
            auto repository = protect::open_place(*place, config.app.state_dir + "/cache");
            auto snapshots = protect::snapshots_of(source, *repository);
            const repository::Snapshot* snapshot = choose(snapshots, options.at);
            if (!snapshot)
                throw Error(ErrorKind::not_found,
                            fmt::format("place {} has no snapshot of {} for \"{}\"", place->name,
                                        source.name, options.at),
                            "`sevenfold snapshots` lists what there is.");
            repository->load_index();
            context.terminal().note(
                fmt::format("restoring {} as of {} from {}", printable(source.name),
                            to_display(in_local_zone(snapshot->time)), printable(place->name)));
            // The source's own folder becomes the target's content.
            std::string path = source.path;
            if (!options.path.empty()) path += "/" + options.path;
            return run_restore(context, *repository, *snapshot, path, arguments);
        } catch (const Error& error) {
            bool place_fault = error.kind() != ErrorKind::usage &&
                               error.kind() != ErrorKind::refused &&
                               error.kind() != ErrorKind::interrupted;
            if (!place_fault) throw;
            log_warning("{}", error.message());
            last = error;
        }
    }
    if (!last) {
        config.place(options.place);  // an unknown name is an error
        throw Error(ErrorKind::usage,
                    fmt::format("source {} is not kept at place {}", source.name, options.place));
    }
    throw *last;
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
