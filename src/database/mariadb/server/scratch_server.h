// A MariaDB server of our own on a data folder: for a drill, for a look into the past, for loading
// and replaying into a new data folder.
//
// It is cut off from the world: no network, no option files, its own socket in its own folder, no
// replication, no events, no binlog unless asked for, no links out of the data folder, no plugins
// but those that are named, so no engines that reach other servers. It ends with this object, and
// with this process however that ends.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "database/base.h"
#include "os/child_process.h"
#include "sql/mariadb.h"

namespace sevenfold::database::mariadb {

struct ScratchOptions {
    std::string data_dir;
    // For socket, pid file, error log, temporary tables; made when missing. Empty: a new one in
    // $TMPDIR or /tmp, removed at the end.
    std::string work_dir;
    std::string program;  // empty: mariadbd from PATH and the usual folders
    // The system's user who runs it; matters for root only. Empty: the owner of the data folder.
    std::string user;
    // kept: the server's accounts are in force, and a temporary one with all rights is added, which
    // stop() removes again. skipped: nobody is asked for anything, and statements about accounts
    // fail; also for data folders whose mysql database is damaged.
    enum class Grants { kept, skipped } grants = Grants::kept;
    uint32_t server_id = 1;
    bool binlog = false;  // files "sevenfold-bin" in the data folder, ROW with full metadata
    uint64_t buffer_pool = 128 << 20;
    // Where plugins are loaded from, by mysql.plugin and by `arguments`. Empty: a folder with
    // `plugins` alone; tables of engines that are not part of mariadbd (RocksDB, Archive, …) and
    // encrypted ones cannot be read without theirs.
    std::string plugin_dir;
    std::vector<std::string> plugins;     // paths of files
    std::vector<std::string> arguments;   // after all others, so they win
    std::chrono::seconds patience{1800};  // for the start: crash recovery can take long
    std::stop_token stop;
};

// What a server must be told to run on this base's files: innodb_page_size, …
std::vector<std::string> server_arguments(const BaseManifest& base);

class ScratchServer {
  public:
    // Returns when it answers. Throws Error: not_found when there is no mariadbd; timeout;
    // interrupted; else io; each with the end of its error log.
    explicit ScratchServer(ScratchOptions options);
    // Kills it. The data folder is then as after a crash: it recovers at the next start.
    ~ScratchServer();
    ScratchServer(const ScratchServer&) = delete;
    ScratchServer& operator=(const ScratchServer&) = delete;

    // A session with all rights (with skipped grants: anybody's).
    sql::MariadbOptions login() const;
    std::unique_ptr<sql::MariadbConnection> connect(const std::string& database = {}) const;

    const std::string& socket() const { return socket_; }
    const std::string& data_dir() const { return options_.data_dir; }
    pid_t pid() const { return process_->pid(); }
    std::string error_log() const;  // its last 16 KiB
    std::string version() const { return version_; }

    // A clean shutdown; the data folder can then be handed on. Throws Error{timeout} (and leaves it
    // to the destructor) after `patience`, {io} when the server had crashed.
    void stop(std::chrono::seconds patience = std::chrono::minutes(30));
    bool running() const;

  private:
    void make_folders();
    void write_init_file();
    std::vector<std::string> arguments() const;
    void wait_until_it_answers();
    [[noreturn]] void fail(ErrorKind kind, const std::string& what) const;

    ScratchOptions options_;
    std::string own_folder_;  // to be removed
    std::string socket_, version_, account_;
    Secret password_;
    std::optional<os::ChildOptions::RunAs> run_as_;
    std::unique_ptr<os::ChildProcess> process_;
};

// mariadbd or its installer, where Debian and others have them. Throws not_found.
std::string find_server_program(const std::string& name);

struct InstallOptions {
    std::string data_dir;                // new or empty
    std::string user;                    // its owner; empty: mysql when we are root and it exists
    std::vector<std::string> arguments;  // for example --innodb-page-size=…
};
// A fresh data folder without test databases or anonymous accounts; root@localhost logs in over the
// socket alone. Throws exists when the folder is not empty.
void install_data_dir(const InstallOptions& options);

// Owner and modes as a server wants its data folder: 0700 and everything owned by `user` (as in
// InstallOptions). Nothing is followed through links.
void make_data_dir_usable(const std::string& data_dir, const std::string& user = {});

}  // namespace sevenfold::database::mariadb
