// A real OpenSSH server on a free loopback port, run as the current user with its own keys and
// configuration in a temporary folder, and a proxy in front of it that can cut connections.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "os/child_process.h"
#include "storage/open.h"
#include "storage/testing/contract.h"

namespace sevenfold::storage {

class TestSshd {
  public:
    // Throws when sshd is missing or does not start: a test that needs it must fail then.
    TestSshd();
    ~TestSshd();

    uint16_t port() const { return port_; }
    // Where a repository may be put.
    const std::string& folder() const { return repositories_; }
    // Arguments that make ssh use this server's keys, and `port` (a cutter's, say) instead of ours.
    std::vector<std::string> ssh_args(uint16_t port = 0) const;
    // sftp location of a folder below folder(), and the options to open it.
    Location location(const std::string& name) const;
    BackendOptions options(uint16_t port = 0) const;

    // The lines of the client's known_hosts, for tests of wrong keys.
    std::string known_hosts_path() const { return keys_ / "known_hosts"; }
    std::string user_key_path() const { return keys_ / "user"; }

  private:
    TestFolder keys_, data_;
    std::string repositories_;
    uint16_t port_ = 0;
    std::unique_ptr<os::ChildProcess> server_;
};

// Forwards TCP connections from a loopback port to another, until told otherwise.
class ConnectionCutter {
  public:
    explicit ConnectionCutter(uint16_t target_port);
    ~ConnectionCutter();

    uint16_t port() const { return port_; }
    // Cuts every connection now; new ones are accepted.
    void cut();
    // Cuts the connection on which so many more bytes have gone up (to the server) or down.
    void cut_after_up(int64_t bytes) { up_left_ = bytes; }
    void cut_after_down(int64_t bytes) { down_left_ = bytes; }
    // From now on bytes are swallowed: the connections stand, but nothing arrives.
    void stall(bool on) { stalled_ = on; }
    // New connections are closed at once.
    void refuse(bool on) { refusing_ = on; }
    int connections() const { return accepted_; }
    int cuts() const { return cuts_; }

  private:
    void accept_connections();
    void pump(int from, int to, std::atomic<int64_t>& left);

    uint16_t target_, port_ = 0;
    os::UniqueFd listener_;
    std::atomic<int64_t> up_left_{-1}, down_left_{-1};
    std::atomic<bool> stalled_{false}, refusing_{false}, stopping_{false};
    std::atomic<int> accepted_{0}, cuts_{0};
    std::mutex mutex_;
    std::vector<os::UniqueFd> sockets_;
    std::vector<std::thread> pumps_;
    std::thread acceptor_;
};

}  // namespace sevenfold::storage
