// A connection to `sevenfold serve --stdio` at the far end of an ssh of its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/http_client.h"
#include "os/child_process.h"

namespace sevenfold::storage {

class SshChannel : public net::HttpChannel {
  public:
    // Starts ssh with `socket` as its input and output; that it cannot connect shows at the first
    // request. `location` for messages.
    SshChannel(const std::vector<std::string>& argv, int socket, std::string location,
               bool may_ask);
    // Waits a moment for ssh's end, whose words tell more than a broken connection.
    Error explain(const Error& error) override;

  private:
    std::string location_;
    std::unique_ptr<os::ChildProcess> ssh_;
};

}  // namespace sevenfold::storage
