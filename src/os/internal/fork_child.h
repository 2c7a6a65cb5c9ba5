// Starting a child with things that posix_spawn cannot do: another user, and an end together with
// its parent.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "os/child_process.h"

namespace sevenfold::os::internal {

// The kernel ties "ends with its parent" to the thread that forked. So a thread of our own does
// that, and lives until this object goes away, which must be after the child was reaped.
class ForkedChild {
  public:
    // `streams`: what become descriptors 0 to 2, or -1 to inherit; none below 3. Throws as
    // ChildProcess does.
    ForkedChild(const ChildOptions& options, const int (&streams)[3],
                std::vector<std::string> environment);
    ~ForkedChild();
    pid_t pid() const { return pid_; }

  private:
    struct Holder;
    pid_t pid_ = -1;
    std::unique_ptr<Holder> holder_;
};

}  // namespace sevenfold::os::internal
