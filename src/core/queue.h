// A bounded queue between threads. Memory bound: capacity × the size of an item; state it where the
// queue is made.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

#include "core/check.h"

namespace sevenfold {

template <class T>
class BoundedQueue {
  public:
    explicit BoundedQueue(size_t capacity) : capacity_(capacity) { CHECK(capacity > 0); }

    // Waits while the queue is full. False, and the item is dropped, once the queue is closed.
    bool push(T item) {
        std::unique_lock lock(mutex_);
        not_full_.wait(lock, [&] { return closed_ || items_.size() < capacity_; });
        return insert(lock, item);
    }

    // As push, but gives up after `patience` and then leaves the item with the caller.
    // True when the queue took it; false when it is still full or closed.
    bool push_for(T& item, std::chrono::nanoseconds patience) {
        std::unique_lock lock(mutex_);
        if (!not_full_.wait_for(lock, patience,
                                [&] { return closed_ || items_.size() < capacity_; }))
            return false;
        return insert(lock, item);
    }

    // Waits for an item. Nothing once the queue is closed and empty.
    std::optional<T> pop() {
        std::unique_lock lock(mutex_);
        not_empty_.wait(lock, [&] { return closed_ || !items_.empty(); });
        return take(lock);
    }

    std::optional<T> try_pop() {
        std::unique_lock lock(mutex_);
        return take(lock);
    }

    // No more items come in; those inside can still be popped.
    void close() {
        std::lock_guard lock(mutex_);
        closed_ = true;
        not_full_.notify_all();
        not_empty_.notify_all();
    }

    // Closes and drops what is inside.
    void abandon() {
        std::deque<T> dropped;
        {
            std::lock_guard lock(mutex_);
            closed_ = true;
            dropped.swap(items_);
            not_full_.notify_all();
            not_empty_.notify_all();
        }
    }

    size_t size() const {
        std::lock_guard lock(mutex_);
        return items_.size();
    }

  private:
    bool insert(std::unique_lock<std::mutex>& lock, T& item) {
        if (closed_) return false;
        items_.push_back(std::move(item));
        lock.unlock();
        not_empty_.notify_one();
        return true;
    }
    std::optional<T> take(std::unique_lock<std::mutex>& lock) {
        if (items_.empty()) return std::nullopt;
        std::optional<T> item(std::move(items_.front()));
        items_.pop_front();
        lock.unlock();
        not_full_.notify_one();
        return item;
    }

    const size_t capacity_;
    mutable std::mutex mutex_;
    std::condition_variable not_full_, not_empty_;
    std::deque<T> items_;
    bool closed_ = false;
};

}  // namespace sevenfold
