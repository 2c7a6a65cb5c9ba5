#include "storage/testing/rest_server.h"

#include <fmt/format.h>

namespace sevenfold::storage {

TestRestServer::TestRestServer(RestServerOptions options, net::ServerOptions http) {
    options.root = folder_.path();
    rest_ = std::make_unique<RestServer>(std::move(options));
    int socket = net::listen_on("127.0.0.1:0");
    std::string address = net::address_of(socket);
    port_ = static_cast<uint16_t>(std::stoul(address.substr(address.rfind(':') + 1)));
    auto on_served = http.on_served;
    http.on_served = [this, on_served](const net::ServedLine& line) {
        rest_->count(line);
        if (on_served) on_served(line);
    };
    http_ = std::make_unique<net::HttpServer>(
        std::move(http), std::vector<int>{socket},
        [this](const net::ServerRequest& request, net::RequestBody& body) {
            return rest_->handle(request, body);
        });
    thread_ = std::jthread([this](std::stop_token stop) { http_->run(stop); });
}

TestRestServer::~TestRestServer() { stop(); }

void TestRestServer::stop() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
}

Location TestRestServer::location(const std::string& name, const std::string& user,
                                  uint16_t port) const {
    return parse_location(
        fmt::format("rest:http://{}127.0.0.1:{}/{}", user, port == 0 ? port_ : port, name));
}

std::string TestRestServer::url(const std::string& path) const {
    return fmt::format("http://127.0.0.1:{}{}", port_, path);
}

}  // namespace sevenfold::storage
