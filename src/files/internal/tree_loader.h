// Loads trees ahead of a walk, so that a place far away does not answer one question at a time.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "core/parallel.h"
#include "repository/repository.h"

namespace sevenfold::files::internal {

// For one walking thread. Holds what was asked for and not yet taken: the walker asks for at most
// kAhead folders of each level it is in.
class TreeLoader {
  public:
    static constexpr size_t kAhead = 16;

    TreeLoader(const repository::Repository& repository, unsigned threads);
    ~TreeLoader();

    // Starts to load a tree, unless it is being loaded.
    void prefetch(const Id& id);
    // The tree; loads it now if nobody has begun. Throws as Repository::load_tree.
    std::vector<repository::Node> take(const Id& id);

  private:
    struct Slot {
        bool started = false, done = false;
        std::vector<repository::Node> nodes;
        std::optional<Error> error;
    };
    void run(std::stop_token stop);
    void load(Slot& slot, const Id& id);

    const repository::Repository& repository_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool closed_ = false;
    // shared_ptr: the walker may give a slot up while a thread still loads into it.
    std::unordered_map<Id, std::shared_ptr<Slot>> slots_;
    std::deque<Id> queue_;
    ThreadGroup threads_;
};

}  // namespace sevenfold::files::internal
