#include "core/parallel.h"

#include <sched.h>

#include <algorithm>
#include <utility>

namespace sevenfold {

unsigned cpu_count() {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
    return std::max(1U, std::thread::hardware_concurrency());
}

ThreadGroup::~ThreadGroup() {
    stop_.request_stop();
    if (!threads_.empty() && wake_) wake_();
    join();
}

void ThreadGroup::start(std::function<void(std::stop_token)> body) {
    threads_.emplace_back([this, body = std::move(body)] {
        try {
            body(stop_.get_token());
        } catch (...) {
            {
                std::lock_guard lock(mutex_);
                if (!first_failure_) first_failure_ = std::current_exception();
            }
            stop_.request_stop();
            if (wake_) wake_();
        }
    });
}

void ThreadGroup::join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
}

void ThreadGroup::wait() {
    join();
    if (first_failure_) std::rethrow_exception(std::exchange(first_failure_, nullptr));
}

void parallel_for(size_t count, unsigned workers, const std::function<void(size_t)>& body) {
    std::atomic<size_t> next{0};
    auto loop = [&](std::stop_token stop) {
        for (size_t i; !stop.stop_requested() && (i = next.fetch_add(1)) < count;) body(i);
    };
    size_t threads = std::min<size_t>(std::max(1U, workers), count);
    if (threads <= 1) return loop({});
    ThreadGroup group;
    for (size_t i = 0; i < threads; ++i) group.start(loop);
    group.wait();
}

}  // namespace sevenfold
