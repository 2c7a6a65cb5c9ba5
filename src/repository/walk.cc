#include "repository/walk.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "core/error.h"
#include "core/parallel.h"
#include "repository/id_set.h"

namespace sevenfold::repository {
namespace {

void check_stop(const std::stop_token& stop) {
    if (stop.stop_requested()) throw Error(ErrorKind::interrupted, "interrupted");
}

// The trees still to be read. Last in, first out: that walks into the depth, so that the list holds
// the siblings along a few paths and not a whole level of the tree.
class PendingTrees {
  public:
    void add(std::span<const Id> trees) {
        std::lock_guard lock(mutex_);
        for (const Id& tree : trees)
            if (seen_.insert(tree)) pending_.push_back(tree);
        changed_.notify_all();
    }
    // Nothing when there is no more work, now or later.
    std::optional<Id> take() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return closed_ || !pending_.empty() || busy_ == 0; });
        if (closed_ || pending_.empty()) return std::nullopt;
        Id tree = pending_.back();
        pending_.pop_back();
        ++busy_;
        return tree;
    }
    void done() {
        std::lock_guard lock(mutex_);
        --busy_;
        if (busy_ == 0) changed_.notify_all();
    }
    void close() {
        std::lock_guard lock(mutex_);
        closed_ = true;
        changed_.notify_all();
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Id> pending_;
    IdSet seen_;
    unsigned busy_ = 0;
    bool closed_ = false;
};

std::vector<Id> subtrees(const std::vector<Node>& nodes) {
    std::vector<Id> out;
    for (const Node& node : nodes)
        if (node.subtree) out.push_back(*node.subtree);
    // Popped from the back: keep the stored order, which is that of the packs.
    std::reverse(out.begin(), out.end());
    return out;
}

}  // namespace

bool is_damage(const Error& error) {
    switch (error.kind()) {
        case ErrorKind::corrupt:
        case ErrorKind::not_found:
        case ErrorKind::io:
        case ErrorKind::permission:
        case ErrorKind::unsupported:
            return true;
        default:
            return false;
    }
}

unsigned reading_workers(const Repository& repository) {
    unsigned connections = repository.backend().capabilities().connections;
    return std::clamp(std::max(cpu_count(), connections), 1u, 16u);
}

size_t walk_all_trees(const Repository& repository, std::span<const Id> roots,
                      const TreeVisitor& visitor, std::stop_token stop) {
    PendingTrees pending;
    pending.add(roots);
    std::atomic<size_t> visited{0};
    ThreadGroup group;
    group.on_failure([&] { pending.close(); });
    auto work = [&](std::stop_token) {
        while (std::optional<Id> tree = pending.take()) {
            check_stop(stop);
            std::vector<Node> nodes;
            bool loaded = true;
            try {
                nodes = repository.load_tree(*tree);
            } catch (const Error& error) {
                if (!visitor.failed || !is_damage(error)) throw;
                visitor.failed(*tree, error);
                loaded = false;
            }
            if (loaded) {
                pending.add(subtrees(nodes));
                visitor.visit(*tree, nodes);
                ++visited;
            }
            pending.done();
        }
    };
    unsigned workers = reading_workers(repository);
    for (unsigned i = 0; i < workers; ++i) group.start(work);
    group.wait();
    return visited;
}

bool walk_paths(const Repository& repository, const Id& root, const std::string& prefix,
                const PathVisitor& visitor, std::stop_token stop) {
    struct Level {
        std::vector<Node> nodes;
        size_t next = 0;
    };
    std::vector<Level> levels;
    std::string path = prefix;
    auto enter = [&](const Id& tree) {
        check_stop(stop);
        try {
            levels.push_back({repository.load_tree(tree)});
            return true;
        } catch (const Error& error) {
            if (!visitor.failed || !is_damage(error)) throw;
            visitor.failed(path, error);
            return false;
        }
    };
    if (!enter(root)) return true;
    for (;;) {
        Level& level = levels.back();
        if (level.next == level.nodes.size()) {
            levels.pop_back();
            if (levels.empty()) return true;
            const Node& directory = levels.back().nodes[levels.back().next - 1];
            if (visitor.leave) visitor.leave(path, directory);
            path.resize(path.size() - directory.name.size() - 1);
            continue;
        }
        const Node& node = level.nodes[level.next++];
        path += '/';
        path += node.name;
        Step step = visitor.visit(path, node);
        if (step == Step::stop) return false;
        // enter() may move `levels`, but not the nodes inside.
        if (step == Step::into && node.subtree && enter(*node.subtree)) continue;
        path.resize(path.size() - node.name.size() - 1);
    }
}

}  // namespace sevenfold::repository
