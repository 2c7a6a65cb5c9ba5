// The URL form of places on a REST server, restic's: "rest:https://[user[:password]@]host[:port]/
// path/"; and the backends for those and for ssh: locations.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "storage/limit_backend.h"
#include "storage/open.h"
#include "storage/rest/rest_backend.h"

namespace sevenfold::storage {

// `url` begins with "rest:". Throws Error{config} with a message that names no URL and holds no
// secret.
Location parse_rest_location(std::string_view url);
std::string display_rest_location(const Location& location);

// How to talk to a rest: or ssh: location. Throws as open_rest() does.
RestBackendOptions rest_backend_options(const Location& location, const BackendOptions& options,
                                        const Limits& limits);

// For rest: and ssh: locations. Throws Error{config} for options that cannot be, and what reading
// the credentials throws. `limits` shape its traffic.
std::unique_ptr<Backend> open_rest(const Location& location, const BackendOptions& options,
                                   const Limits& limits);

}  // namespace sevenfold::storage
