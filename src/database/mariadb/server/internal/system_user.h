// The system's user that a server runs as, when we are root and may choose.
#pragma once

#include <optional>
#include <string>

#include "os/child_process.h"

namespace sevenfold::database::mariadb::internal {

using User = os::ChildOptions::RunAs;

// By name. Nothing for an empty name; throws not_found for one that does not exist.
std::optional<User> find_user(const std::string& name);
// `wanted`; or mysql when we are root and it exists; else empty.
std::string default_user(const std::string& wanted);
// Whom to become for a server on `data_dir`: nothing when we are not root, or stay it.
std::optional<User> server_user(const std::string& wanted, const std::string& data_dir);

}  // namespace sevenfold::database::mariadb::internal
