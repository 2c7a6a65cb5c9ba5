// How one place fared in a run, and the last step there: its snapshot.
#pragma once

#include <optional>
#include <string>

#include "core/error.h"
#include "repository/lock.h"
#include "repository/snapshot.h"
#include "repository/writer.h"

namespace sevenfold::files {

struct PlaceResult {
    std::string name;
    enum class State { saved, lagging, failed } state = State::failed;
    std::optional<Error> error;
    repository::Snapshot snapshot;  // when saved
    repository::WriterStats stats;
};

struct Conclusion {
    std::string name;  // of the place
    const repository::Repository* repository = nullptr;
    const repository::Lock* lock = nullptr;  // may be null
    const repository::BlobWriter* writer = nullptr;
    size_t number = 0;              // of the place in the writer
    repository::Snapshot snapshot;  // with a summary, to which the place's own counts are added
    bool dry_run = false;           // stores nothing
};
// After the writer has finished with the place: saves its snapshot, unless the place failed or fell
// behind. Durable where the state is `saved`; never throws for the place's failure.
PlaceResult conclude(const Conclusion& conclusion);

}  // namespace sevenfold::files
