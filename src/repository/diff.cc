#include "repository/diff.h"

#include <algorithm>
#include <mutex>
#include <unordered_set>

#include "core/error.h"
#include "repository/walk.h"

namespace sevenfold::repository {
namespace {

using BlobSet = std::unordered_set<BlobHandle, BlobHandleHash>;

void collect(BlobSet& blobs, const Node& node) {
    for (const Id& id : node.content) blobs.insert({BlobType::data, id});
    if (node.subtree) blobs.insert({BlobType::tree, *node.subtree});
}

// All of a node, content included, but not the zone its times were written in.
bool same(Node a, Node b) {
    for (Node* node : {&a, &b})
        for (Time* time : {&node->mtime, &node->atime, &node->ctime}) time->offset = 0;
    Bytes first, second;
    encode_node(first, a);
    encode_node(second, b);
    return first == second;
}

class Comparison {
  public:
    Comparison(const Repository& repository, const DiffOptions& options, const DiffEntry& each)
        : repository_(repository), options_(options), each_(each) {}

    DiffStats run(const Id& before, const Id& after) {
        before_.insert({BlobType::tree, before});
        after_.insert({BlobType::tree, after});
        if (before == after)
            common_.push_back(before);
        else
            compare(before, after, "");
        count_blobs();
        return stats_;
    }

  private:
    void compare(const Id& before, const Id& after, const std::string& prefix) {
        if (options_.stop.stop_requested()) throw Error(ErrorKind::interrupted, "diff interrupted");
        std::vector<Node> left = repository_.load_tree(before);
        std::vector<Node> right = repository_.load_tree(after);
        auto l = left.begin(), r = right.begin();
        while (l != left.end() || r != right.end()) {
            if (r == right.end() || (l != left.end() && l->name < r->name))
                one_sided(*l++, prefix, "-", stats_.removed, before_);
            else if (l == left.end() || r->name < l->name)
                one_sided(*r++, prefix, "+", stats_.added, after_);
            else
                both(*l++, *r++, prefix);
        }
    }

    void both(const Node& left, const Node& right, const std::string& prefix) {
        collect(before_, left);
        collect(after_, right);
        std::string path = prefix + "/" + right.name;
        std::string modifier;
        if (left.type != right.type) modifier += 'T';
        if (left.is_file() && right.is_file() && left.content != right.content) {
            modifier += 'M';
            ++stats_.changed_files;
        } else if (options_.metadata && !same(left, right)) {
            modifier += 'U';
        }
        if (!modifier.empty()) each_(modifier, path + (right.is_dir() ? "/" : ""));
        if (left.subtree && right.subtree) {
            if (*left.subtree == *right.subtree)
                common_.push_back(*left.subtree);
            else
                compare(*left.subtree, *right.subtree, path);
        }
    }

    void one_sided(const Node& node, const std::string& prefix, const char* modifier,
                   DiffCounts& counts, BlobSet& blobs) {
        auto note = [&](const std::string& path, const Node& one) {
            collect(blobs, one);
            ++(one.is_file() ? counts.files : one.is_dir() ? counts.dirs : counts.others);
            each_(modifier, path + (one.is_dir() ? "/" : ""));
            return Step::into;
        };
        std::string path = prefix + "/" + node.name;
        note(path, node);
        if (node.subtree)
            walk_paths(repository_, *node.subtree, path, {.visit = note}, options_.stop);
    }

    void count_blobs() {
        for (auto it = before_.begin(); it != before_.end();)
            it = after_.erase(*it) != 0 ? before_.erase(it) : std::next(it);
        // What lies in the common folders was neither added nor removed.
        std::mutex mutex;
        TreeVisitor visitor;
        visitor.visit = [&](const Id& tree, const std::vector<Node>& nodes) {
            std::lock_guard lock(mutex);
            auto drop = [&](const BlobHandle& blob) {
                before_.erase(blob);
                after_.erase(blob);
            };
            drop({BlobType::tree, tree});
            for (const Node& node : nodes)
                for (const Id& id : node.content) drop({BlobType::data, id});
        };
        if (!before_.empty() || !after_.empty())
            walk_all_trees(repository_, common_, visitor, options_.stop);
        count(before_, stats_.removed);
        count(after_, stats_.added);
    }

    void count(const BlobSet& blobs, DiffCounts& counts) const {
        for (const BlobHandle& blob : blobs) {
            ++(blob.type == BlobType::data ? counts.data_blobs : counts.tree_blobs);
            if (auto found = repository_.index().find(blob))
                counts.bytes += found->blob.plaintext_length();
        }
    }

    const Repository& repository_;
    const DiffOptions& options_;
    const DiffEntry& each_;
    DiffStats stats_;
    BlobSet before_, after_;
    std::vector<Id> common_;
};

}  // namespace

DiffStats diff_trees(const Repository& repository, const Id& before, const Id& after,
                     const DiffOptions& options, const DiffEntry& each) {
    return Comparison(repository, options, each).run(before, after);
}

}  // namespace sevenfold::repository
