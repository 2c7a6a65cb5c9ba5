// SIGINT and SIGTERM ask the running command to stop; the second one kills.
#pragma once

#include <stop_token>
#include <thread>

namespace sevenfold::cli {

// At most one at a time. A signal handler may do almost nothing, so it writes to a pipe and a
// thread of this object makes the request.
class Interrupts {
  public:
    Interrupts();
    ~Interrupts();
    Interrupts(const Interrupts&) = delete;
    Interrupts& operator=(const Interrupts&) = delete;
    std::stop_token token() const { return stop_.get_token(); }

  private:
    std::stop_source stop_;
    std::jthread watcher_;
};

}  // namespace sevenfold::cli
