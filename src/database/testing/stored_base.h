// A base in a repository in memory, for tests.
#pragma once

#include <functional>
#include <string>

#include "repository/testing/memory_repo.h"
#include "repository/tree_writer.h"

namespace sevenfold::database {

// Stores what `fill` writes; the root's id. No snapshot is saved.
Id store_tree(repository::testing::MemoryRepo& repo,
              const std::function<void(repository::TreeWriter&)>& fill);
// Writes the files below a tree into a folder. Its index is loaded.
void extract(const repository::Repository& repository, const Id& tree, const std::string& folder);

}  // namespace sevenfold::database
