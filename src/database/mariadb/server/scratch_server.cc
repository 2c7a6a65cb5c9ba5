#include "database/mariadb/server/scratch_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "core/log.h"
#include "crypto/random.h"
#include "database/mariadb/server/full_disk.h"
#include "database/mariadb/server/internal/system_user.h"
#include "database/mariadb/server/last_lines.h"
#include "os/file.h"

namespace sevenfold::database::mariadb {
namespace {

using Grants = ScratchOptions::Grants;

constexpr size_t kLongestSocket = 107;  // sun_path
constexpr std::chrono::milliseconds kPollPause{30};

std::string temporary_folder() {
    const char* configured = std::getenv("TMPDIR");
    std::string pattern = configured != nullptr && *configured != 0 ? configured : "/tmp";
    // A socket's path must be short.
    if (pattern.size() > kLongestSocket - 40) pattern = "/tmp";
    pattern += "/sevenfold-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw errno_error("make a folder like " + pattern);
    return pattern;
}

std::string random_hex(size_t bytes) {
    Bytes random(bytes);
    crypto::random_bytes(random);
    return to_hex(random);
}

std::string tail_of(const std::string& path, size_t most) {
    if (!os::path_exists(path)) return "(no error log)";
    os::UniqueFd fd = os::open_file(path, O_RDONLY | O_NOFOLLOW);
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) throw errno_error("stat " + path);
    auto size = static_cast<uint64_t>(status.st_size);
    Bytes out(std::min<uint64_t>(size, most));
    out.resize(os::pread_all(fd.get(), out, size - out.size(), path));
    return std::string(as_text(out));
}

}  // namespace

std::vector<std::string> server_arguments(const BaseManifest& base) {
    std::vector<std::string> out;
    auto add = [&](const char* variable, const char* option) {
        auto found = base.server_variables.find(variable);
        if (found != base.server_variables.end() && !found->second.empty())
            out.push_back(fmt::format("--{}={}", option, found->second));
    };
    add("innodb_page_size", "innodb-page-size");
    add("lower_case_table_names", "lower-case-table-names");
    add("character_set_server", "character-set-server");
    add("collation_server", "collation-server");
    if (base.method == "physical") add("innodb_data_file_path", "innodb-data-file-path");
    return out;
}

std::string find_server_program(const std::string& name) {
    if (name.find('/') != name.npos) return name;
    const char* path = std::getenv("PATH");
    std::string folders = std::string(path != nullptr ? path : "") +
                          ":/usr/sbin:/usr/local/sbin:/usr/libexec:/usr/bin:/usr/local/bin:"
                          "/usr/local/mysql/bin";
    for (size_t at = 0; at <= folders.size();) {
        size_t colon = std::min(folders.find(':', at), folders.size());
        std::string candidate = folders.substr(at, colon - at) + "/" + name;
        if (candidate[0] == '/' && candidate.size() > name.size() + 1 &&
            ::access(candidate.c_str(), X_OK) == 0)
            return candidate;
        at = colon + 1;
    }
    throw Error(ErrorKind::not_found, fmt::format("there is no program {}", name),
                "Install Debian's package mariadb-server; its service need not run.");
}

ScratchServer::ScratchServer(ScratchOptions options) : options_(std::move(options)) {
    options_.data_dir = std::filesystem::absolute(options_.data_dir).string();
    if (!os::path_exists(options_.data_dir))
        throw Error(ErrorKind::not_found,
                    fmt::format("there is no data folder {}", options_.data_dir));
    try {
        run_as_ = internal::server_user(options_.user, options_.data_dir);
        make_folders();
        if (options_.grants == Grants::kept) write_init_file();
        process_ = std::make_unique<os::ChildProcess>(
            os::ChildOptions{.argv = arguments(),
                             .output = os::ChildOptions::Stream::null,
                             .own_group = true,
                             .die_with_parent = true,
                             .run_as = run_as_});
        wait_until_it_answers();
    } catch (...) {
        process_.reset();
        if (!own_folder_.empty()) {
            std::error_code ignored;
            std::filesystem::remove_all(own_folder_, ignored);
        }
        throw;
    }
}

ScratchServer::~ScratchServer() {
    process_.reset();
    std::error_code ignored;
    if (!own_folder_.empty()) std::filesystem::remove_all(own_folder_, ignored);
}

