// Trees as restic 0.14 wrote them: every type of node, odd names, several time zones.
#pragma once

#include <span>
#include <string_view>

namespace sevenfold::repository::testing {

struct ResticTree {
    const char* what;     // of which folder, in which zone
    std::string_view id;  // SHA-256 of the JSON
    std::string_view json;
};
std::span<const ResticTree> restic_trees();

}  // namespace sevenfold::repository::testing
