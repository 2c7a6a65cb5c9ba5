#include "files/internal/task_pool.h"

#include <iterator>

namespace sevenfold::files::internal {

void TaskPool::push(std::vector<std::unique_ptr<Task>> tasks) {
    if (tasks.empty()) return;
    {
        std::lock_guard lock(mutex_);
        outstanding_ += tasks.size();
        stack_.insert(stack_.end(), std::make_move_iterator(tasks.rbegin()),
                      std::make_move_iterator(tasks.rend()));
    }
    tasks.size() == 1 ? wake_.notify_one() : wake_.notify_all();
}

void TaskPool::push_urgent(std::unique_ptr<Task> task) {
    {
        std::lock_guard lock(mutex_);
        ++outstanding_;
        urgent_.push_back(std::move(task));
        --idle_;  // spoken for: the next caller should not count on the same idle thread
    }
    wake_.notify_one();
}

std::unique_ptr<TaskPool::Task> TaskPool::next() {
    std::unique_lock lock(mutex_);
    ++idle_;
    wake_.wait(lock, [&] {
        return stopping_ || !urgent_.empty() || !stack_.empty() || outstanding_ == 0;
    });
    std::unique_ptr<Task> task;
    if (stopping_) {
        --idle_;
    } else if (!urgent_.empty()) {
        task = std::move(urgent_.front());
        urgent_.pop_front();
    } else {
        --idle_;
        if (!stack_.empty()) {
            task = std::move(stack_.back());
            stack_.pop_back();
        }
    }
    return task;
}

void TaskPool::finished() {
    std::lock_guard lock(mutex_);
    if (--outstanding_ == 0) wake_.notify_all();
}

void TaskPool::stop() {
    std::vector<std::unique_ptr<Task>> dropped;
    std::deque<std::unique_ptr<Task>> dropped_urgent;
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
        dropped.swap(stack_);
        dropped_urgent.swap(urgent_);
        wake_.notify_all();
    }
}

void TaskPool::work(unsigned worker) {
    try {
        while (auto task = next()) {
            task->run(worker);
            task.reset();
            finished();
        }
    } catch (...) {
        stop();
        throw;
    }
}

}  // namespace sevenfold::files::internal