void ScratchServer::make_folders() {
    std::string& work = options_.work_dir;
    if (work.empty()) {
        work = own_folder_ = temporary_folder();
    } else {
        work = std::filesystem::absolute(work).string();
        os::make_dirs(work, 0700);
    }
    socket_ = work + "/s";
    if (socket_.size() > kLongestSocket) {
        own_folder_ = temporary_folder();
        socket_ = own_folder_ + "/s";
    }
    os::make_dirs(work + "/plugins", 0755);
    for (const std::string& plugin : options_.plugins) {
        std::filesystem::path link =
            work + "/plugins/" + std::filesystem::path(plugin).filename().string();
        std::filesystem::remove(link);
        std::filesystem::create_symlink(plugin, link);
    }
    if (!run_as_) return;
    for (const std::string& folder : {work, own_folder_})
        if (!folder.empty() && ::chown(folder.c_str(), run_as_->uid, run_as_->gid) != 0)
            throw errno_error("give to the server's user: " + folder);
}

// The account exists in the data folder while the server runs. Its password passes any check that
// a plugin may make, and is known to nobody else.
void ScratchServer::write_init_file() {
    account_ = "sevenfold-" + random_hex(6);
    password_ = Secret("aA1-" + random_hex(20));
    std::string who = fmt::format("{}@localhost", sql::quote_text(account_));
    std::string text = fmt::format(
        "SET SESSION sql_log_bin=0;\n"
        "CREATE USER {} IDENTIFIED VIA mysql_native_password USING PASSWORD({});\n"
        "GRANT ALL PRIVILEGES ON *.* TO {} WITH GRANT OPTION;\n",
        who, sql::quote_text(password_.reveal()), who);
    std::string path = options_.work_dir + "/init.sql";
    os::write_file_atomically(path, as_bytes(text), 0600);
    wipe(text.data(), text.size());
    if (run_as_ && ::chown(path.c_str(), run_as_->uid, run_as_->gid) != 0)
        throw errno_error("give to the server's user: " + path);
}

std::vector<std::string> ScratchServer::arguments() const {
    std::string program =
        find_server_program(options_.program.empty() ? "mariadbd" : options_.program);
    const std::string& work = options_.work_dir;
    std::vector<std::string> out = {
        program, "--no-defaults",
        // Where it is and what it may touch.
        "--datadir=" + options_.data_dir, "--socket=" + socket_, "--pid-file=" + work + "/pid",
        "--log-error=" + work + "/error.log", "--tmpdir=" + work, "--secure-file-priv=" + work,
        "--symbolic-links=0", "--skip-networking",
        // A restored replica must not go on replicating, nor a restored server run its jobs.
        "--skip-slave-start", "--event-scheduler=OFF",
        // Engines that open connections or foreign files (CONNECT, SPIDER, FEDERATED) and whatever
        // else mysql.plugin names come from files.
        "--plugin-dir=" + (options_.plugin_dir.empty() ? work + "/plugins" : options_.plugin_dir),
        fmt::format("--server-id={}", options_.server_id),
        fmt::format("--innodb-buffer-pool-size={}", options_.buffer_pool), "--performance-schema=0",
        // Several sessions may load one table; what counts is that it stops cleanly, not a crash.
        "--innodb-autoinc-lock-mode=2", "--innodb-flush-log-at-trx-commit=0",
        "--innodb-doublewrite=0", "--max-allowed-packet=1G", "--default-time-zone=+00:00"};
    // mariadbd refuses to run as root without being told.
    if (::geteuid() == 0 && (!run_as_ || run_as_->uid == 0)) out.emplace_back("--user=root");
    if (options_.grants == Grants::kept)
        out.push_back("--init-file=" + work + "/init.sql");
    else
        out.emplace_back("--skip-grant-tables");
    if (options_.binlog)
        for (const char* option : {"--log-bin=sevenfold-bin", "--binlog-format=ROW",
                                   "--binlog-row-image=FULL", "--binlog-row-metadata=FULL"})
            out.emplace_back(option);
    else
        out.emplace_back("--skip-log-bin");
    out.insert(out.end(), options_.arguments.begin(), options_.arguments.end());
    return out;
}

void ScratchServer::wait_until_it_answers() {
    auto until = std::chrono::steady_clock::now() + options_.patience;
    DiskWatch disk(options_.data_dir);
    for (;;) {
        if (disk.stays_full()) throw disk.error("the start of mariadbd");
        if (options_.stop.stop_requested())
            throw Error(ErrorKind::interrupted, "the start of a server was stopped");
        try {
            version_ = connect()->server_version();
            break;
        } catch (const Error& error) {
            // The socket opens after the init file was read: a login that fails then is final.
            if (error.kind() != ErrorKind::network && error.kind() != ErrorKind::not_found &&
                os::path_exists(socket_))
                fail(error.kind(), error.message());
        }
        if (auto status = process_->wait_for(kPollPause))
            fail(ErrorKind::io, "it ended with " + status->display());
        if (std::chrono::steady_clock::now() >= until)
            fail(ErrorKind::timeout,
                 fmt::format("no answer within {} s", options_.patience.count()));
    }
    if (options_.grants == Grants::kept) ::unlink((options_.work_dir + "/init.sql").c_str());
}

