// How much there is to back up, for a progress bar that can say when it will be done.
#pragma once

#include <stop_token>

#include "core/progress.h"
#include "files/archive.h"

namespace sevenfold::files {

// Walks the targets as archive() does (excludes by path, size and folder tags), adds the files and
// bytes it finds to the progress's totals, and says at the end that they are known. Reads metadata
// only, reports nothing: what cannot be read is the archive's to report. Returns early when asked
// to stop.
void estimate(const ArchiveOptions& options, Progress& progress, std::stop_token stop);

}  // namespace sevenfold::files
