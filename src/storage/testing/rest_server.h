// Our own REST server on a free loopback port, in this process.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "net/http_server.h"
#include "storage/open.h"
#include "storage/rest_server/rest_server.h"
#include "storage/testing/contract.h"

namespace sevenfold::storage {

class TestRestServer {
  public:
    // Serves a folder of its own. By default everybody may do everything, and bodies need not hash
    // to their names, because those of the contract do not.
    explicit TestRestServer(RestServerOptions options = {.verify_uploads = false},
                            net::ServerOptions http = {});
    ~TestRestServer();

    uint16_t port() const { return port_; }
    const std::string& folder() const { return folder_.path(); }
    // rest: location of a repository below the folder; `user` may be "name:password@".
    Location location(const std::string& name, const std::string& user = {},
                      uint16_t port = 0) const;
    std::string url(const std::string& path) const;
    RestServer& server() { return *rest_; }
    unsigned connections() const { return http_->connections(); }
    // Stops as a signal would; returns when it has ended.
    void stop();

  private:
    TestFolder folder_;
    std::unique_ptr<RestServer> rest_;
    std::unique_ptr<net::HttpServer> http_;
    uint16_t port_ = 0;
    std::jthread thread_;
};

}  // namespace sevenfold::storage
