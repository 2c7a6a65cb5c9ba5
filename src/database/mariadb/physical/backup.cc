#include "database/mariadb/physical/backup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "core/log.h"
#include "database/mariadb/physical/internal/checkpoints.h"
#include "database/mariadb/physical/internal/tree_sink.h"
#include "database/mariadb/server/last_lines.h"
#include "database/mariadb/server_facts.h"
#include "os/child_process.h"
#include "os/file.h"

namespace sevenfold::database::mariadb {
namespace {

using sql::MariadbConnection;

constexpr std::string_view kPrefix = "data/";
constexpr size_t kReadSize = 1 << 20;

// What a restored server must be started with to read these files or to give the same answers.
constexpr const char* kVariables[] = {"lower_case_table_names",
                                      "character_set_server",
                                      "collation_server",
                                      "innodb_page_size",
                                      "sql_mode",
                                      "innodb_undo_tablespaces",
                                      "innodb_data_file_path"};

std::string temporary_folder(const PhysicalOptions& options) {
    if (!options.temporary_folder.empty()) return options.temporary_folder;
    const char* folder = std::getenv("TMPDIR");
    return folder != nullptr && *folder != 0 ? folder : "/tmp";
}

void add_login(std::vector<std::string>& argv, const sql::MariadbOptions& login) {
    using Tls = sql::MariadbOptions::Tls;
    if (!login.user.empty()) argv.push_back("--user=" + login.user);
    if (!login.host.empty()) {
        argv.push_back("--protocol=tcp");
        argv.push_back("--host=" + login.host);
        argv.push_back(fmt::format("--port={}", login.port));
    } else if (!login.socket.empty()) {
        argv.push_back("--socket=" + login.socket);
    }
    if (login.tls != Tls::off) argv.emplace_back("--ssl");
    if (login.tls == Tls::verified) argv.emplace_back("--ssl-verify-server-cert");
    if (!login.tls_ca.empty()) argv.push_back("--ssl-ca=" + login.tls_ca);
}

os::ChildOptions command(const PhysicalOptions& options, const std::string& program,
                         const std::string& data_dir, uint64_t since_lsn) {
    // Without the machine's option files: what they say may be meant for another server.
    os::ChildOptions child{
        .argv = {program, "--no-defaults", "--backup", "--stream=mbstream", "--datadir=" + data_dir,
                 "--tmpdir=" + temporary_folder(options),
                 fmt::format("--parallel={}", std::max(1u, options.parallel))},
        .output = os::ChildOptions::Stream::pipe,
        .own_group = true,
        .die_with_parent = true};
    add_login(child.argv, options.login);
    if (since_lsn != 0) child.argv.push_back(fmt::format("--incremental-lsn={}", since_lsn));
    for (const std::string& argument : options.tool_arguments) child.argv.push_back(argument);
    // Set even when empty, so that none of ours is used by accident.
    child.environment.emplace_back("MYSQL_PWD", options.login.password.reveal());
    return child;
}

// The data folder is read by the tool as files; a server elsewhere, or one whose folder is closed
// to us, is better refused in our own words.
std::string reachable_data_dir(MariadbConnection& connection) {
    std::string folder = connection.value("SELECT @@global.datadir").value_or("");
    if (folder.empty()) throw Error(ErrorKind::unsupported, "the server does not tell its datadir");
    if (!os::path_exists(folder))
        throw Error(ErrorKind::not_found,
                    fmt::format("the server's data folder {} is not on this machine", folder),
                    "A physical base is made on the server's machine. Run sevenfold there, or "
                    "use method = \"logical\".");
    if (::access(folder.c_str(), R_OK | X_OK) != 0)
        throw errno_error("read the server's data folder " + folder)
            .with_hint(
                "Run as the server's system user (mysql) or as root, or use method = "
                "\"logical\".");
    return folder;
}

// Of the system tablespace's file: a data folder made anew, by whatever means, has another one.
// Empty when it lies elsewhere.
std::string identity_of(const std::string& data_dir) {
    struct statx info {};
    if (::statx(AT_FDCWD, (data_dir + "/ibdata1").c_str(), 0, STATX_INO | STATX_BTIME, &info) !=
            0 ||
        (info.stx_mask & STATX_BTIME) == 0)
        return {};
    std::string machine;
    try {
        machine = as_text(os::read_file("/etc/machine-id", 4096));
        while (machine.ends_with('\n')) machine.pop_back();
    } catch (const Error&) {
        machine = "?";  // the other numbers tell folders of one machine apart
    }
    return fmt::format("{}:{}:{}:{}:{}.{:09}", machine, info.stx_dev_major, info.stx_dev_minor,
                       info.stx_ino, info.stx_btime.tv_sec, info.stx_btime.tv_nsec);
}

// 0: none of them is of this folder, as it is and not prepared.
uint64_t newest_lsn(const std::vector<BaseManifest>& bases, const BaseManifest& now) {
    uint64_t newest = 0;
    for (const BaseManifest& base : bases)
        if (base.method == "physical" && !base.prepared && !base.data_folder.empty() &&
            base.data_folder == now.data_folder)
            newest = std::max(newest, base.to_lsn);
    return newest;
}

// "file<TAB>offset<TAB>gtid"; the GTID list may be empty.
Position parse_position(const std::string& text) {
    std::string fields[3];
    size_t field = 0;
    for (char c : text) {
        if (c == '\t' && field < 2)
            ++field;
        else if (c != '\n' && c != ' ')
            fields[field] += c;
    }
    Position position{.gtid = fields[2], .file = fields[0]};
    const std::string& number = fields[1];
    auto [end, failure] =
        std::from_chars(number.data(), number.data() + number.size(), position.offset);
    if (failure != std::errc() || end != number.data() + number.size() || position.file.empty())
        throw Error(ErrorKind::corrupt,
                    fmt::format("mariadb-backup: unreadable position \"{}\"", printable(text)));
    return position;
}

[[noreturn]] void fail(const os::ExitStatus& status, const std::string& said) {
    auto mentions = [&](const char* text) { return said.find(text) != said.npos; };
    std::string message =
        fmt::format("mariadb-backup failed ({}): {}", status.display(), last_lines(said));
    if (mentions("Access denied") || mentions("privilege"))
        throw Error(ErrorKind::permission, message,
                    "The account needs RELOAD, PROCESS and BINLOG MONITOR on *.*: see "
                    "`sevenfold db grants`.");
    if (mentions("Permission denied") || mentions("Errcode: 13"))
        throw Error(ErrorKind::permission, message,
                    "Run as the server's system user (mysql) or as root.");
    if (mentions("No space left") || mentions("Errcode: 28"))
        throw Error(ErrorKind::no_space, message,
                    "The folder for temporary files must hold the redo log that is written "
                    "during the backup.");
    throw Error(ErrorKind::io, message);
}

std::string readme(const BaseManifest& base) {
    if (base.prepared)
        return fmt::format(
            "The data folder of a MariaDB server ({}), from a physical base, prepared, started "
            "once "
            "and stopped.\n\n"
            "Restore the folder data/ into an empty folder D, chown -R mysql: D, and start "
            "mariadbd "
            "of the same\nseries with --datadir=D.\n\n"
            "base.json says what it is. Replay of the binlog starts at its position.\n",
            base.server_version);
    return fmt::format(
        "A physical base of a MariaDB server ({}), made by mariadb-backup {}.\n\n"
        "Restore with plain tools of the same series:\n\n"
        "  1. Restore the folder data/ into an empty folder D.\n"
        "  2. Remove every *.isl below D: they point to where tables lay on the old machine.\n"
        "  3. mariadb-backup --defaults-file=D/backup-my.cnf --prepare --target-dir=D{}\n"
        "  4. chown -R mysql: D, and start mariadbd with --datadir=D.\n\n"
        "Of an encrypted server, D/backup-my.cnf names the plugin and the file of keys. The keys "
        "are "
        "not in here.\n\n"
        "base.json says what it is. Replay of the binlog starts at its position.\n",
        base.server_version, base.tool_version,
        base.from_lsn == 0
            ? ""
            : "\n     This one holds only what changed since LSN " + std::to_string(base.from_lsn) +
                  ": prepare\n     the base that ends there first, then add "
                  "--incremental-dir=THIS.");
}

class Backup {
  public:
    Backup(const PhysicalOptions& options, repository::TreeWriter& tree)
        : options_(options),
          tree_(tree),
          sink_(tree, {.prefix = std::string(kPrefix),
                       .chunk_size = options.chunk_size,
                       .temporary_folder = temporary_folder(options),
                       .progress = options.progress}) {}

