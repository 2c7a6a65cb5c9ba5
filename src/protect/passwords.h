// Where passwords come from.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "config/config.h"
#include "core/secret.h"

namespace sevenfold::protect {

// The first that is set counts: file, command, text.
struct PasswordSource {
    std::string file;     // the first line is the password, or "-" for standard input
    std::string command;  // run by /bin/sh -c; the first line it prints is the password
    std::string what;     // "place main", for messages
};

// Throws Error{config} when there is no password or it is empty, and what reading throws. Logs a
// warning when the file can be read by everybody. The message never holds the password.
Secret read_password(const PasswordSource& source);

// The password of a place: its password_file or password_command, else the environment variable
// SEVENFOLD_PASSWORD_<NAME> (the name in capitals, other characters as _).
Secret read_password(const config::PlaceConfig& place);

}  // namespace sevenfold::protect
