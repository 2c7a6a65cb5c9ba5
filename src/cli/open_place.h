// From a place of the configuration to its backend and repository.
#pragma once

#include <memory>

#include "config/config.h"
#include "repository/repository.h"
#include "storage/backend.h"
#include "storage/open.h"

namespace sevenfold::cli {

storage::BackendOptions backend_options(const config::PlaceConfig& place);
// With the place's limits and retries; nothing is touched before the first operation. Errors carry
// "place <name>: ".
std::unique_ptr<storage::Backend> open_place_backend(const config::PlaceConfig& place,
                                                     const storage::BackendOptions& options);

}  // namespace sevenfold::cli
