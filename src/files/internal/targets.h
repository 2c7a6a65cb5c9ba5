// What a backup's targets become in the snapshot's tree: absolute targets keep their whole path,
// relative ones the path as given without leading "..", and a target without any name of its own
// (".", "/") stands for its entries.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace sevenfold::files::internal {

struct TargetNode {
    std::string source;  // the path in the file system
    bool whole = false;  // taken with everything below; otherwise only `children`
    std::map<std::string, TargetNode> children;
};

// Paths as given to absolute ones without ".", ".." and doubled slashes (by text: links stay).
std::string absolute_path(const std::string& path);

// The snapshot's root: never whole itself. Targets inside other targets add nothing. Names that
// clash at the root get "-1", "-2", ….
TargetNode resolve_targets(const std::vector<std::string>& targets);

}  // namespace sevenfold::files::internal
