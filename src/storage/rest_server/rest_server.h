// The server's side of restic's REST protocol, versions 1 and 2, on repositories in folders of this
// machine. Wire-compatible with rest-server, in what it refuses too.
//
// Words: a *right* is what a user may do below a folder (rights.h); a *quota* how much may lie
// there. A file that was answered with success is durable: synced, renamed to its name, its folder
// synced. It appears under its name whole or not at all, and is never overwritten. All but config
// must hash to their name (SHA-256).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/http_server.h"
#include "storage/rest_server/rights.h"

namespace sevenfold::storage {

struct RestServerOptions {
    std::string root;           // the folder below which all repositories lie
    std::string password_file;  // htpasswd; empty: everybody may come, without a name
    Rights rights;
    uint64_t quota = 0;                             // bytes below root, 0: no limit
    bool verify_uploads = true;                     // that bodies hash to their names
    bool metrics = false, metrics_for_all = false;  // GET /metrics; without a name too
    // More lines for /metrics.
    std::function<std::string()> more_metrics;
};

class RestServer {
  public:
    // Throws not_found when there is no such folder, and Error{config} for files that cannot be
    // used. With quotas it looks at every file below the folders that have one.
    explicit RestServer(RestServerOptions options);
    ~RestServer();
    RestServer(const RestServer&) = delete;
    RestServer& operator=(const RestServer&) = delete;

    // Thread-safe. Throws nothing that a client could cause.
    net::ServerResponse handle(const net::ServerRequest& request, net::RequestBody& body);
    // Counts a request for /metrics.
    void count(const net::ServedLine& line);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

// A line of an access log in the combined format, with the time taken in seconds at its end.
std::string access_log_line(const net::ServedLine& line);

}  // namespace sevenfold::storage
