// "Did you mean …": the nearest of some words.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sevenfold::config {

// Insertions, removals, replacements and swaps of neighbours that turn a into b.
size_t edit_distance(std::string_view a, std::string_view b);

// The nearest candidate, if it is near enough to be what was meant: at most a third of the letters
// differ, or one of the two is the beginning of the other. Case does not count.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace sevenfold::config
