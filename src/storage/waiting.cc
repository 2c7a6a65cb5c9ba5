#include "storage/waiting.h"

#include <condition_variable>
#include <mutex>

#include "core/error.h"

namespace sevenfold::storage {

void sleep_unless_stopped(std::chrono::nanoseconds duration, const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stop, duration, [] { return false; });
    if (stop.stop_requested()) throw Error(ErrorKind::interrupted, "interrupted while waiting");
}

}  // namespace sevenfold::storage
