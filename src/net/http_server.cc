#include "net/http_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <list>
#include <mutex>
#include <thread>

#include "core/check.h"
#include "core/error.h"
#include "core/log.h"
#include "net/internal/http_connection.h"
#include "net/internal/wire.h"

namespace sevenfold::net {
namespace {

// A vanished reader is told by EPIPE; the signal would end the program.
void block_sigpipe() {
    sigset_t pipe_only;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_only, nullptr);
}

void set_nonblocking(int fd) {
    int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) throw errno_error("connection");
}

// "127.0.0.1:80", "[::1]:80"; with_port off: only the address.
std::string display(const sockaddr_storage& address, socklen_t size, bool with_port) {
    if (address.ss_family != AF_INET && address.ss_family != AF_INET6) return "unix";
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (::getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, host, sizeof host, port,
                      sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return "unknown";
    std::string name = host;
    if (name.starts_with("::ffff:")) name = name.substr(7);  // IPv4 on a socket of both
    if (!with_port) return name;
    return name.find(':') == std::string::npos ? fmt::format("{}:{}", name, port)
                                               : fmt::format("[{}]:{}", name, port);
}

struct AddressList {
    ~AddressList() {
        if (first != nullptr) ::freeaddrinfo(first);
    }
    addrinfo* first = nullptr;
};

int try_listen(const addrinfo& entry) {
    int fd = ::socket(entry.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    int on = 1, off = 0;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (entry.ai_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (::bind(fd, entry.ai_addr, entry.ai_addrlen) == 0 && ::listen(fd, 512) == 0) return fd;
    int failure = errno;
    ::close(fd);
    errno = failure;
    return -1;
}

}  // namespace

std::string_view ServerRequest::header(std::string_view name) const {
    for (const HttpHeader& line : headers)
        if (line.name == name) return line.value;
    return {};
}

int listen_on(const std::string& address) {
    size_t colon = address.rfind(':');
    Error bad(ErrorKind::config, fmt::format("{} is not an address to listen on", address),
              "Write host:port, or :port for every address of this machine.");
    if (colon == std::string::npos) throw bad;
    std::string host = address.substr(0, colon), port = address.substr(colon + 1);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != port.npos ||
        std::stoul(port) > 65535)
        throw bad;
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    AddressList list;
    if (::getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &list.first) !=
        0)
        throw bad;
    // Of all addresses of the machine the IPv6 one stands for both kinds, where there is IPv6.
    for (int family : {host.empty() ? AF_INET6 : AF_UNSPEC, AF_UNSPEC})
        for (const addrinfo* entry = list.first; entry != nullptr; entry = entry->ai_next)
            if (family == AF_UNSPEC || entry->ai_family == family)
                if (int fd = try_listen(*entry); fd >= 0) return fd;
    throw errno_error("listen on " + address);
}

std::vector<int> inherited_sockets() {
    const char* pid = std::getenv("LISTEN_PID");
    const char* count = std::getenv("LISTEN_FDS");
    std::vector<int> sockets;
    if (pid != nullptr && count != nullptr && std::to_string(::getpid()) == pid)
        for (int fd = 3; fd < 3 + std::min(std::atoi(count), 64); ++fd) {
            ::fcntl(fd, F_SETFD, FD_CLOEXEC);
            sockets.push_back(fd);
        }
    for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
    return sockets;
}

std::string address_of(int socket) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0)
        throw errno_error("listening socket");
    return display(address, size, true);
}

struct HttpServer::State {
    struct Client {
        int fd = -1;  // closed by its thread, under the mutex
        bool busy = false, done = false;
        std::string peer;
        std::thread thread;
    };

    ServerOptions options;
    std::vector<int> listeners;
    ServerHandler handler;
    std::unique_ptr<internal::TlsFiles> tls;
    std::atomic<bool> stopping{false};
    mutable std::mutex mutex;  // guards what follows
    std::list<Client> clients;
    unsigned open = 0;

    std::unique_ptr<internal::Wire> wire(int fd) {
        return tls ? tls->wire(fd) : internal::plain_wire(fd, fd);
    }
    void accept_from(int listener);
    void serve(Client& client);
    void reap(bool all);
    void stop_clients();
};