    PhysicalResult run() {
        BaseManifest& base = result_.base;
        BackupTool tool = find_backup_tool(options_.tool);
        std::string data_dir;
        {
            MariadbConnection connection(options_.login);
            describe(connection, tool);
            data_dir = reachable_data_dir(connection);
        }
        base.data_folder = identity_of(data_dir);
        since_lsn_ = newest_lsn(options_.since, base);
        base.started = Clock::system().now();
        uint64_t files = tree_.file_count(), bytes = tree_.byte_count();
        copy(command(options_, tool.program, data_dir, since_lsn_));
        result_.files = tree_.file_count() - files;
        result_.bytes = tree_.byte_count() - bytes;
        read_infos();
        check_tables();
        base.ended = Clock::system().now();
        if (sink_.has_links())
            result_.warnings.push_back(
                "some tables have a DATA DIRECTORY: a restore puts them into the data folder");
        tree_.add("README", as_bytes(readme(base)), {});
        tree_.add("base.json", as_bytes(encode_base(base)), {});
        return std::move(result_);
    }

  private:
    void describe(MariadbConnection& connection, const BackupTool& tool) {
        BaseManifest& base = result_.base;
        base.method = "physical";
        describe_server(connection, kVariables, base);
        base.tool_version = tool.version;
        if (!connection.is_mariadb() ||
            version_series(base.server_version) != version_series(tool.version))
            throw Error(ErrorKind::unsupported,
                        fmt::format("{} is of version {}, the server of {}", tool.program,
                                    tool.version, base.server_version),
                        "Install the mariadb-backup of the server's series: another one may "
                        "write a base that cannot be prepared.");
    }

