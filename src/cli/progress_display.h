// Shows a running job's Progress: a live line with rate and remaining time on a terminal, a line
// every half minute elsewhere if -v was given, nothing otherwise.
//
//     Progress progress;
//     ProgressDisplay display(context.terminal(), progress, "backup");
//     job.run(progress);          // the line disappears with `display`
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include "cli/terminal.h"
#include "core/progress.h"

namespace sevenfold::cli {

// What one line shows.
struct ProgressSample {
    std::chrono::nanoseconds elapsed{};
    uint64_t items_total = 0, items_done = 0, bytes_total = 0, bytes_done = 0, bytes_stored = 0,
             errors = 0;
    bool totals_known = false;
    std::string current;
};

// Bytes (or items) a second over the last ten seconds.
class RateMeter {
  public:
    void add(std::chrono::nanoseconds elapsed, uint64_t done);
    double per_second() const;  // 0 until two samples are a while apart

  private:
    std::deque<std::pair<std::chrono::nanoseconds, uint64_t>> samples_;
};

// "backup  42 %  1.200 GiB of 2.800 GiB  310.000 MiB/s  0:05 min left  path", at most `width`
// columns. Without known totals no percentage and no remaining time is made up.
std::string render_progress(const std::string& title, const ProgressSample& sample,
                            double bytes_per_second, double items_per_second, size_t width);

// `progress` outlives the display.
class ProgressDisplay {
  public:
    ProgressDisplay(Terminal& terminal, const Progress& progress, std::string title);
    ~ProgressDisplay();
    ProgressDisplay(const ProgressDisplay&) = delete;
    ProgressDisplay& operator=(const ProgressDisplay&) = delete;

  private:
    void loop(std::stop_token stop);
    ProgressSample sample() const;

    Terminal& terminal_;
    const Progress& progress_;
    std::string title_;
    std::chrono::steady_clock::time_point start_;
    std::mutex mutex_;
    std::condition_variable_any wake_;
    std::jthread thread_;  // last: it uses all of the above
};

}  // namespace sevenfold::cli
