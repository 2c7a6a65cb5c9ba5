#include "os/identity.h"

#include <unistd.h>

#include "os/user_names.h"

namespace sevenfold::os {

std::string host_name() {
    char name[256] = {};
    return gethostname(name, sizeof name - 1) == 0 ? name : "";
}

std::string user_name() { return UserNames().user_name(geteuid()); }

}  // namespace sevenfold::os
