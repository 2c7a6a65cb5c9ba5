// What a URL of restic's REST protocol names: "/folder/…/data/<64 hex digits>" and the like.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "storage/backend.h"

namespace sevenfold::storage {

struct RestPath {
    enum class What { repository, folder, file };

    What what = What::repository;
    // Below the server's folder: "" or "/shop" or "/alice/shop". No part is empty, begins with a
    // dot or holds anything but printable characters, so that it cannot lead out.
    std::string repository;
    FileName file;  // of a file; of a folder its type

    bool operator==(const RestPath&) const = default;
};

// `target` is the path of a request as sent, still escaped and without query. Nothing when it is
// not such a path: also for names that are not 64 lower-case digits, and too many or too long
// parts.
std::optional<RestPath> parse_rest_path(std::string_view target);
// The same for a path that can only be a repository's, so that it may end in "/data/".
std::optional<RestPath> parse_repository_path(std::string_view target);

// True when `path` is `prefix` or lies below it; "" is above everything.
bool is_below(std::string_view path, std::string_view prefix);

}  // namespace sevenfold::storage
