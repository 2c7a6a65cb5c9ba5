#include "database/mariadb/server/detached.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "core/error.h"
#include "database/mariadb/server/scratch_server.h"
#include "database/mariadb/server/stored_plugins.h"
#include "os/child_process.h"
#include "os/file.h"
#include "os/user_names.h"

namespace sevenfold::database::mariadb {
namespace {

std::string owner_of(const std::string& path) {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) throw errno_error("stat " + path);
    return os::UserNames().user_name(info.st_uid);
}

}  // namespace

std::string detached_socket(const std::string& data_dir) { return data_dir + "/sevenfold.sock"; }

int64_t start_detached(const std::string& data_dir, uint64_t memory) {
    std::string log = data_dir + "/sevenfold.log";
    // The shell leaves it behind: a child of ours would end with us.
    std::vector<std::string> argv = {"/bin/sh",
                                     "-c",
                                     "setsid \"$@\" </dev/null >/dev/null 2>&1 & echo $!",
                                     "sh",
                                     find_server_program("mariadbd"),
                                     "--no-defaults",
                                     "--datadir=" + data_dir,
                                     "--socket=" + detached_socket(data_dir),
                                     "--pid-file=" + data_dir + "/sevenfold.pid",
                                     "--log-error=" + log,
                                     "--skip-networking",
                                     "--skip-slave-start",
                                     "--event-scheduler=OFF",
                                     fmt::format("--innodb-buffer-pool-size={}", memory)};
    StoredPlugins plugins = stored_plugins(data_dir);
    if (!plugins.folder.empty()) argv.push_back("--plugin-dir=" + plugins.folder);
    argv.insert(argv.end(), plugins.arguments.begin(), plugins.arguments.end());
    if (geteuid() == 0) argv.push_back("--user=" + owner_of(data_dir));
    os::CommandOutput started = os::run_command({.argv = argv});
    int64_t pid = std::strtoll(std::string(as_text(started.output)).c_str(), nullptr, 10);
    if (!started.status.ok() || pid <= 0)
        throw Error(ErrorKind::io, "the server could not be started: " + started.errors);
    for (int i = 0; i < 1200; ++i) {
        // It answers when its socket is there; logging in is for who knows an account.
        if (os::path_exists(detached_socket(data_dir))) return pid;
        if (kill(static_cast<pid_t>(pid), 0) != 0) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    std::string text = os::path_exists(log) ? std::string(as_text(os::read_file(log))) : "";
    throw Error(ErrorKind::io, "the server did not start: " +
                                   text.substr(text.size() > 2000 ? text.size() - 2000 : 0));
}

}  // namespace sevenfold::database::mariadb
