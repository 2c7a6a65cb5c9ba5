#include "repository/lock.h"

#include <condition_variable>
#include <thread>

#include "repository/internal/lock_keeper.h"

namespace sevenfold::repository {

// The keeper is looked after more often than it must refresh: a failed refresh is tried again soon,
// and after the machine slept it is noticed early.
struct Lock::Impl {
    static constexpr std::chrono::seconds kTick{15};

    Impl(const Repository& repository, const LockOptions& options)
        : keeper(repository, options), thread([this](const std::stop_token& stop) { run(stop); }) {}

    void run(const std::stop_token& stop) {
        std::unique_lock lock(mutex);
        while (!stop.stop_requested()) {
            wake.wait_for(lock, stop, kTick, [] { return false; });
            if (!stop.stop_requested()) keeper.tick();
        }
    }

    internal::LockKeeper keeper;
    std::mutex mutex;
    std::condition_variable_any wake;
    std::jthread thread;  // last: it ends before what it uses
};

Lock::Lock(const Repository& repository, const LockOptions& options)
    : impl_(std::make_unique<Impl>(repository, options)) {}

Lock::~Lock() = default;

void Lock::check_held() const { impl_->keeper.check_held(); }

void Lock::release() {
    impl_->thread.request_stop();
    impl_->keeper.release();
}

}  // namespace sevenfold::repository
