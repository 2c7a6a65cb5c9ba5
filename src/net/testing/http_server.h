// A little HTTP server on a free loopback port, for tests of clients. It does what its handler
// says, right or wrong.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "net/http_client.h"

namespace sevenfold::net {

struct ServedRequest {
    std::string method, target;       // target: path and query, as they were sent
    std::vector<HttpHeader> headers;  // names in lower case
    std::string body;
    int connection = 0;  // counts from 1

    std::string_view header(std::string_view name) const;
    std::string_view path() const { return std::string_view(target).substr(0, target.find('?')); }
};

struct ServedAnswer {
    std::string bytes;   // the whole answer, as it goes over the wire
    bool close = false;  // end the connection after it
};

// A complete answer with its Content-Length.
ServedAnswer answer(int status, std::string body = {}, const std::vector<HttpHeader>& headers = {});

// Whether a condition comes true within a time that only a test that fails needs.
bool eventually(const std::function<bool()>& holds, int seconds = 30);

class TestHttpServer {
  public:
    // Called for one request at a time.
    using Handler = std::function<ServedAnswer(const ServedRequest&)>;
    explicit TestHttpServer(Handler handler);
    ~TestHttpServer();
    TestHttpServer(const TestHttpServer&) = delete;
    TestHttpServer& operator=(const TestHttpServer&) = delete;

    uint16_t port() const { return port_; }
    std::string url(std::string_view target = "/") const;
    // What to say to "Expect: 100-continue"; an empty answer lets the body come. Set before use.
    void before_body(Handler handler) { before_body_ = std::move(handler); }
    // Takes the body without ever saying "100 Continue".
    void never_continue() { never_continue_ = true; }

    // So far, refused ones included.
    std::vector<ServedRequest> requests() const;

  private:
    void accept_connections();
    void serve(int fd, int number);
    bool serve_one(int fd, int number, std::string& buffer);

    Handler handler_, before_body_;
    bool never_continue_ = false;
    uint16_t port_ = 0;
    int listener_ = -1;
    std::atomic<bool> stopping_{false};
    mutable std::mutex mutex_;  // guards what follows
    std::vector<ServedRequest> requests_;
    std::vector<int> sockets_;  // closed by the destructor
    std::vector<std::thread> servers_;
    std::mutex handler_mutex_;
    std::thread acceptor_;
};

}  // namespace sevenfold::net
