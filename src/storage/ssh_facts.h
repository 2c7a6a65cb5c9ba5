// What the OpenSSH client would use for a connection: its keys, their certificates, host keys.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"
#include "net/ssh_command.h"

namespace sevenfold::storage {

struct SshKeyFile {
    std::string path;
    bool open_to_others = false;  // ssh refuses such a key
};
struct SshCertificate {
    std::string path;
    std::optional<Time> valid_before;  // none: forever
};
struct SshFacts {
    std::vector<SshKeyFile> keys;  // those of its configuration that exist
    std::vector<SshCertificate> certificates;
    bool checks_host_key = true;
};

// What `ssh -G` prints: keys in lower case, each with its values.
std::map<std::string, std::vector<std::string>> parse_ssh_settings(std::string_view text);

// The end of validity in what `ssh-keygen -L` prints. Its times are in this machine's zone.
// Error{unsupported} when there is no such line.
std::optional<Time> parse_certificate_end(std::string_view text);

// Connects to nothing. Throws what running ssh and ssh-keygen does, Error{config} when ssh does not
// take the options.
SshFacts ssh_facts(const net::SshTarget& target, const std::vector<std::string>& extra,
                   std::chrono::nanoseconds patience);

}  // namespace sevenfold::storage
