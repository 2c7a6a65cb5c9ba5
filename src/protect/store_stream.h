// Stores what a program produces — a dump, a server's files, a log — as one snapshot at several
// places at once. Nothing is written to temporary files.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "files/place_result.h"
#include "protect/backup.h"
#include "repository/tree_writer.h"

namespace sevenfold::protect {

struct StoreOptions {
    std::string path;  // of the snapshot: what it is a copy of
    std::vector<std::string> tags;
    Time time;  // of the snapshot
    std::chrono::milliseconds retry_lock{0};
    repository::WriterOptions writer;
    std::stop_token stop;
};

// Calls `fill` once with a writer that feeds every place that works; when it returns, the snapshot
// is saved at each. When it throws, no place gets a snapshot and the exception comes out. Throws
// when no place works. A stream cannot be read twice, so a slow place holds the others up: for ten
// minutes, then it is given up as failed.
std::vector<files::PlaceResult> store_stream(
    const std::vector<JobPlace>& places, const StoreOptions& options,
    const std::function<void(repository::TreeWriter&)>& fill);

}  // namespace sevenfold::protect
