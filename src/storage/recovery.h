// Bringing a place back to what it was at some moment, after somebody deleted or overwrote files.
//
// What was only deleted comes back by removing the marks that say so (which needs the right to
// remove versions, and takes no space); what was overwritten, by storing a copy of the version of
// then. Files stored since stay, and nothing but such marks is ever removed. Locks (locks/) are
// left alone.
#pragma once

#include <functional>
#include <stop_token>
#include <vector>

#include "storage/versions.h"

namespace sevenfold::storage {

struct RecoveryStep {
    FileVersion good;                // of the moment wanted
    std::vector<FileVersion> marks;  // all that came since; empty: store a copy of `good`
};
struct RecoveryPlan {
    std::vector<RecoveryStep> steps;  // in an order that never makes a snapshot lack something
    uint64_t deleted = 0, overwritten = 0;  // steps
    uint64_t bytes = 0;                     // of the files that come back
    uint64_t copied_bytes = 0;              // of those that are stored again
    uint64_t untouched = 0;                 // files that are as they were
    uint64_t newer = 0;                     // files that came since, and stay
};

// Throws Error{config} when the place has no versions.
RecoveryPlan plan_recovery(Backend& backend, const Time& as_of);
// Stops at the first failure; what was brought back until then stays, and a new plan holds the
// rest. `each` is told after each step, from several threads.
void recover(Backend& backend, const RecoveryPlan& plan, const std::function<void()>& each,
             std::stop_token stop);

}  // namespace sevenfold::storage
