// Who and where this process is, for keys, locks and snapshots.
#pragma once

#include <cstdint>
#include <string>

namespace sevenfold::repository {

std::string this_hostname();  // as the kernel has it; empty when unknown
std::string this_username();  // of the effective user; its number when it has no name

}  // namespace sevenfold::repository
