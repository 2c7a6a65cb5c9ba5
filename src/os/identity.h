// Where and as whom this process runs.
#pragma once

#include <string>

namespace sevenfold::os {

std::string host_name();  // as the kernel has it; empty when unknown
std::string user_name();  // of the effective user; empty when it has none

}  // namespace sevenfold::os
