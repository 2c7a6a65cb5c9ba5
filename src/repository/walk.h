// Walking the trees of snapshots.
#pragma once

#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "repository/node.h"
#include "repository/repository.h"

namespace sevenfold::repository {

// Every tree that `roots` reach, each once however many directories share it, loaded by several
// threads; in no order.
struct TreeVisitor {
    // Called from several threads at once.
    std::function<void(const Id& tree, const std::vector<Node>& nodes)> visit;
    // A tree that is missing or damaged; its subtrees are not seen unless others lead there. Empty:
    // the first such error ends the walk and is thrown. Other errors (network, …) always are.
    std::function<void(const Id& tree, const Error& error)> failed;
};
// Returns the number of trees visited. Memory: some 30 bytes a tree, and the trees being read.
// Throws Error{interrupted} when `stop` is requested.
size_t walk_all_trees(const Repository& repository, std::span<const Id> roots,
                      const TreeVisitor& visitor, std::stop_token stop = {});

// One directory tree from the top, each directory before its entries, entries in the stored order;
// on the caller's thread. Memory: the trees from the root to the current one.
enum class Step { into, over, stop };  // `over`: do not enter this directory
struct PathVisitor {
    // `path` is the prefix, a slash and the names below the root, raw bytes.
    std::function<Step(const std::string& path, const Node& node)> visit;
    // After all entries of a directory that was entered; may be empty.
    std::function<void(const std::string& path, const Node& node)> leave;
    // As TreeVisitor::failed, with the directory's path.
    std::function<void(const std::string& path, const Error& error)> failed;
};
// False when the visitor stopped the walk. `prefix` "" gives "/etc", "/data" gives "/data/etc".
bool walk_paths(const Repository& repository, const Id& root, const std::string& prefix,
                const PathVisitor& visitor, std::stop_token stop = {});

// True for errors that say something of the stored data and not of the way to it: what is missing,
// damaged or unreadable, as opposed to a lost connection or a bug.
bool is_damage(const Error& error);
// Threads for work that waits for the backend as well as for the processor.
unsigned reading_workers(const Repository& repository);

}  // namespace sevenfold::repository
