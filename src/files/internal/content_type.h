// The content type that a name's ending tells, for files that become objects.
#pragma once

#include <string>
#include <string_view>

namespace sevenfold::files::internal {

// "application/octet-stream" when it tells nothing.
std::string content_type_of(std::string_view name);

}  // namespace sevenfold::files::internal
