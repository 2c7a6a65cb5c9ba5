// Object Lock of a place (`lock`), kept up: what its snapshots need stays locked.
//
// Everything is locked for the whole period when it is stored. A renewal looks at all that the
// snapshots need and locks anew, for the whole period, what has less than three quarters of it
// left. It is due a quarter of the period after the last one: so nothing that is needed ever has
// less than half of the period left, as long as renewals happen. Nothing is ever shortened.
// Between renewals no request is made.
#pragma once

#include <stop_token>
#include <string>

#include "core/time.h"
#include "repository/repository.h"
#include "storage/versions.h"

namespace sevenfold::protect {

struct LockRenewalOptions {
    // Folder that remembers, by location, when the last renewal was; empty: every call renews.
    std::string state_dir;
    const Clock* clock = &Clock::system();
    std::stop_token stop = {};
};

struct LockRenewal {
    bool done = false;      // false: not due, or the place has no lock
    uint64_t needed = 0;    // versions that were looked at
    uint64_t renewed = 0;   // and of these locked anew
    uint64_t tampered = 0;  // needed files that are deleted, or were overwritten
};

// False also when the place has no lock. Makes no request.
bool lock_renewal_due(const storage::Backend& backend, const storage::RetentionRule& rule,
                      const LockRenewalOptions& options);

// Loads the index anew where it is due. Warns of what was tampered with, and locks all versions of
// it. What cannot be read makes everything count as needed. Throws what the place throws; what was
// locked until then stays so.
LockRenewal renew_locks(repository::Repository& repository, const LockRenewalOptions& options);

}  // namespace sevenfold::protect