    // Everything from the tool's stream into the tree, and the tool to its good end.
    void copy(const os::ChildOptions& command) {
        os::ChildProcess tool(command);
        std::stop_callback stopper(options_.stop, [&] { tool.kill(SIGKILL); });
        MbstreamParser parser(sink_);
        std::optional<Error> damage;
        Bytes buffer(kReadSize);
        while (size_t n = os::read_some(tool.output_fd(), buffer, "mariadb-backup")) {
            try {
                parser.feed(ByteView(buffer).first(n));
            } catch (const Error& error) {
                tool.kill(SIGKILL);
                if (error.kind() != ErrorKind::corrupt) throw;
                damage = error;
                break;
            }
        }
        os::ExitStatus status = tool.wait();
        if (options_.stop.stop_requested())
            throw Error(ErrorKind::interrupted, "the backup was stopped");
        if (damage) throw *damage;
        std::string said = tool.error_tail();
        if (!status.ok()) fail(status, said);
        parser.finish();
        if (said.find("completed OK!") == said.npos)
            throw Error(ErrorKind::io,
                        "mariadb-backup did not say that it completed: " + last_lines(said));
    }

    void read_infos() {
        BaseManifest& base = result_.base;
        const std::string* checkpoints = sink_.info("checkpoints");
        if (checkpoints == nullptr)
            throw Error(ErrorKind::corrupt, "mariadb-backup: its stream has no checkpoints");
        internal::Checkpoints state = internal::parse_checkpoints(*checkpoints);
        std::string expected = since_lsn_ == 0 ? "full-backuped" : "incremental";
        if (state.type != expected)
            throw Error(ErrorKind::corrupt,
                        fmt::format("mariadb-backup: made a backup of type {}, not {}",
                                    printable(state.type), expected));
        if (state.from_lsn != since_lsn_)
            throw Error(ErrorKind::corrupt, "mariadb-backup: started from another LSN than asked");
        base.from_lsn = state.from_lsn;
        base.to_lsn = state.to_lsn;
        base.consistent_at = sink_.position_came();
        if (const std::string* position = sink_.info("binlog_info"); position != nullptr) {
            base.position = parse_position(*position);
        } else {
            base.consistent_at = Clock::system().now();
            result_.warnings.emplace_back(
                "the server writes no binlog: nothing can be replayed on top of this base");
        }
    }

