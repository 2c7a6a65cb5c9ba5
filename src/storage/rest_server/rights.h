// Who may do what below which folder: a file with lines "USER FOLDER RIGHT [QUOTA]".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sevenfold::storage {

// Each includes those before it. `append` may add what is new: no delete (locks excepted), no
// overwrite, no new key in a repository that exists.
enum class Right { none, read, append, full };
std::string_view name(Right right);

struct RightRule {
    std::string user;    // "*": everybody
    std::string folder;  // "" (the server's own folder) or "/shop"
    Right right = Right::none;
    uint64_t quota = 0;    // bytes that may lie below the folder, 0: no limit
    bool metrics = false;  // instead of all this: may read /metrics
};

// The lines; # begins a comment. Throws Error{config} naming `path` and the line.
std::vector<RightRule> parse_rights(std::string_view text, const std::string& path);

struct Rights {
    // Without rules everybody may do everything.
    bool by_rules = false;
    std::vector<RightRule> rules;
    Right most = Right::full;      // nobody may more
    bool private_folders = false;  // only /<user> and what is below it

    // Of the rules that fit, those with the longest folder count; among them one that names the
    // user before one for everybody.
    Right of(std::string_view user, std::string_view repository) const;
    bool metrics(std::string_view user) const;
};

}  // namespace sevenfold::storage
