#include "storage/testing/sshd.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "core/check.h"
#include "core/error.h"

namespace sevenfold::storage {
namespace {

sockaddr_in loopback(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

// A listening socket on a free port.
os::UniqueFd listen_somewhere(uint16_t& port) {
    os::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (!fd.valid() || ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(fd.get(), 64) != 0 ||
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
        throw errno_error("listen on loopback");
    port = ntohs(address.sin_port);
    return fd;
}

std::string user_name() {
    const passwd* entry = ::getpwuid(::geteuid());
    CHECK(entry != nullptr);
    return entry->pw_name;
}

void make_key(const std::string& path) {
    auto result = os::run_command(
        {.argv = {"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path}});
    if (!result.status.ok()) throw Error(ErrorKind::io, "ssh-keygen: " + result.errors);
}

void write(const std::string& path, const std::string& text) {
    os::write_file_atomically(path, as_bytes(text));
}

}  // namespace

TestSshd::TestSshd() {
    if (::geteuid() == 0) os::make_dirs("/run/sshd", 0755);  // where sshd as root locks itself in
    repositories_ = data_ / "repositories";
    os::make_dirs(repositories_);
    make_key(keys_ / "host");
    make_key(keys_ / "user");
    std::filesystem::copy_file(keys_ / "user.pub", keys_ / "authorized_keys");
    for (int attempt = 0;; ++attempt) {
        listen_somewhere(port_);  // closed again: another may take the port before sshd does
        write(keys_ / "sshd_config",
              fmt::format("ListenAddress 127.0.0.1:{}\nHostKey {}/host\nAuthorizedKeysFile {}\n"
                          "PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
                          "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
                          "MaxStartups 100\nUseDNS no\nSubsystem sftp internal-sftp\n",
                          port_, keys_.path(), keys_ / "authorized_keys"));
        // sshd starts itself anew for each connection and wants its absolute path for that. setpriv
        // makes it end with a test that is killed.
        server_ = std::make_unique<os::ChildProcess>(
            os::ChildOptions{.argv = {"setpriv", "--pdeathsig", "TERM", "/usr/sbin/sshd", "-D",
                                      "-e", "-f", keys_ / "sshd_config"},
                             .output = os::ChildOptions::Stream::null,
                             .own_group = true});
        while (server_->error_tail().find("Server listening") == std::string::npos) {
            if (!server_->wait_for(std::chrono::milliseconds(5))) continue;
            server_->wait();
            if (attempt == 5)
                throw Error(ErrorKind::io, "sshd did not start: " + server_->error_tail());
            break;
        }
        if (!server_->wait_for(std::chrono::nanoseconds(0))) break;
    }
    std::string host_key(as_text(os::read_file(keys_ / "host.pub")));
    write(known_hosts_path(), "sevenfold-test " + host_key);
    write(keys_ / "ssh_config",
          fmt::format("Host *\n HostName 127.0.0.1\n HostKeyAlias sevenfold-test\n User {}\n"
                      " IdentityFile {}\n IdentitiesOnly yes\n IdentityAgent none\n"
                      " UserKnownHostsFile {}\n GlobalKnownHostsFile /dev/null\n"
                      " StrictHostKeyChecking yes\n",
                      user_name(), user_key_path(), known_hosts_path()));
}

TestSshd::~TestSshd() {
    // Also the processes that serve connections: they are in the server's process group.
    ::kill(-server_->pid(), SIGTERM);
}

std::vector<std::string> TestSshd::ssh_args(uint16_t port) const {
    return {"-F", keys_ / "ssh_config", "-p", std::to_string(port == 0 ? port_ : port)};
}

Location TestSshd::location(const std::string& name) const {
    return {
        .driver = Location::Driver::sftp, .path = repositories_ + "/" + name, .host = "loopback"};
}

BackendOptions TestSshd::options(uint16_t port) const {
    BackendOptions options;
    options.retry_for = std::chrono::nanoseconds(0);
    options.ssh_args = ssh_args(port);
    return options;
}

ConnectionCutter::ConnectionCutter(uint16_t target_port) : target_(target_port) {
    listener_ = listen_somewhere(port_);
    acceptor_ = std::thread([this] { accept_connections(); });
}

ConnectionCutter::~ConnectionCutter() {
    stopping_ = true;
    ::shutdown(listener_.get(), SHUT_RDWR);
    acceptor_.join();
    cut();
    for (std::thread& pump : pumps_) pump.join();
}

void ConnectionCutter::cut() {
    std::lock_guard lock(mutex_);
    for (os::UniqueFd& fd : sockets_) ::shutdown(fd.get(), SHUT_RDWR);
}

void ConnectionCutter::accept_connections() {
    while (!stopping_) {
        os::UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!client.valid() || refusing_) continue;
        os::UniqueFd server(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address = loopback(target_);
        if (::connect(server.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            continue;
        ++accepted_;
        int up = client.get(), down = server.get();
        std::lock_guard lock(mutex_);
        pumps_.emplace_back([this, up, down] { pump(up, down, up_left_); });
        pumps_.emplace_back([this, up, down] { pump(down, up, down_left_); });
        sockets_.push_back(std::move(client));
        sockets_.push_back(std::move(server));
    }
}

void ConnectionCutter::pump(int from, int to, std::atomic<int64_t>& left) {
    std::vector<uint8_t> buffer(16 << 10);
    for (;;) {
        ssize_t n = ::recv(from, buffer.data(), buffer.size(), 0);
        if (n <= 0) break;
        if (stalled_) continue;
        if (left >= 0 && (left -= n) < 0) {
            left = -1;
            ++cuts_;
            break;
        }
        for (ssize_t sent = 0; sent < n;) {
            ssize_t m =
                ::send(to, buffer.data() + sent, static_cast<size_t>(n - sent), MSG_NOSIGNAL);
            if (m <= 0) break;
            sent += m;
        }
    }
    ::shutdown(from, SHUT_RDWR);
    ::shutdown(to, SHUT_RDWR);
}

}  // namespace sevenfold::storage
