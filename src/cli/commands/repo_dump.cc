// repo dump: a file, or a folder as a tar archive, to standard output.
#include <unistd.h>

#include "cli/commands.h"
#include "cli/repo_options.h"
#include "cli/snapshot_options.h"
#include "core/log.h"
#include "os/file.h"
#include "repository/dump.h"

namespace sevenfold::cli {
namespace {

using repository::Node;

struct Options {
    SnapshotOptions snapshots;
    std::string snapshot, path, archive = "tar", target;
};

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

// "srv//www/" -> "/srv/www"; the root is "".
std::string clean(const std::string& path) {
    std::string out;
    for (size_t at = 0; at < path.size();) {
        size_t end = std::min(path.find('/', at), path.size());
        if (end > at) out += "/" + path.substr(at, end - at);
        at = end + 1;
    }
    return out;
}

Node find_node(const repository::Repository& repository, const Id& root, const std::string& path) {
    std::string name = path.substr(path.rfind('/') + 1);
    Id tree = repository::find_subtree(repository, root, parent_of(path));
    for (Node& node : repository.load_tree(tree))
        if (node.name == name) return std::move(node);
    throw Error(ErrorKind::not_found, fmt::format("{} is not in the snapshot", printable(path)),
                "`sevenfold repo ls` lists what is in it.");
}

void write(const repository::Repository& repository, const Id& root, const Options& options,
           const std::string& path, const repository::Sink& sink, std::stop_token stop) {
    if (path.empty()) return repository::dump_tar(repository, root, "", sink, stop);
    Node node = find_node(repository, root, path);
    if (node.is_file()) return repository::dump_file(repository, node, sink, stop);
    if (!node.subtree)
        throw Error(ErrorKind::usage,
                    fmt::format("{} is neither a file nor a folder", printable(options.path)));
    repository::dump_tar(repository, *node.subtree, path, sink, stop);
}

int dump(Context& context, const RepoOptions& repo, const Options& options) {
    if (options.archive != "tar")
        throw Error(ErrorKind::unsupported,
                    fmt::format("no archive format \"{}\"", printable(options.archive)),
                    "Use tar.");
    auto repository = open_repository(context, repo);
    auto lock = lock_repository(context, *repository, repo, repository::LockMode::shared, true);
    auto spec =
        repository::find_snapshot(*repository, options.snapshot, options.snapshots.filter());
    load_readable_index(*repository);  // what is missing shows when it is wanted
    Id root = repository::find_subtree(*repository, spec.snapshot.tree, spec.subfolder);
    std::string path = clean(options.path);
    if (options.target.empty()) {
        write(*repository, root, options, path, write_stdout, context.stop());
        return 0;
    }
    os::AtomicFile file(options.target);
    write(
        *repository, root, options, path, [&](ByteView bytes) { file.write(bytes); },
        context.stop());
    file.commit(0600);
    return 0;
}

}  // namespace

void add_repo_dump(CommandTree& repo, std::shared_ptr<RepoOptions> shared) {
    auto options = std::make_shared<Options>();
    Command command =
        repo.command("dump", "Write a file, or a folder as a tar archive, to standard output.",
                     "sevenfold repo dump latest /etc/fstab > fstab\n"
                     "sevenfold repo dump latest /srv/www | ssh host tar x -C /\n"
                     "sevenfold repo dump latest / --target everything.tar");
    command.argument("SNAPSHOT", options->snapshot, "id, \"latest\", or either with :FOLDER")
        .argument("PATH", options->path, "file or folder in the snapshot; / is all of it")
        .option("-a,--archive", options->archive, "FORMAT", "of folders: tar")
        .option("-t,--target", options->target, "FILE", "write to this file");
    add_snapshot_options(command, options->snapshots, "latest: ");
    command.run([shared, options](Context& context) { return dump(context, *shared, *options); });
}

}  // namespace sevenfold::cli
