// An HTTP/1.1 server: requests in, answers out, over TCP, TLS or a pair of pipes.
//
// One thread a connection, which costs its stack and two buffers of 64 KiB; the number of
// connections is bounded. What a client may cost is bounded too: the size of its header and body,
// the time in which they must come, and the time in which it must take the answer. A body is read
// by the handler, piece by piece, and never held whole here; one that the handler does not read is
// not asked for (Expect: 100-continue) and ends the connection.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "net/http_client.h"

namespace sevenfold::net {

struct ServerRequest {
    std::string method, target;       // as sent: "GET", "/a%20b?c=d"
    std::vector<HttpHeader> headers;  // names in lower case
    std::string peer;                 // the client's address, without port
    // The Content-Length; nothing for a chunked body.
    std::optional<uint64_t> body_size;

    // The first header of that name (lower case); empty when there is none.
    std::string_view header(std::string_view name) const;
};

// The body of the request under way.
class RequestBody {
  public:
    virtual ~RequestBody() = default;
    // Some bytes; 0 at the end. Throws network (the client has gone), timeout (it is too slow),
    // corrupt (not HTTP) or refused (longer than allowed).
    virtual size_t read(MutableByteView out) = 0;
};

struct ServerResponse {
    int status = 200;
    std::vector<HttpHeader> headers;
    Bytes body;
    // Instead of `body`: `size` bytes that `fill` puts out piece by piece, each call continuing
    // where the last ended. What it throws cuts the connection, so that the client sees an answer
    // shorter than announced.
    uint64_t size = 0;
    std::function<void(MutableByteView out)> fill;
    std::string user;  // for the log
};

// Called on the connection's thread, by several at once. What it throws becomes a 500.
using ServerHandler = std::function<ServerResponse(const ServerRequest&, RequestBody&)>;

// One request that has been answered, or could not be.
struct ServedLine {
    const ServerRequest& request;  // method empty: not understood
    const ServerResponse& response;
    uint64_t received = 0, sent = 0;  // of the bodies
    bool complete = false;            // the client got all of it
    std::chrono::nanoseconds took{};
};

struct ServerLimits {
    uint64_t header_bytes = 16 << 10;
    uint64_t body_bytes = uint64_t{1} << 30;
    unsigned connections = 512;                                       // one more gets a 503
    std::chrono::nanoseconds header_time = std::chrono::seconds(15);  // TLS' handshake included
    std::chrono::nanoseconds idle_time = std::chrono::seconds(120);   // between two requests
    // Nothing moved for so long, or less than least_rate on average after it.
    std::chrono::nanoseconds stall_time = std::chrono::seconds(60);
    uint64_t least_rate = 1024;                                 // bytes a second
    std::chrono::nanoseconds grace = std::chrono::seconds(10);  // for what runs when asked to stop
};

struct ServerOptions {
    ServerLimits limits;
    std::string certificate_file, key_file;  // PEM; empty: no TLS. Read anew when they change.
    std::function<void(const ServedLine&)> on_served;
};

// A listening TCP socket for "host:port", ":port" (every address) or "[::1]:port"; port 0 takes a
// free one. Throws Error{config} for what is not such an address, and errors of the system.
int listen_on(const std::string& address);
// The listening sockets that systemd hands over (LISTEN_FDS), which then are the caller's; none
// when there are none for this process. Children will not see them.
std::vector<int> inherited_sockets();
// "127.0.0.1:8000" of a socket; "unix" for others than TCP.
std::string address_of(int socket);

class HttpServer {
  public:
    // Owns the listening sockets. Throws Error{config} for certificates that cannot be used.
    HttpServer(ServerOptions options, std::vector<int> listeners, ServerHandler handler);
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    // Serves until asked to stop: then takes no new connections, closes the idle ones, lets
    // requests under way end within limits.grace, and returns.
    void run(std::stop_token stop);
    unsigned connections() const;  // now

  private:
    struct State;
    std::unique_ptr<State> state_;
};

// Serves one connection over two descriptors (or one, named twice) that stay the caller's, until
// its end. The descriptors become non-blocking.
void serve_pipe(const ServerOptions& options, int input, int output, const ServerHandler& handler,
                std::stop_token stop);

}  // namespace sevenfold::net
