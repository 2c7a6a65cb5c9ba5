// repo ls: what is in a snapshot.
#include "cli/commands.h"
#include "cli/repo_options.h"
#include "cli/snapshot_options.h"
#include "core/log.h"
#include "repository/walk.h"

namespace sevenfold::cli {
namespace {

using repository::Node;
using repository::Step;

struct Options {
    SnapshotOptions snapshots;
    std::string snapshot;
    std::vector<std::string> folders;
    bool details = false, recursive = false;
};

// What to do with an entry when only some folders are listed.
struct Listing {
    const Options& options;

    static bool below(std::string_view path, std::string_view folder) {
        return folder == "/" || (path.starts_with(folder) && path.size() > folder.size() &&
                                 path[folder.size()] == '/');
    }
    bool shown(std::string_view path) const {
        if (options.folders.empty()) return true;
        for (const std::string& folder : options.folders) {
            if (path == folder) return true;
            if (!below(path, folder)) continue;
            size_t from = folder == "/" ? 1 : folder.size() + 1;
            if (options.recursive || path.find('/', from) == path.npos) return true;
        }
        return false;
    }
    bool entered(std::string_view path) const {
        if (options.folders.empty()) return true;
        for (const std::string& folder : options.folders)
            if (path == folder || below(folder, path) || (options.recursive && below(path, folder)))
                return true;
        return false;
    }
};

int ls(Context& context, const RepoOptions& repo, const Options& options) {
    for (const std::string& folder : options.folders)
        if (!folder.starts_with('/') || (folder.size() > 1 && folder.ends_with('/')))
            throw Error(
                ErrorKind::usage,
                fmt::format("folder {} must begin and not end with a slash", printable(folder)));
    auto repository = open_repository(context, repo);
    auto lock = lock_repository(context, *repository, repo, repository::LockMode::shared, true);
    auto spec =
        repository::find_snapshot(*repository, options.snapshot, options.snapshots.filter());
    bool whole = load_readable_index(*repository);
    Id root = repository::find_subtree(*repository, spec.snapshot.tree, spec.subfolder);

    Terminal& terminal = context.terminal();
    const repository::Snapshot& s = spec.snapshot;
    terminal.json(snapshot_json(s).set("message_type", "snapshot").set("struct_type", "snapshot"));
    terminal.note(fmt::format("snapshot {} of [{}] at {}", s.id.short_hex(),
                              printable(joined(s.paths, ", ")), to_display(in_local_zone(s.time))));
    Listing listing{options};
    repository::PathVisitor visitor;
    visitor.visit = [&](const std::string& path, const Node& node) {
        if (listing.shown(path)) {
            terminal.print(node_line(path, node, options.details));
            if (terminal.is_json())
                terminal.json(
                    node_json(path, node).set("message_type", "node").set("struct_type", "node"));
        }
        return listing.entered(path) ? Step::into : Step::over;
    };
    bool damaged = false;
    visitor.failed = [&](const std::string& path, const Error& error) {
        damaged = true;
        terminal.error(error.with_context(path.empty() ? "/" : path));
    };
    repository::walk_paths(*repository, root, "", visitor, context.stop());
    return damaged || !whole ? exit_code(ErrorKind::corrupt) : 0;
}

}  // namespace

void add_repo_ls(CommandTree& repo, std::shared_ptr<RepoOptions> shared) {
    auto options = std::make_shared<Options>();
    Command command = repo.command("ls", "List the files in a snapshot.",
                                   "sevenfold repo ls latest\n"
                                   "sevenfold repo ls -l 1a2b3c4d /srv/www\n"
                                   "sevenfold repo ls latest:/srv/www");
    command.argument("SNAPSHOT", options->snapshot, "id, \"latest\", or either with :FOLDER")
        .arguments("FOLDER", options->folders, "only what is directly in these folders")
        .flag("-l,--long", options->details, "with mode, owner, size and time")
        .flag("--recursive", options->recursive, "also what is further below FOLDER");
    add_snapshot_options(command, options->snapshots, "latest: ");
    command.run([shared, options](Context& context) { return ls(context, *shared, *options); });
}

}  // namespace sevenfold::cli
