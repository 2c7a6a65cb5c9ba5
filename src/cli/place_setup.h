// New places: their passwords and their repositories.
#pragma once

#include "cli/context.h"

namespace sevenfold::cli {

// Makes every password file that is named but missing: 32 random characters, mode 0600, durable.
// Existing ones stay as they are.
void make_password_files(Context& context, const config::AppConfig& config);

// Opens the repository of every place, or creates it where there is none, and reports each. New
// ones take over the chunker's polynomial of one that exists, so that blobs can be copied between
// places as they are. Goes through all places even if one fails; then throws the first failure.
void set_up_places(Context& context, const config::LoadedConfig& loaded);

}  // namespace sevenfold::cli
