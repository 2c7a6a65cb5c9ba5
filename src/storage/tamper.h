// What somebody with a place's credentials could do to what it holds. Only things made for the
// purpose, or names that do not exist, are ever touched.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"
#include "storage/open.h"

namespace sevenfold::storage {

enum class Verdict { refused, accepted, inconclusive };
std::string_view name(Verdict verdict);

struct TamperAttempt {
    std::string
        what;  // "delete", "overwrite", "delete a version", "shorten retention", "add a key"
    Verdict verdict = Verdict::inconclusive;
    std::string evidence;
};
struct TamperResult {
    std::vector<TamperAttempt> attempts;
    std::vector<std::string> leftovers;  // probes that could not be removed
};

// rest: and ssh: ask for the removal of files that do not exist and for the storing of a key whose
// content is not what its name says: a server answers such by rights first, and stores nothing.
// s3: makes a small object whose name no client takes for a file of the repository, and in buckets
// with Object Lock another that is locked for a minute. Others: one inconclusive attempt. Throws
// what connecting does.
TamperResult tamper_with(const Location& location, const BackendOptions& options,
                         const Clock& clock = Clock::system());

}  // namespace sevenfold::storage
