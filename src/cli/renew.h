// Keeping Object Locks up, after commands that change a place.
#pragma once

#include "cli/context.h"
#include "cli/repo_options.h"

namespace sevenfold::cli {

// Of every place named that has a lock, where it is due. Goes through all of them and reports what
// fails; the exit code of the first failure, else 0.
int renew_place_locks(Context& context, const std::vector<const config::PlaceConfig*>& places);

// Of one repository; what fails is thrown.
void renew_repository_locks(Context& context, const RepoOptions& options,
                            repository::Repository& repository);

}  // namespace sevenfold::cli
