#include "repository/stats.h"

#include <fmt/format.h>

#include <mutex>
#include <set>

#include "core/error.h"
#include "crypto/sha256.h"
#include "repository/id_set.h"
#include "repository/walk.h"

namespace sevenfold::repository {
namespace {

// One name for the content of a file: the hash over its blobs' ids.
Id content_id(const Node& node) {
    crypto::Sha256 hash;
    for (const Id& id : node.content) hash.update(id.view());
    return hash.digest();
}
Id path_and_blob(const std::string& path, const Id& blob) {
    crypto::Sha256 hash;
    hash.update(blob.view());
    hash.update(as_bytes(path));
    return hash.digest();
}

void count_restore_size(const Node& node, std::set<std::pair<uint64_t, uint64_t>>& linked,
                        RepositoryStats& out) {
    ++out.files;
    if (!node.is_file()) return;
    // Further names of a file take no space.
    if (node.links > 1 && node.inode != 0 && !linked.insert({node.device_id, node.inode}).second)
        return;
    out.size += node.size;
}

void count_blobs(const Repository& repository, const std::string& path, const Node& node,
                 IdSet& paths, IdSet& seen, RepositoryStats& out) {
    for (const Id& id : node.content) {
        if (paths.insert(crypto::sha256(as_bytes(path)))) ++out.files;
        if (!seen.insert(path_and_blob(path, id))) continue;
        ++out.blobs;
        if (auto found = repository.index().find({BlobType::data, id}))
            out.size += found->blob.plaintext_length();
    }
}

void count_raw_data(const Repository& repository, std::span<const Snapshot> snapshots,
                    std::stop_token stop, RepositoryStats& out) {
    std::vector<Id> roots;
    for (const Snapshot& snapshot : snapshots) roots.push_back(snapshot.tree);
    std::mutex mutex;
    IdSet data;
    auto count = [&](const BlobHandle& blob) {
        ++out.blobs;
        if (auto found = repository.index().find(blob)) {
            out.size += found->blob.length;
            out.uncompressed_size += found->blob.plaintext_length();
        }
    };
    TreeVisitor visitor;
    visitor.visit = [&](const Id& tree, const std::vector<Node>& nodes) {
        std::lock_guard lock(mutex);
        count({BlobType::tree, tree});
        for (const Node& node : nodes)
            for (const Id& id : node.content)
                if (data.insert(id)) count({BlobType::data, id});
    };
    walk_all_trees(repository, roots, visitor, stop);
}

}  // namespace

StatsMode parse_stats_mode(std::string_view text) {
    if (text == "restore-size") return StatsMode::restore_size;
    if (text == "files-by-contents") return StatsMode::files_by_contents;
    if (text == "blobs-per-file") return StatsMode::blobs_per_file;
    if (text == "raw-data") return StatsMode::raw_data;
    throw Error(ErrorKind::usage, fmt::format("unknown counting mode \"{}\"", text),
                "Modes: restore-size, files-by-contents, blobs-per-file, raw-data.");
}

RepositoryStats repository_stats(const Repository& repository, std::span<const Snapshot> snapshots,
                                 StatsMode mode, std::stop_token stop) {
    RepositoryStats out;
    out.snapshots = snapshots.size();
    if (mode == StatsMode::raw_data) {
        count_raw_data(repository, snapshots, stop, out);
        return out;
    }
    IdSet contents, paths, seen;
    for (const Snapshot& snapshot : snapshots) {
        std::set<std::pair<uint64_t, uint64_t>> linked;
        PathVisitor visitor;
        visitor.visit = [&](const std::string& path, const Node& node) {
            if (mode == StatsMode::restore_size) {
                count_restore_size(node, linked, out);
            } else if (node.is_file() && mode == StatsMode::files_by_contents) {
                if (contents.insert(content_id(node))) {
                    ++out.files;
                    out.size += node.size;
                }
            } else if (node.is_file() && contents.insert(content_id(node))) {
                // As restic does: a content that was met under another name is not counted again.
                count_blobs(repository, path, node, paths, seen, out);
            }
            return Step::into;
        };
        walk_paths(repository, snapshot.tree, "", visitor, stop);
    }
    return out;
}

}  // namespace sevenfold::repository
