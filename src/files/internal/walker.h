// Walks the source depth first, compares it with an earlier tree and builds the new one.
#pragma once

#include <memory>

#include "files/internal/run.h"
#include "files/internal/source_folder.h"

namespace sevenfold::files::internal {

// The task that starts the walk at the snapshot's root. When all tasks are done, run.root_tree is
// the root's id.
std::unique_ptr<TaskPool::Task> walk_task(Run& run, std::unique_ptr<SourceFolder> root);

}  // namespace sevenfold::files::internal