    void check_tables() {
        std::vector<std::string> lost = sink_.tables_without_files();
        if (lost.empty()) return;
        throw Error(ErrorKind::timeout,
                    fmt::format("mariadb-backup left out the rows of {} and {} more tables that "
                                "changed meanwhile",
                                printable(lost[0]), lost.size() - 1),
                    "Run it again when no migration is running.");
    }

    const PhysicalOptions& options_;
    repository::TreeWriter& tree_;
    uint64_t since_lsn_ = 0;
    TreeSink sink_;
    PhysicalResult result_;
};

}  // namespace

std::string version_series(const std::string& version) {
    size_t dot = version.find('.');
    return version.substr(0, dot == version.npos ? dot : version.find('.', dot + 1));
}

BackupTool find_backup_tool(const std::string& wanted) {
    std::vector<std::string> names = {"mariadb-backup", "mariabackup"};
    if (!wanted.empty()) names = {wanted};
    for (const std::string& name : names) {
        os::CommandOutput output;
        try {
            output = os::run_command({.argv = {name, "--version"}}, {}, std::chrono::seconds(30));
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::not_found) continue;
            throw;
        }
        // "… based on MariaDB server 10.11.19-MariaDB debian-linux-gnu (x86_64)", on either stream.
        std::string said = std::string(as_text(output.output)) + output.errors;
        constexpr std::string_view kMark = "MariaDB server ";
        size_t at = said.find(kMark);
        if (at == said.npos || !output.status.ok())
            throw Error(ErrorKind::unsupported,
                        fmt::format("{} --version: not mariadb-backup's answer: {}", name,
                                    printable(said)));
        at += kMark.size();
        return {name, said.substr(at, said.find_first_of(" \n", at) - at)};
    }
    throw Error(ErrorKind::not_found, fmt::format("there is no program {}", names[0]),
                "Install Debian's package mariadb-backup, or use method = \"logical\".");
}

void store_prepared(const std::string& data_dir, BaseManifest base, size_t chunk_size,
                    repository::TreeWriter& tree, Progress* progress) {
    namespace fs = std::filesystem;
    std::vector<std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(data_dir))
        if (entry.is_regular_file() && !entry.is_symlink())
            files.push_back(fs::relative(entry.path(), data_dir).string());
    std::ranges::sort(files);
    Bytes buffer(kReadSize);
    for (const std::string& name : files) {
        if (name == "ibtmp1") continue;  // made anew at every start
        os::UniqueFd fd = os::open_file(data_dir + "/" + name, O_RDONLY | O_NOFOLLOW);
        auto file = tree.create(std::string(kPrefix) + name,
                                {.fixed_chunk = has_pages(name) ? chunk_size : 0});
        while (size_t n = os::read_some(fd.get(), buffer, name)) {
            file->write(ByteView(buffer).first(n));
            if (progress) progress->bytes_done += n;
        }
        file->finish();
    }
    base.from_lsn = 0;
    base.prepared = true;
    tree.add("README", as_bytes(readme(base)), {});
    tree.add("base.json", as_bytes(encode_base(base)), {});
}

PhysicalResult back_up_physical(const PhysicalOptions& options, repository::TreeWriter& tree) {
    return Backup(options, tree).run();
}

}  // namespace sevenfold::database::mariadb
