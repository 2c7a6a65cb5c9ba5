#include "database/testing/mariadb_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "os/file.h"

namespace sevenfold::database {
namespace {

std::string system_user() { return geteuid() == 0 ? "root" : ""; }

// Made once for each test program, then copied: installing takes two seconds.
const std::string& data_template() {
    static storage::TestFolder folder;
    static const std::string path = [] {
        std::string made = folder / "template";
        std::vector<std::string> argv = {"mariadb-install-db", "--no-defaults",
                                         "--auth-root-authentication-method=normal",
                                         "--skip-test-db", "--innodb-log-file-size=8M",
                                         // names of temporary files repeat between servers
                                         "--tmpdir=" + folder.path(), "--datadir=" + made};
        if (!system_user().empty()) argv.push_back("--user=" + system_user());
        os::CommandOutput output = os::run_command({.argv = argv});
        if (!output.status.ok())
            throw Error(ErrorKind::io, "mariadb-install-db: " + output.status.display() + "\n" +
                                           std::string(as_text(output.output)) + output.errors);
        return made;
    }();
    return path;
}

uint16_t free_port() {
    os::UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (bind(fd.get(), generic, size) != 0 || getsockname(fd.get(), generic, &size) != 0)
        throw errno_error("a free port");
    return ntohs(address.sin_port);
}

}  // namespace

TestServer::TestServer(TestServerOptions options) : options_(std::move(options)) {
    data_dir_ = options_.data_dir;
    if (data_dir_.empty()) {
        data_dir_ = folder_ / "data";
        std::filesystem::copy(data_template(), data_dir_, std::filesystem::copy_options::recursive);
    }
    if (options_.tcp) port_ = free_port();
    start();
}

TestServer::~TestServer() {
    if (process_) process_->kill(SIGKILL);
}

void TestServer::start() {
    std::vector<std::string> argv = {// setpriv: it ends with a test that is killed
                                     "setpriv",
                                     "--pdeathsig",
                                     "KILL",
                                     "/usr/sbin/mariadbd",
                                     "--no-defaults",
                                     "--datadir=" + data_dir_,
                                     "--tmpdir=" + folder_.path(),
                                     "--socket=" + socket(),
                                     "--pid-file=" + (folder_ / "pid"),
                                     "--log-error=" + (folder_ / "log"),
                                     "--innodb-buffer-pool-size=32M",
                                     "--innodb-log-file-size=8M",
                                     "--performance-schema=0",
                                     fmt::format("--server-id={}", options_.server_id),
                                     "--character-set-server=utf8mb4"};
    if (!system_user().empty()) argv.push_back("--user=" + system_user());
    if (options_.tcp) {
        argv.push_back("--bind-address=127.0.0.1");
        argv.push_back(fmt::format("--port={}", port_));
    } else {
        argv.push_back("--skip-networking");
    }
    if (options_.binlog)
        for (const char* option : {"--log-bin=bin", "--binlog-format=ROW", "--sync-binlog=1",
                                   "--binlog-row-metadata=FULL", "--gtid-strict-mode=1"})
            argv.emplace_back(option);
    for (const std::string& argument : options_.arguments) argv.push_back(argument);
    process_ = std::make_unique<os::ChildProcess>(
        os::ChildOptions{.argv = argv, .output = os::ChildOptions::Stream::null});
    for (int i = 0; i < 600; ++i) {
        try {
            connect();
            return;
        } catch (const Error&) {
            if (process_->wait_for(std::chrono::milliseconds(50))) break;
        }
    }
    throw Error(ErrorKind::io, "mariadbd did not start:\n" + error_log());
}

void TestServer::stop() {
    if (!process_) return;
    process_->kill(SIGTERM);
    process_->wait();
    process_.reset();
}

void TestServer::kill() {
    if (!process_) return;
    process_->kill(SIGKILL);
    process_->wait();
    process_.reset();
}

std::string TestServer::error_log() const {
    std::string path = folder_ / "log";
    return os::path_exists(path) ? std::string(as_text(os::read_file(path))) : "(no log)";
}

sql::MariadbOptions TestServer::login(const std::string& user) const {
    return {.socket = socket(), .user = user};
}

sql::MariadbOptions TestServer::tcp_login(const std::string& user,
                                          const std::string& password) const {
    return {.host = "127.0.0.1", .port = port_, .user = user, .password = Secret(password)};
}

std::unique_ptr<sql::MariadbConnection> TestServer::connect(const std::string& database) const {
    sql::MariadbOptions options = login();
    options.database = database;
    return std::make_unique<sql::MariadbConnection>(options);
}

}  // namespace sevenfold::database
