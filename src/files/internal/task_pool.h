// The archive's threads: a stack of work, so that a tree is walked depth first and few directories
// are open at once, and a queue of chunks that goes before it, so that memory is freed first.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

namespace sevenfold::files::internal {

class TaskPool {
  public:
    struct Task {
        virtual ~Task() = default;
        // `worker` is the number of the running thread.
        virtual void run(unsigned worker) = 0;
    };

    // Adds work, in the order in which it should be done. Callable from tasks.
    void push(std::vector<std::unique_ptr<Task>> tasks);
    // Adds a task that goes before all others.
    void push_urgent(std::unique_ptr<Task> task);
    // True when a thread waits for work that nobody has queued for it yet.
    bool has_idle() const { return idle_.load(std::memory_order_relaxed) > 0; }

    // Runs tasks until there are none and none is running; called by every thread of the pool. When
    // a task throws, the pool stops and the exception leaves this call.
    void work(unsigned worker);
    // Ends every work() early; queued tasks are dropped.
    void stop();
    bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

  private:
    std::unique_ptr<Task> next();
    void finished();

    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<std::unique_ptr<Task>> stack_;
    std::deque<std::unique_ptr<Task>> urgent_;
    size_t outstanding_ = 0;  // queued or running
    std::atomic<int> idle_{0};
    std::atomic<bool> stopping_{false};
};

}  // namespace sevenfold::files::internal
