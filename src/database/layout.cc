#include "database/layout.h"

#include <fmt/format.h>

#include "repository/dump.h"

namespace sevenfold::database {

using repository::Node;
using repository::Repository;
using repository::Snapshot;

std::string snapshot_path(const std::string& database, SnapshotKind kind) {
    const char* name = kind == SnapshotKind::base  ? "base"
                       : kind == SnapshotKind::log ? "binlog"
                                                   : "point";
    return fmt::format("/sevenfold/database/{}/{}", database, name);
}

std::vector<Snapshot> find_snapshots(const Repository& repository, const std::string& database,
                                     SnapshotKind kind, std::vector<Error>* damaged) {
    std::vector<Snapshot> found = repository::load_snapshots(repository, damaged);
    std::string path = snapshot_path(database, kind);
    std::erase_if(found, [&](const Snapshot& snapshot) {
        return snapshot.paths.size() != 1 || snapshot.paths[0] != path;
    });
    return found;
}

Node find_file(const Repository& repository, const Id& tree, const std::string& path) {
    size_t slash = path.rfind('/');
    Id folder = slash == path.npos
                    ? tree
                    : repository::find_subtree(repository, tree, path.substr(0, slash));
    std::string name = slash == path.npos ? path : path.substr(slash + 1);
    for (Node& node : repository.load_tree(folder))
        if (node.name == name) return std::move(node);
    throw Error(ErrorKind::not_found, fmt::format("{}: not in this snapshot", path));
}

Bytes load_file(const Repository& repository, const Id& tree, const std::string& path,
                uint64_t limit) {
    Node node = find_file(repository, tree, path);
    if (!node.is_file() || node.size > limit)
        throw Error(ErrorKind::corrupt, fmt::format("{}: not a file of a usable size", path));
    Bytes out;
    out.reserve(node.size);
    repository::dump_file(repository, node, [&](ByteView bytes) { append(out, bytes); });
    return out;
}

}  // namespace sevenfold::database
