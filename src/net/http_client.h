// HTTP requests over libcurl: one request, its whole answer.
//
// Connections are kept and used again; the client holds as many as there were requests at once.
// Redirects are never followed and no cookies kept: what an answer means is the caller's matter, as
// are tries again. Nothing of a request but its method and host is ever logged or put into an
// error.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/error.h"

namespace sevenfold::net {

// Keeps letters, digits and "-._~" (RFC 3986's unreserved characters) and those of `keep`; every
// other byte becomes %XX.
std::string percent_encode(std::string_view text, std::string_view keep = {});
// Nothing for a % without two hex digits after it; + stays +.
std::optional<std::string> percent_decode(std::string_view text);

struct HttpHeader {
    std::string name, value;
    bool operator==(const HttpHeader&) const = default;
};

struct HttpRequest {
    std::string method = "GET";  // a HEAD is known to have no answer's body
    std::string url;             // http:// or https://, already escaped
    std::vector<HttpHeader> headers;
    // Sent with PUT and POST; stays valid during the call, which may send it more than once. With
    // `ask_first` it is sent only after the server agreed (Expect: 100-continue), so that a refused
    // request costs no body. Servers that do not know this are asked once and cost a second.
    ByteView body = {};
    bool ask_first = false;
    // Of the answer's body. What is longer is not read: see HttpResponse::cut.
    uint64_t response_limit = 64 << 20;
};

struct HttpResponse {
    int status = 0;                   // 200, 404, …
    std::vector<HttpHeader> headers;  // names in lower case
    Bytes body;
    bool cut = false;  // there was more than response_limit; `body` is then useless

    // The first header of that name (lower case); empty when there is none.
    std::string_view header(std::string_view name) const;
    // The Content-Length, if it is there and a number.
    std::optional<uint64_t> content_length() const;
};

// What is at the other end of a connection instead of a server on the network.
class HttpChannel {
  public:
    virtual ~HttpChannel() = default;
    // What is behind an error of a request over it, if that is known here.
    virtual Error explain(const Error& error) = 0;
};

struct HttpOptions {
    // Serves connections instead of the URL's host, which then is only a name in the request. Given
    // the other end of a new connection, a socket of which it makes its own copy; what it throws
    // comes out of perform().
    std::function<std::unique_ptr<HttpChannel>(int socket)> connect;
    std::string ca_file;  // certificates to trust instead of the system's; empty: the system's
    std::chrono::nanoseconds connect_timeout = std::chrono::seconds(20);
    // Nothing moved for so long: Error{timeout}.
    std::chrono::nanoseconds stall_timeout = std::chrono::seconds(60);
    // When asked to stop, a request that has not moved for a few seconds is given up with
    // Error{interrupted}; one that moves is finished.
    std::stop_token stop;
    // Called before so many bytes of a body are sent, and after so many came; may wait. For limits
    // of bandwidth.
    std::function<void(size_t)> pace_upload, pace_download;
    // Called with each answer, on the thread of its request; for what servers say beside the
    // matter.
    std::function<void(const HttpResponse&)> on_answer;
    bool use_proxy = true;  // honour http_proxy, https_proxy and no_proxy
};

// Thread-safe; each request under way has a connection of its own.
class HttpClient {
  public:
    explicit HttpClient(HttpOptions options = {});
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    // Any complete answer is a success, whatever its status. Throws network (not reached, cut off,
    // not HTTP, body shorter than announced), timeout, interrupted, permission (the server's
    // certificate is not trusted) or config (the URL or ca_file cannot be used). After an error it
    // is unknown whether the server has done what it was asked. What ends without an answer on a
    // connection that had been idle goes again over a new one, POST excepted.
    HttpResponse perform(const HttpRequest& request);

    // Connections made so far; for tests.
    uint64_t connections() const { return connections_; }

  private:
    class Handle;
    class Transfer;
    std::unique_ptr<Handle> take();
    void give_back(std::unique_ptr<Handle> handle);

    const HttpOptions options_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Handle>> idle_;  // bounded by the requests that ran at once
    std::atomic<uint64_t> connections_{0};
    std::atomic<bool> continue_unknown_{false};  // the server let us wait for its "100 Continue"
};

}  // namespace sevenfold::net
