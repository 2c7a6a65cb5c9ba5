// Loading snapshots, and finding the one that somebody means.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/log.h"
#include "core/parallel.h"
#include "repository/snapshot.h"

namespace sevenfold::repository {
namespace {

using storage::FileName;
using storage::FileType;

constexpr const char* kListHint = "`sevenfold repo snapshots` lists them.";

struct Loaded {
    std::optional<Snapshot> snapshot;
    std::optional<Error> error;
};

Loaded try_load(const Repository& repository, const Id& id) try {
    return {load_snapshot(repository, id), std::nullopt};
} catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::not_found) throw;
    return {std::nullopt, error};
}

// A snapshot that vanished between listing and loading was forgotten by somebody; one that is still
// listed but cannot be loaded is an error: it must never look as if it did not exist.
void drop_forgotten(const Repository& repository, std::vector<Loaded>& loaded,
                    const std::vector<storage::FileInfo>& files) {
    bool missing = std::any_of(loaded.begin(), loaded.end(), [](const Loaded& one) {
        return one.error && one.error->kind() == ErrorKind::not_found;
    });
    if (!missing) return;
    std::vector<Id> now;
    repository.backend().list(FileType::snapshot,
                              [&](const storage::FileInfo& file) { now.push_back(file.id); });
    for (size_t i = 0; i < loaded.size(); ++i) {
        bool listed = std::find(now.begin(), now.end(), files[i].id) != now.end();
        if (loaded[i].error && loaded[i].error->kind() == ErrorKind::not_found && !listed)
            loaded[i].error.reset();
    }
}

Snapshot find_latest(const Repository& repository, const SnapshotFilter& filter) {
    std::vector<Error> damaged;
    std::vector<Snapshot> all = load_snapshots(repository, &damaged);
    for (const Error& error : damaged)
        log_warning("{}; looking for the latest among the others", error.message());
    auto newest = std::find_if(all.rbegin(), all.rend(),
                               [&](const Snapshot& one) { return filter.matches(one); });
    if (newest != all.rend()) return std::move(*newest);
    if (!damaged.empty()) throw damaged.front();
    throw Error(ErrorKind::not_found,
                all.empty() ? "the repository holds no snapshots"
                            : "no snapshot matches the given host, tags and paths",
                all.empty() ? "Make one with `sevenfold backup`." : kListHint);
}

Snapshot find_by_prefix(const Repository& repository, std::string_view prefix) {
    if (auto id = Id::parse(prefix)) {
        try {
            return load_snapshot(repository, *id);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::not_found) throw;
            throw Error(ErrorKind::not_found, fmt::format("there is no snapshot {}", prefix),
                        kListHint);
        }
    }
    std::vector<Id> found;
    repository.backend().list(FileType::snapshot, [&](const storage::FileInfo& file) {
        if (file.id.hex().starts_with(prefix)) found.push_back(file.id);
    });
    if (found.empty())
        throw Error(ErrorKind::not_found,
                    fmt::format("no snapshot's id begins with \"{}\"", printable(prefix)),
                    kListHint);
    if (found.size() > 1)
        throw Error(ErrorKind::usage,
                    fmt::format("the ids of {} snapshots begin with \"{}\"", found.size(), prefix),
                    std::string("Give more digits. ") + kListHint);
    return load_snapshot(repository, found[0]);
}

// "/a//b/" -> "a/b".
std::string normal_subfolder(std::string_view path) {
    std::string out;
    while (!path.empty()) {
        size_t slash = std::min(path.find('/'), path.size());
        if (slash > 0) {
            if (!out.empty()) out += '/';
            out += path.substr(0, slash);
        }
        path.remove_prefix(std::min(slash + 1, path.size()));
    }
    return out;
}

}  // namespace

Snapshot load_snapshot(const Repository& repository, const Id& id) {
    Bytes json = repository.load_unpacked(FileType::snapshot, id);
    try {
        Snapshot snapshot = decode_snapshot(json);
        snapshot.id = id;
        return snapshot;
    } catch (const Error& error) {
        throw error.with_context(FileName{FileType::snapshot, id}.display());
    }
}

