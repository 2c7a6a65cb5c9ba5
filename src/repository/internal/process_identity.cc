#include "repository/internal/process_identity.h"

#include <pwd.h>
#include <unistd.h>

#include <vector>

#include "os/identity.h"

namespace sevenfold::repository {

std::string this_hostname() { return os::host_name(); }

std::string this_username() {
    std::vector<char> buffer(16 << 10);
    passwd entry{};
    passwd* found = nullptr;
    getpwuid_r(geteuid(), &entry, buffer.data(), buffer.size(), &found);
    return found ? found->pw_name : std::to_string(geteuid());
}

}  // namespace sevenfold::repository
