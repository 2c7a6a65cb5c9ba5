// Work for several threads. The first exception stops the group and is rethrown by the caller's
// wait.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace sevenfold {

// The number of workers for CPU work: the processors this process may use, at least 1.
unsigned cpu_count();

// Threads that end together. start() adds one; the first that throws asks all others to stop;
// wait() joins all and rethrows that first exception. The destructor asks to stop and joins.
class ThreadGroup {
  public:
    ThreadGroup() = default;
    ~ThreadGroup();
    ThreadGroup(const ThreadGroup&) = delete;
    ThreadGroup& operator=(const ThreadGroup&) = delete;

    void start(std::function<void(std::stop_token)> body);
    void request_stop() { stop_.request_stop(); }
    std::stop_token stop_token() const { return stop_.get_token(); }
    // Called on the failing thread when a body throws, to wake whoever waits on a queue.
    void on_failure(std::function<void()> wake) { wake_ = std::move(wake); }
    void wait();

  private:
    void join();
    std::stop_source stop_;
    std::function<void()> wake_;
    std::mutex mutex_;
    std::exception_ptr first_failure_;
    std::vector<std::thread> threads_;
};

// Calls body(i) for i in [0, count) from up to `workers` threads (the caller's is one of them), in
// order of i as far as workers allow. The first exception stops the hand-out and is rethrown.
void parallel_for(size_t count, unsigned workers, const std::function<void(size_t)>& body);

}  // namespace sevenfold
