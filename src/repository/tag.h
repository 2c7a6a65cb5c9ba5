// Changing the tags of snapshots.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "repository/snapshot.h"

namespace sevenfold::repository {

struct TagChange {
    std::optional<std::vector<std::string>> set;  // replaces all; not together with the others
    std::vector<std::string> add, remove;
};

// "a,b" -> {"a", "b"}; empty words are dropped.
std::vector<std::string> split_tag_list(std::string_view text);

// Applies the change to snapshot.tags; true when it made a difference.
bool apply(const TagChange& change, Snapshot& snapshot);

// Stores the snapshot as edited under a new id and removes the old file; `original` keeps the id
// that the snapshot first had. Interrupted in between, both are there and nothing is lost. The
// caller holds an exclusive lock.
void replace_snapshot(const Repository& repository, Snapshot& edited);

}  // namespace sevenfold::repository
