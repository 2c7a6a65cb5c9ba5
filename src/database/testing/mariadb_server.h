// A throw-away MariaDB server: its own data folder, a private socket, a free loopback port, stopped
// by its own process id when the object goes away, also when the test fails.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "os/child_process.h"
#include "sql/mariadb.h"
#include "storage/testing/contract.h"

namespace sevenfold::database {

struct TestServerOptions {
    // More arguments for mariadbd. By default: binlog `bin`, ROW, FULL image and metadata, GTIDs.
    std::vector<std::string> arguments;
    uint32_t server_id = 1;
    bool binlog = true;
    bool tcp = false;      // also listens on 127.0.0.1
    std::string data_dir;  // an existing one, which stays; empty: a new one
};

class TestServer {
  public:
    // Throws when MariaDB is missing or does not start: a test that needs it must fail then.
    explicit TestServer(TestServerOptions options = {});
    ~TestServer();

    std::string socket() const { return folder_ / "s"; }
    uint16_t port() const { return port_; }
    const std::string& data_dir() const { return data_dir_; }
    std::string error_log() const;                                      // its content
    sql::MariadbOptions login(const std::string& user = "root") const;  // over the socket
    sql::MariadbOptions tcp_login(const std::string& user, const std::string& password) const;
    // A connection as root.
    std::unique_ptr<sql::MariadbConnection> connect(const std::string& database = {}) const;
    void run(std::string_view statement) const { connect()->execute(statement); }

    void start();
    void stop();  // a clean shutdown
    void kill();  // SIGKILL, and waits
    bool running() const { return process_ != nullptr; }
    pid_t pid() const { return process_->pid(); }

  private:
    storage::TestFolder folder_;
    TestServerOptions options_;
    std::string data_dir_;
    uint16_t port_ = 0;
    std::unique_ptr<os::ChildProcess> process_;
};

}  // namespace sevenfold::database
