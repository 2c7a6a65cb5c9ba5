// How ssh is called, and what its words on stderr mean. The user's own configuration, agent, jump
// hosts and known_hosts apply; host keys are always checked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace sevenfold::net {

struct SshTarget {
    std::string host;
    std::string user;   // empty: ssh decides
    uint16_t port = 0;  // 0: ssh decides
};

// The argv that connects to a subsystem. `extra` comes first, so that it wins over our defaults
// (ssh takes the first value of an option). Without `may_ask`, ssh fails where it would ask.
std::vector<std::string> ssh_subsystem_command(const SshTarget& target, std::string_view subsystem,
                                               const std::vector<std::string>& extra, bool may_ask);

// The argv that runs `command`, a line for the far shell; what a forced command of authorized_keys
// gets instead.
std::vector<std::string> ssh_program_command(const SshTarget& target, std::string_view command,
                                             const std::vector<std::string>& extra, bool may_ask);

// Why an ssh that ended before the connection stood did so, from the end of its stderr. Refused
// host keys (refused), keys or passwords (permission) and a missing subsystem (unsupported) are
// final; everything else is network.
Error explain_ssh_failure(std::string_view location, std::string_view error_tail,
                          std::string_view how_it_ended);

// The last lines that are not empty, joined by "; ", made safe to print.
std::string last_lines(std::string_view text, size_t count);

}  // namespace sevenfold::net