std::vector<Snapshot> load_snapshots(const Repository& repository, std::vector<Error>* damaged) {
    std::vector<storage::FileInfo> files = repository.backend().list_all(FileType::snapshot);
    std::vector<Loaded> loaded(files.size());
    parallel_for(files.size(), repository.backend().capabilities().connections,
                 [&](size_t i) { loaded[i] = try_load(repository, files[i].id); });
    drop_forgotten(repository, loaded, files);
    std::vector<Snapshot> out;
    for (Loaded& one : loaded) {
        if (one.snapshot) out.push_back(std::move(*one.snapshot));
        if (!one.error) continue;
        if (!damaged || one.error->kind() != ErrorKind::corrupt) throw *one.error;
        damaged->push_back(*one.error);
    }
    std::sort(out.begin(), out.end(), [](const Snapshot& a, const Snapshot& b) {
        return a.time != b.time ? a.time < b.time : a.id < b.id;
    });
    return out;
}

void save_snapshot(const Repository& repository, Snapshot& snapshot) {
    snapshot.id = repository.save_unpacked(FileType::snapshot, as_bytes(encode_snapshot(snapshot)));
}

bool SnapshotFilter::matches(const Snapshot& snapshot) const {
    auto has_list = [&](const std::vector<std::string>& list) {
        return std::all_of(list.begin(), list.end(), [&](const std::string& tag) {
            // restic: an empty tag stands for "no tags at all".
            return tag.empty() ? snapshot.tags.empty() : snapshot.has_tag(tag);
        });
    };
    auto has_path = [&](const std::string& path) {
        return std::find(snapshot.paths.begin(), snapshot.paths.end(), path) !=
               snapshot.paths.end();
    };
    return (hosts.empty() ||
            std::find(hosts.begin(), hosts.end(), snapshot.hostname) != hosts.end()) &&
           (tag_lists.empty() || std::any_of(tag_lists.begin(), tag_lists.end(), has_list)) &&
           std::all_of(paths.begin(), paths.end(), has_path);
}

SnapshotSpec find_snapshot(const Repository& repository, std::string_view text,
                           const SnapshotFilter& filter) {
    size_t colon = std::min(text.find(':'), text.size());
    std::string_view name = text.substr(0, colon);
    if (name.empty())
        throw Error(ErrorKind::usage, "no snapshot given",
                    "Give \"latest\", an id or the beginning of an id.");
    SnapshotSpec out;
    out.snapshot =
        name == "latest" ? find_latest(repository, filter) : find_by_prefix(repository, name);
    if (colon < text.size()) out.subfolder = normal_subfolder(text.substr(colon + 1));
    return out;
}

Id find_subtree(const Repository& repository, const Id& root, std::string_view path) {
    std::string rest = normal_subfolder(path);
    std::string_view left = rest;
    Id tree = root;
    while (!left.empty()) {
        size_t slash = std::min(left.find('/'), left.size());
        std::string_view name = left.substr(0, slash);
        std::vector<Node> nodes = repository.load_tree(tree);
        auto node = std::lower_bound(nodes.begin(), nodes.end(), name,
                                     [](const Node& a, std::string_view b) { return a.name < b; });
        if (node == nodes.end() || node->name != name)
            throw Error(ErrorKind::not_found,
                        fmt::format("the snapshot has no folder \"{}\"", printable(rest)),
                        "`sevenfold repo ls` shows what it holds.");
        if (!node->is_dir() || !node->subtree)
            throw Error(ErrorKind::not_found,
                        fmt::format("\"{}\" in the snapshot is no folder: \"{}\" is a {}",
                                    printable(rest), printable(name), repository::name(node->type)),
                        "`sevenfold repo ls` shows what it holds.");
        tree = *node->subtree;
        left.remove_prefix(std::min(slash + 1, left.size()));
    }
    return tree;
}

}  // namespace sevenfold::repository
