// Questions about single values of a configuration.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace sevenfold::config::internal {

// Of a place, source or mirror: letters, digits, ".", "_" and "-", at most 64.
bool is_good_name(std::string_view name);
// Digits followed by one of y m d h, each unit once.
bool is_span(std::string_view text);
// Whether `inner` is `outer` or below it; both resolved.
bool is_inside(const std::filesystem::path& inner, const std::filesystem::path& outer);
// Where a path really leads: links followed as far as it exists, the rest taken literally.
std::filesystem::path resolved(const std::string& path);

}  // namespace sevenfold::config::internal
