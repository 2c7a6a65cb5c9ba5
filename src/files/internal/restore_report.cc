#include "files/internal/restore_report.h"

namespace sevenfold::files::internal {
namespace {

// With these every further item would fail as well, one slow retry after the other.
bool stops_everything(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::no_space:
        case ErrorKind::network:
        case ErrorKind::timeout:
        case ErrorKind::interrupted:
        case ErrorKind::internal:
            return true;
        default:
            return false;
    }
}

}  // namespace

void RestoreReport::problem(const std::string& path, const Error& error) {
    if (stops_everything(error.kind())) throw error;
    RestoreProblem problem{path, error};
    std::lock_guard lock(mutex_);
    ++problem_count_;
    if (options_.progress) ++options_.progress->errors;
    if (options_.on_problem) options_.on_problem(problem);
    if (problems_.size() < kMaxProblems) problems_.push_back(std::move(problem));
}

void RestoreReport::note(const std::string& text) {
    std::lock_guard lock(mutex_);
    ++left_out_;
    if (options_.on_note) options_.on_note(text);
}

void RestoreReport::check_stop() const {
    if (options_.stop.stop_requested())
        throw Error(ErrorKind::interrupted, "restore interrupted",
                    "Run it again with the same target to continue.");
}

void RestoreReport::planned(uint64_t items, uint64_t item_bytes) {
    if (!options_.progress) return;
    options_.progress->items_total += items;
    options_.progress->bytes_total += item_bytes;
}

void RestoreReport::item_done() {
    if (options_.progress) ++options_.progress->items_done;
}

void RestoreReport::bytes_done(uint64_t n) {
    if (options_.progress) options_.progress->bytes_done += n;
}

RestoreResult RestoreReport::result() const {
    std::lock_guard lock(mutex_);
    return {.folders = folders,
            .files = files,
            .unchanged = unchanged,
            .hard_links = hard_links,
            .others = others,
            .skipped = skipped,
            .left_out = left_out_,
            .deleted = deleted,
            .verified = verified,
            .bytes = bytes,
            .bytes_kept = bytes_kept,
            .problem_count = problem_count_,
            .problems = problems_};
}

}  // namespace sevenfold::files::internal