void ScratchServer::fail(ErrorKind kind, const std::string& what) const {
    if (DiskWatch disk(options_.data_dir); disk.explains(error_log()))
        throw disk.error("the start of mariadbd");
    throw Error(kind, fmt::format("mariadbd on {} did not start: {}: {}", options_.data_dir, what,
                                  last_lines(error_log())));
}

sql::MariadbOptions ScratchServer::login() const {
    return {.socket = socket_,
            .user = account_.empty() ? "root" : account_,
            .password = password_,
            .program = "sevenfold"};
}

std::unique_ptr<sql::MariadbConnection> ScratchServer::connect(const std::string& database) const {
    sql::MariadbOptions options = login();
    options.database = database;
    return std::make_unique<sql::MariadbConnection>(options);
}

std::string ScratchServer::error_log() const {
    return tail_of(options_.work_dir + "/error.log", 16 << 10);
}

bool ScratchServer::running() const {
    return process_ && !process_->wait_for(std::chrono::nanoseconds(0));
}

void ScratchServer::stop(std::chrono::seconds patience) {
    if (!process_) return;
    if (!running())
        throw Error(ErrorKind::io,
                    fmt::format("mariadbd on {} has crashed ({}): {}", options_.data_dir,
                                process_->wait().display(), last_lines(error_log())));
    if (!account_.empty()) {
        auto session = connect();
        session->execute("SET SESSION sql_log_bin=0");
        session->execute(fmt::format("DROP USER {}@localhost", sql::quote_text(account_)));
    }
    process_->kill(SIGTERM);
    auto status = process_->wait_for(patience);
    if (!status)
        throw Error(ErrorKind::timeout, fmt::format("mariadbd on {} does not stop within {} s",
                                                    options_.data_dir, patience.count()));
    if (!status->ok())
        throw Error(ErrorKind::io,
                    fmt::format("mariadbd on {} ended with {}: {}", options_.data_dir,
                                status->display(), last_lines(error_log())));
    process_.reset();
}

void install_data_dir(const InstallOptions& options) {
    namespace fs = std::filesystem;
    if (os::path_exists(options.data_dir) && !fs::is_empty(options.data_dir))
        throw Error(ErrorKind::exists, fmt::format("{}: not empty", options.data_dir),
                    "A new server needs a folder of its own.");
    os::make_dirs(options.data_dir, 0700);
    std::string user = internal::default_user(options.user);
    const std::string folder = fs::absolute(options.data_dir).string();
    std::vector<std::string> argv = {find_server_program("mariadb-install-db"), "--no-defaults",
                                     "--auth-root-authentication-method=socket",
                                     "--auth-root-socket-user=root", "--skip-test-db",
                                     // Not /tmp: there another server that starts meanwhile removes
                                     // its temporary tables.
                                     "--tmpdir=" + folder, "--datadir=" + folder};
    if (!user.empty()) argv.push_back("--user=" + user);
    argv.insert(argv.end(), options.arguments.begin(), options.arguments.end());
    os::CommandOutput output = os::run_command({.argv = argv}, {}, std::chrono::minutes(10));
    if (!output.status.ok())
        throw Error(ErrorKind::io, fmt::format("mariadb-install-db failed ({}): {}",
                                               output.status.display(), last_lines(output.errors)));
    make_data_dir_usable(options.data_dir, options.user);
}

void make_data_dir_usable(const std::string& data_dir, const std::string& user) {
    namespace fs = std::filesystem;
    auto owner = internal::find_user(internal::default_user(user));
    auto own = [&](const fs::path& path, mode_t mode, bool is_link) {
        if (owner && ::lchown(path.c_str(), owner->uid, owner->gid) != 0)
            throw errno_error("give to the server's user: " + path.string());
        if (!is_link && ::chmod(path.c_str(), mode) != 0)
            throw errno_error("chmod " + path.string());
    };
    own(data_dir, 0700, false);
    for (const auto& entry : fs::recursive_directory_iterator(data_dir))
        own(entry.path(), entry.is_directory() ? 0700 : 0660, entry.is_symlink());
}

}  // namespace sevenfold::database::mariadb
