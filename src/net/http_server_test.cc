#include "net/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mutex>
#include <thread>

#include "core/error.h"
#include "core/parallel.h"
#include "net/testing/http_server.h"

namespace sevenfold::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

class Running {
  public:
    explicit Running(ServerHandler handler, ServerOptions options = {}) {
        int socket = listen_on("127.0.0.1:0");
        std::string address = address_of(socket);
        EXPECT_THAT(address, StartsWith("127.0.0.1:"));
        port = static_cast<uint16_t>(std::stoul(address.substr(10)));
        server = std::make_unique<HttpServer>(std::move(options), std::vector<int>{socket},
                                              std::move(handler));
        thread = std::jthread([this](std::stop_token stop) { server->run(stop); });
    }
    std::string url(const std::string& path) const {
        return "http://127.0.0.1:" + std::to_string(port) + path;
    }
    void stop() {
        thread.request_stop();
        if (thread.joinable()) thread.join();
    }
    uint16_t port = 0;
    std::unique_ptr<HttpServer> server;
    std::jthread thread;
};

// A client that sends what no client should.
class Raw {
  public:
    explicit Raw(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    }
    ~Raw() { ::close(fd_); }
    Raw(const Raw&) = delete;
    Raw& operator=(const Raw&) = delete;

    // False once the server has closed.
    bool send(std::string_view text) {
        while (!text.empty()) {
            ssize_t n = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
            if (n <= 0) return false;
            text.remove_prefix(static_cast<size_t>(n));
        }
        return true;
    }
    // Until `end` was seen or the connection's end, at most 30 s.
    std::string receive(std::string_view end = "\xff") {
        while (got_.find(end) == std::string::npos) {
            pollfd entry{fd_, POLLIN, 0};
            if (::poll(&entry, 1, 30'000) != 1) {
                ADD_FAILURE() << "nothing came";
                break;
            }
            char buffer[4096];
            ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
            if (n <= 0) break;
            got_.append(buffer, static_cast<size_t>(n));
        }
        return std::exchange(got_, {});
    }

  private:
    int fd_;
    std::string got_;
};

// Answers with what it was sent.
ServerResponse echo(const ServerRequest& request, RequestBody& body) {
    ServerResponse response;
    response.headers.push_back({"X-Target", request.target});
    uint8_t piece[1000];
    while (size_t n = body.read(piece)) append(response.body, ByteView(piece, n));
    return response;
}

TEST(HttpServer, ServesRequestsOverOneConnection) {
    Running running(echo);
    HttpClient client;
    for (size_t size : {size_t{0}, size_t{1}, size_t{64 << 10}, size_t{3'000'001}}) {
        Bytes body(size);
        for (size_t i = 0; i < size; ++i) body[i] = static_cast<uint8_t>(i * 7 / 5);
        for (bool ask : {false, true}) {
            HttpResponse response = client.perform({.method = "POST",
                                                    .url = running.url("/a?b=%20c"),
                                                    .body = body,
                                                    .ask_first = ask});
            EXPECT_EQ(response.status, 200);
            EXPECT_EQ(response.header("x-target"), "/a?b=%20c");
            EXPECT_EQ(response.body, body);
        }
    }
    EXPECT_EQ(client.connections(), 1u);
}

TEST(HttpServer, ManyClientsAtOnce) {
    Running running(echo);
    HttpClient client;
    parallel_for(64, 32, [&](size_t i) {
        Bytes body(20'000 + i, static_cast<uint8_t>(i));
        EXPECT_EQ(client.perform({.method = "POST", .url = running.url("/"), .body = body}).body,
                  body);
    });
}

TEST(HttpServer, StreamsLongAnswers) {
    Running running([](const ServerRequest&, RequestBody&) {
        ServerResponse response{.size = 5'000'000};
        response.fill = [next = uint64_t{0}](MutableByteView out) mutable {
            for (uint8_t& byte : out) byte = static_cast<uint8_t>(next++ % 251);
        };
        return response;
    });
    HttpClient client;
    HttpResponse response = client.perform({.url = running.url("/")});
    ASSERT_EQ(response.body.size(), 5'000'000u);
    for (size_t i = 0; i < response.body.size(); ++i) ASSERT_EQ(response.body[i], i % 251);
    response = client.perform({.method = "HEAD", .url = running.url("/")});
    EXPECT_EQ(response.content_length(), 5'000'000u);
    EXPECT_EQ(client.connections(), 1u);
}

TEST(HttpServer, AnAnswerThatFailsIsCut) {
    Running running([](const ServerRequest&, RequestBody&) {
        ServerResponse response{.size = 1'000'000};
        response.fill = [calls = 0](MutableByteView out) mutable {
            if (++calls == 3) throw Error(ErrorKind::io, "the disk failed");
            for (uint8_t& byte : out) byte = 0;
        };
        return response;
    });
    EXPECT_THROW(HttpClient().perform({.url = running.url("/")}), Error);
}

TEST(HttpServer, HandlersThatThrow) {
    Running running([](const ServerRequest&, RequestBody&) -> ServerResponse {
        throw Error(ErrorKind::internal, "secret reasons");
    });
    HttpResponse response = HttpClient().perform({.url = running.url("/")});
    EXPECT_EQ(response.status, 500);
    EXPECT_THAT(std::string(as_text(response.body)), testing::Not(HasSubstr("secret")));
}

TEST(HttpServer, ARefusedBodyIsNotSent) {
    std::atomic<uint64_t> received{0};
    ServerOptions options;
    options.on_served = [&](const ServedLine& line) { received += line.received; };
    Running running(
        [](const ServerRequest&, RequestBody&) { return ServerResponse{.status = 403}; }, options);
    Bytes body(20 << 20);
    HttpClient client;
    for (bool ask : {true, false})  // also a client that does not ask gets its answer
        EXPECT_EQ(
            client
                .perform(
                    {.method = "POST", .url = running.url("/"), .body = body, .ask_first = ask})
                .status,
            403);
    EXPECT_EQ(received, 0u);
}

TEST(HttpServer, WhatIsNotHttp) {
    Running running(echo);
    for (const char* text :
         {"\r\n\r\nx\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
          "\x16\x03\x01\x02\x00\x01\x00", "GET / HTTP/1.1\r\nA\r\n\r\n",
          "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
          "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
          "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
          "GET / HTTP/1.1\r\nA : b\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"}) {
        Raw client(running.port);
        client.send(text);
        EXPECT_THAT(client.receive(), StartsWith("HTTP/1.1 400 ")) << text;
    }
    Raw client(running.port);
    client.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nabc");
    EXPECT_THAT(client.receive(), StartsWith("HTTP/1.1 500 "));  // echo lets the error through
    EXPECT_EQ(HttpClient().perform({.url = running.url("/")}).status, 200);
}

TEST(HttpServer, ChunkedAndPipelined) {
    Running running(echo);
    Raw client(running.port);
    client.send(
        "POST /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        "GET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.0\r\n\r\n");
    std::string got = client.receive();
    EXPECT_THAT(got, HasSubstr("abcde"));
    EXPECT_THAT(got, HasSubstr("X-Target: /2"));
    EXPECT_THAT(got, HasSubstr("X-Target: /3"));
}

TEST(HttpServer, LimitsOnSize) {
    ServerOptions options;
    options.limits.header_bytes = 2000;
    options.limits.body_bytes = 100;
    Running running(
        [](const ServerRequest& request, RequestBody& body) -> ServerResponse {
            try {
                return echo(request, body);
            } catch (const Error& error) {
                return {.status = error.kind() == ErrorKind::refused ? 413 : 500};
            }
        },
        options);
    Raw header(running.port);
    header.send("GET / HTTP/1.1\r\nA: " + std::string(3000, 'a'));
    EXPECT_THAT(header.receive(), StartsWith("HTTP/1.1 431 "));
    Raw endless(running.port);
    for (int i = 0; i < 100'000 && endless.send("x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n");
         ++i) {
    }
    Raw body(running.port);
    body.send("POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n");
    EXPECT_THAT(body.receive(), StartsWith("HTTP/1.1 413 "));
    Raw chunked(running.port);
    chunked.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n80\r\n" +
                 std::string(128, 'x') + "\r\n0\r\n\r\n");
    EXPECT_THAT(chunked.receive(), StartsWith("HTTP/1.1 413 "));
    Raw fits(running.port);
    fits.send("POST / HTTP/1.1\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc");
    EXPECT_THAT(fits.receive(), StartsWith("HTTP/1.1 200 "));
}

TEST(HttpServer, SlowClientsAreDropped) {
    ServerOptions options;
    options.limits.header_time = 200ms;
    options.limits.idle_time = 200ms;
    options.limits.stall_time = 200ms;
    options.limits.least_rate = 1'000'000;
    Running running(
        [](const ServerRequest& request, RequestBody& body) -> ServerResponse {
            if (request.method == "GET") {
                ServerResponse response{.size = uint64_t{1} << 40};
                response.fill = [](MutableByteView out) { std::ranges::fill(out, 'x'); };
                return response;
            }
            try {
                return echo(request, body);
            } catch (const Error& error) {
                return {.status = error.kind() == ErrorKind::timeout ? 408 : 500};
            }
        },
        options);
    Raw idle(running.port), header(running.port), body(running.port), dribble(running.port),
        deaf(running.port);
    header.send("GET / HT");
    body.send("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
    dribble.send("POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n");
    deaf.send("GET / HTTP/1.1\r\n\r\n");  // and takes nothing of the answer
    EXPECT_EQ(idle.receive(), "");
    EXPECT_THAT(header.receive(), StartsWith("HTTP/1.1 408 "));
    EXPECT_THAT(body.receive(), StartsWith("HTTP/1.1 408 "));
    // A byte now and then does not help.
    EXPECT_TRUE(eventually([&] { return !dribble.send("x"); }));
    EXPECT_TRUE(eventually([&] { return running.server->connections() == 0; }));
}

TEST(HttpServer, LimitOnConnections) {
    ServerOptions options;
    options.limits.connections = 2;
    Running running(echo, options);
    Raw one(running.port), two(running.port);
    for (Raw* client : {&one, &two}) {
        client->send("GET / HTTP/1.1\r\n\r\n");
        EXPECT_THAT(client->receive("\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
    }
    {
        Raw three(running.port);
        EXPECT_THAT(three.receive(), StartsWith("HTTP/1.1 503 "));
    }
    two.send("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    two.receive();
    EXPECT_TRUE(eventually([&] { return running.server->connections() == 1; }));
    Raw four(running.port);
    four.send("GET / HTTP/1.1\r\n\r\n");
    EXPECT_THAT(four.receive("\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
}

TEST(HttpServer, StopsGracefully) {
    std::mutex gate;
    gate.lock();
    std::atomic<bool> inside{false};
    Running running([&](const ServerRequest& request, RequestBody&) {
        if (request.target == "/slow") {
            inside = true;
            std::lock_guard wait(gate);
        }
        return ServerResponse{};
    });
    Raw idle(running.port), busy(running.port);
    idle.send("GET / HTTP/1.1\r\n\r\n");
    idle.receive("\r\n\r\n");
    busy.send("GET /slow HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(eventually([&] { return inside.load(); }));
    running.thread.request_stop();
    EXPECT_EQ(idle.receive(), "");  // closed at once
    gate.unlock();
    EXPECT_THAT(busy.receive(), HasSubstr("200 OK"));  // and this one was let finish
    running.stop();
}

TEST(HttpServer, StopsThoughClientsDoNot) {
    ServerOptions options;
    options.limits.grace = 100ms;
    Running running(echo, options);
    Raw stuck(running.port);
    stuck.send("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n");
    auto until = std::chrono::steady_clock::now() + 30s;
    EXPECT_TRUE(eventually([&] { return running.server->connections() == 1; }));
    running.stop();
    EXPECT_LT(std::chrono::steady_clock::now(), until);
}

TEST(HttpServer, ServesAPipe) {
    struct Channel : HttpChannel {
        int fd;
        std::jthread server;
        explicit Channel(int f) : fd(::dup(f)) {
            server = std::jthread([this] { serve_pipe({}, fd, fd, echo, {}); });
        }
        ~Channel() override {
            ::shutdown(fd, SHUT_RDWR);
            server.join();
            ::close(fd);
        }
        Error explain(const Error& error) override { return error.with_context("explained"); }
    };
    HttpOptions options;
    int calls = 0;
    Channel* last = nullptr;
    options.connect = [&](int socket) -> std::unique_ptr<HttpChannel> {
        if (++calls > 1) throw Error(ErrorKind::refused, "no more");
        auto channel = std::make_unique<Channel>(socket);
        last = channel.get();
        return channel;
    };
    HttpClient client(options);
    Bytes body(100'000, 'x');
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(client.perform({.method = "POST", .url = "http://127.0.0.1/", .body = body}).body,
                  body);
    EXPECT_EQ(calls, 1);
    ::shutdown(last->fd, SHUT_RDWR);
    try {
        client.perform({.url = "http://127.0.0.1/"});
        ADD_FAILURE();
    } catch (const Error& error) {
        EXPECT_EQ(error.message(), "no more");
    }
}

TEST(ListenOn, Addresses) {
    for (const char* address : {"", "8000", "host", ":x", ":70000", "127.0.0.1:", ":-1"})
        EXPECT_THROW(listen_on(address), Error) << address;
    int first = listen_on("127.0.0.1:0");
    EXPECT_THROW(listen_on(address_of(first)), Error);
    ::close(first);
    int all = listen_on(":0");
    EXPECT_THAT(address_of(all), testing::MatchesRegex("(\\[::\\]|0.0.0.0):[0-9]+"));
    ::close(all);
}

}  // namespace
}  // namespace sevenfold::net
