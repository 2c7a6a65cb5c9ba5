// The requests of one connection, one after the other.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "net/http_server.h"
#include "net/internal/wire.h"

namespace sevenfold::net::internal {

struct ConnectionOptions {
    const ServerOptions& server;
    const ServerHandler& handler;
    std::string peer;
    // Asked before each request; the connection ends once it is true.
    std::function<bool()> stopping;
    // Told when a request begins (its first byte has come) and when it was answered.
    std::function<void(bool)> busy;
};

// Returns at the connection's end, however it comes; throws nothing.
void serve_connection(Wire& wire, const ConnectionOptions& options);
// For a connection that is one too many.
void refuse_connection(Wire& wire);

}  // namespace sevenfold::net::internal
