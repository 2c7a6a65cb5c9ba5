// Counters that a running job updates from any thread and a display reads from another.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

namespace sevenfold {

struct Progress {
    std::atomic<uint64_t> items_total{0}, items_done{0};  // files, packs, …
    std::atomic<uint64_t> bytes_total{0}, bytes_done{0};  // of the source or target
    std::atomic<uint64_t> bytes_stored{0};                // written to places
    std::atomic<uint64_t> errors{0};
    std::atomic<bool> totals_known{false};  // the totals are final, so that an ETA can be shown

    void set_current(std::string path) {
        std::lock_guard lock(mutex_);
        current_ = std::move(path);
    }
    std::string current() const {
        std::lock_guard lock(mutex_);
        return current_;
    }

  private:
    mutable std::mutex mutex_;
    std::string current_;
};

}  // namespace sevenfold