HttpServer::HttpServer(ServerOptions options, std::vector<int> listeners, ServerHandler handler)
    : state_(std::make_unique<State>()) {
    state_->options = std::move(options);
    state_->listeners = std::move(listeners);
    state_->handler = std::move(handler);
    if (!state_->options.certificate_file.empty())
        state_->tls = std::make_unique<internal::TlsFiles>(state_->options.certificate_file,
                                                           state_->options.key_file);
    for (int fd : state_->listeners) set_nonblocking(fd);
}

HttpServer::~HttpServer() {
    for (int fd : state_->listeners) ::close(fd);
}

unsigned HttpServer::connections() const {
    std::lock_guard lock(state_->mutex);
    return state_->open;
}

// The connection's own thread.
void HttpServer::State::serve(Client& client) {
    block_sigpipe();
    try {
        auto connection = wire(client.fd);
        internal::serve_connection(*connection, {.server = options,
                                                 .handler = handler,
                                                 .peer = client.peer,
                                                 .stopping = [this] { return stopping.load(); },
                                                 .busy =
                                                     [&](bool on) {
                                                         std::lock_guard lock(mutex);
                                                         client.busy = on;
                                                     }});
    } catch (...) {
        log_error("connection of {}: {}", client.peer, current_error().message());
    }
    std::lock_guard lock(mutex);
    ::close(client.fd);
    client.fd = -1;
    client.done = true;
    --open;
}

void HttpServer::State::accept_from(int listener) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    int fd = ::accept4(listener, reinterpret_cast<sockaddr*>(&address), &size,
                       SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            log_warning("no new connections now: {}", errno_error("accept").message());
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
        return;  // otherwise the client has gone already
    }
    int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    std::lock_guard lock(mutex);
    if (open < options.limits.connections) {
        Client& client = clients.emplace_back();
        client.fd = fd;
        client.peer = display(address, size, false);
        try {
            client.thread = std::thread([this, &client] { serve(client); });
            ++open;
            return;
        } catch (const std::system_error&) {
            clients.pop_back();
        }
    }
    log_warning("a connection of {} was refused: there are {}", display(address, size, false),
                open);
    auto plain = internal::plain_wire(fd, fd);
    if (!tls) internal::refuse_connection(*plain);
    ::close(fd);
}

void HttpServer::State::reap(bool all) {
    std::list<Client> ended;
    {
        std::lock_guard lock(mutex);
        for (auto at = clients.begin(); at != clients.end();) {
            auto next = std::next(at);
            if (all || at->done) ended.splice(ended.end(), clients, at);
            at = next;
        }
    }
    for (Client& client : ended) client.thread.join();
}

void HttpServer::State::stop_clients() {
    auto until = std::chrono::steady_clock::now() + options.limits.grace;
    for (bool patient = true;; std::this_thread::sleep_for(std::chrono::milliseconds(20))) {
        patient = patient && std::chrono::steady_clock::now() < until;
        std::lock_guard lock(mutex);
        bool waiting = false;
        for (Client& client : clients) {
            if (client.fd < 0) continue;
            if (client.busy && patient)
                waiting = true;
            else
                ::shutdown(client.fd, SHUT_RDWR);
        }
        if (!waiting) return;
    }
}

void HttpServer::run(std::stop_token stop) {
    State& state = *state_;
    int wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake < 0) throw errno_error("eventfd");
    {
        std::stop_callback on_stop(stop, [wake] {
            uint64_t one = 1;
            CHECK(::write(wake, &one, sizeof one) == sizeof one);
        });
        std::vector<pollfd> fds;
        for (int fd : state.listeners) fds.push_back({fd, POLLIN, 0});
        fds.push_back({wake, POLLIN, 0});
        while (!stop.stop_requested()) {
            if (::poll(fds.data(), fds.size(), 1000) < 0 && errno != EINTR) break;
            for (size_t i = 0; i + 1 < fds.size(); ++i)
                if (fds[i].revents != 0) state.accept_from(fds[i].fd);
            state.reap(false);
        }
    }
    ::close(wake);
    state.stopping = true;
    state.stop_clients();
    state.reap(true);
}

void serve_pipe(const ServerOptions& options, int input, int output, const ServerHandler& handler,
                std::stop_token stop) {
    set_nonblocking(input);
    set_nonblocking(output);
    std::thread thread([&] {
        block_sigpipe();
        auto wire = internal::plain_wire(input, output);
        internal::serve_connection(*wire, {.server = options,
                                           .handler = handler,
                                           .peer = "pipe",
                                           .stopping = [&] { return stop.stop_requested(); },
                                           .busy = [](bool) {}});
    });
    thread.join();
}

}  // namespace sevenfold::net
