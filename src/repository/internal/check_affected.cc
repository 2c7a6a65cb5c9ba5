// What the damage means: which files of which snapshots cannot be restored.
#include <algorithm>

#include "repository/internal/checker.h"
#include "repository/walk.h"

namespace sevenfold::repository::internal {

bool Checker::anything_lost() const {
    return !lost_trees_.empty() || !missing_blobs_.empty() || missing_references_ > 0 ||
           !missing_packs_.empty() || !damaged_copies_.empty();
}

bool Checker::lost(const BlobHandle& blob) const {
    for (const BlobLocation& copy : repository_.index().find_all(blob))
        if (!missing_packs_.contains(copy.pack) &&
            !damaged_copies_.contains({copy.pack, copy.blob.offset}))
            return false;
    return true;
}

bool Checker::file_lost(const Node& node) const {
    return std::any_of(node.content.begin(), node.content.end(), [&](const Id& id) {
        return lost({BlobType::data, id});
    });
}

void Checker::find_affected() {
    IdSet clean;  // trees below which nothing is lost
    for (const Snapshot& snapshot : snapshots_) {
        check_stop();
        examine(snapshot, clean);
    }
}

void Checker::examine(const Snapshot& snapshot, IdSet& clean) {
    AffectedSnapshot result{.snapshot = snapshot};
    auto note = [&](const std::string& path) {
        if (result.paths.size() < options_.max_paths) result.paths.push_back(path);
    };
    // The losses counted so far when each open directory was entered: equal at its end, it is
    // clean.
    std::vector<uint64_t> before;
    auto losses = [&] { return result.files + result.directories; };
    PathVisitor visitor;
    visitor.visit = [&](const std::string& path, const Node& node) {
        if (node.is_file() && file_lost(node)) {
            ++result.files;
            note(path);
        }
        if (!node.subtree || clean.contains(*node.subtree)) return Step::over;
        if (lost_trees_.contains(*node.subtree)) {
            ++result.directories;
            note(path + "/");
            return Step::over;
        }
        before.push_back(losses());
        return Step::into;
    };
    visitor.leave = [&](const std::string&, const Node& node) {
        if (before.back() == losses()) clean.insert(*node.subtree);
        before.pop_back();
    };
    visitor.failed = [&](const std::string& path, const Error&) {
        if (!before.empty()) before.pop_back();
        ++result.directories;
        note(path + "/");
    };
    if (lost_trees_.contains(snapshot.tree)) {
        result.root_lost = true;
        result.directories = 1;
        note("/");
    } else if (!clean.contains(snapshot.tree)) {
        walk_paths(repository_, snapshot.tree, "", visitor, options_.stop);
        if (losses() == 0) clean.insert(snapshot.tree);
    }
    if (losses() > 0) report_.affected.push_back(std::move(result));
}

}  // namespace sevenfold::repository::internal
