#include "net/testing/http_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>

#include "core/check.h"
#include "core/error.h"

namespace sevenfold::net {
namespace {

void send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) return;
        bytes.remove_prefix(static_cast<size_t>(n));
    }
}

bool receive_more(int fd, std::string& buffer) {
    char part[16 << 10];
    ssize_t n = ::recv(fd, part, sizeof part, 0);
    if (n > 0) buffer.append(part, static_cast<size_t>(n));
    return n > 0;
}

ServedRequest parse_head(std::string_view head) {
    ServedRequest request;
    size_t end = head.find("\r\n");
    std::string_view line = head.substr(0, end);
    size_t blank = line.find(' '), last = line.rfind(' ');
    if (blank != line.npos) {
        request.method = line.substr(0, blank);
        request.target = line.substr(blank + 1, last - blank - 1);
    }
    while (end != head.npos) {
        size_t from = end + 2;
        end = head.find("\r\n", from);
        line = head.substr(from, end == head.npos ? head.npos : end - from);
        size_t colon = line.find(':');
        if (colon == line.npos) continue;
        std::string name(line.substr(0, colon));
        for (char& c : name) c = static_cast<char>(std::tolower(c));
        size_t value = std::min(line.find_first_not_of(' ', colon + 1), line.size());
        request.headers.push_back({name, std::string(line.substr(value))});
    }
    return request;
}

}  // namespace

std::string_view ServedRequest::header(std::string_view name) const {
    for (const HttpHeader& header : headers)
        if (header.name == name) return header.value;
    return {};
}

ServedAnswer answer(int status, std::string body, const std::vector<HttpHeader>& headers) {
    std::string head =
        fmt::format("HTTP/1.1 {} Test\r\nContent-Length: {}\r\n", status, body.size());
    for (const HttpHeader& header : headers)
        head += fmt::format("{}: {}\r\n", header.name, header.value);
    return {head + "\r\n" + body, false};
}

bool eventually(const std::function<bool()>& holds, int seconds) {
    auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (!holds()) {
        if (std::chrono::steady_clock::now() > until) return false;
        ::poll(nullptr, 0, 2);
    }
    return true;
}

TestHttpServer::TestHttpServer(Handler handler) : handler_(std::move(handler)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (listener_ < 0 || ::bind(listener_, generic, size) != 0 || ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, generic, &size) != 0)
        throw errno_error("listen on loopback");
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_connections(); });
}

TestHttpServer::~TestHttpServer() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    for (int fd : sockets_) ::shutdown(fd, SHUT_RDWR);
    for (std::thread& server : servers_) server.join();
    for (int fd : sockets_) ::close(fd);
    ::close(listener_);
}

std::string TestHttpServer::url(std::string_view target) const {
    return fmt::format("http://127.0.0.1:{}{}", port_, target);
}

std::vector<ServedRequest> TestHttpServer::requests() const {
    std::lock_guard lock(mutex_);
    return requests_;
}

void TestHttpServer::accept_connections() {
    for (int number = 1; !stopping_; ++number) {
        int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) continue;
        std::lock_guard lock(mutex_);
        sockets_.push_back(fd);
        servers_.emplace_back([this, fd, number] { serve(fd, number); });
    }
}

void TestHttpServer::serve(int fd, int number) {
    std::string buffer;
    while (serve_one(fd, number, buffer)) {
    }
    ::shutdown(fd, SHUT_RDWR);
}

bool TestHttpServer::serve_one(int fd, int number, std::string& buffer) {
    size_t end;
    while ((end = buffer.find("\r\n\r\n")) == buffer.npos)
        if (!receive_more(fd, buffer)) {
            return false;
        } else if (buffer[0] == 0x16) {  // a TLS greeting
            send_all(fd, "HTTP/1.1 400 Bad Request\r\n\r\n");
            return false;
        }
    ServedRequest request = parse_head(std::string_view(buffer).substr(0, end));
    request.connection = number;
    buffer.erase(0, end + 4);
    if (request.header("expect") == "100-continue") {
        ServedAnswer early;
        if (before_body_) {
            std::lock_guard lock(handler_mutex_);
            early = before_body_(request);
        }
        if (!early.bytes.empty()) {
            {
                std::lock_guard lock(mutex_);
                requests_.push_back(request);
            }
            send_all(fd, early.bytes);
            return !early.close;
        }
        if (!never_continue_) send_all(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    size_t length = 0;
    std::string_view announced = request.header("content-length");
    std::from_chars(announced.data(), announced.data() + announced.size(), length);
    while (buffer.size() < length)
        if (!receive_more(fd, buffer)) return false;
    request.body = buffer.substr(0, length);
    buffer.erase(0, length);
    {
        std::lock_guard lock(mutex_);
        requests_.push_back(request);
    }
    ServedAnswer reply;
    {
        std::lock_guard lock(handler_mutex_);
        reply = handler_(request);
    }
    send_all(fd, reply.bytes);
    return !reply.close;
}

}  // namespace sevenfold::net
