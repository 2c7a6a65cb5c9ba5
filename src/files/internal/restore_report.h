// What a restore did so far; counted from any thread.
#pragma once

#include <atomic>
#include <mutex>

#include "files/restore.h"

namespace sevenfold::files::internal {

class RestoreReport {
  public:
    explicit RestoreReport(const RestoreOptions& options) : options_(options) {}

    std::atomic<uint64_t> folders{0}, files{0}, unchanged{0}, hard_links{0}, others{0}, skipped{0},
        deleted{0}, verified{0}, bytes{0}, bytes_kept{0};

    // Something of `path` could not be restored. Rethrows what must stop the whole.
    void problem(const std::string& path, const Error& error);
    void note(const std::string& text);
    void check_stop() const;
    RestoreResult result() const;

    // For the display.
    void planned(uint64_t items, uint64_t item_bytes);
    void item_done();
    void bytes_done(uint64_t n);

  private:
    static constexpr size_t kMaxProblems = 1000;
    const RestoreOptions& options_;
    mutable std::mutex mutex_;
    uint64_t problem_count_ = 0, left_out_ = 0;
    std::vector<RestoreProblem> problems_;
};

}  // namespace sevenfold::files::internal
