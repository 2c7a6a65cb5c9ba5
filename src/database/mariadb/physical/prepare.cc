#include "database/mariadb/physical/prepare.h"

#include <fmt/format.h>

#include <csignal>
#include <filesystem>

#include "core/error.h"
#include "core/log.h"
#include "database/mariadb/physical/backup.h"
#include "database/mariadb/physical/internal/checkpoints.h"
#include "database/mariadb/server/full_disk.h"
#include "database/mariadb/server/last_lines.h"
#include "database/mariadb/server/scratch_server.h"
#include "database/mariadb/server/stored_plugins.h"
#include "os/child_process.h"
#include "os/file.h"

namespace sevenfold::database::mariadb {
namespace {

namespace fs = std::filesystem;
using internal::Checkpoints;

Checkpoints read_checkpoints(const std::string& folder) {
    for (std::string_view prefix : internal::kInfoPrefixes) {
        std::string path = fmt::format("{}/{}checkpoints", folder, prefix);
        if (os::path_exists(path))
            return internal::parse_checkpoints(as_text(os::read_file(path, 1 << 20)));
    }
    throw Error(ErrorKind::corrupt,
                fmt::format("{}: not the files of a physical base (no checkpoints)", folder));
}

// Files at the top of a data folder by which a server would go on being its origin: a replica with
// its source's password, the binlogs' and its own identity.
bool ties_to_origin(const std::string& name) {
    auto has = [&](const char* part) { return name.find(part) != name.npos; };
    return (name.starts_with("master") && name.ends_with(".info")) ||
           (name.starts_with("relay-log") && name.ends_with(".info")) ||
           name == "multi-master.info" || name == "auto.cnf" || name.ends_with(".pid") ||
           has("-relay-bin.") || name == "tc.log";
}

// Before anything reads the folder: a link file names where a table lies on the origin, and a
// server or the tool would open, even change, that file if it runs on the same machine.
void cut_ties(const std::string& folder, PrepareReport& report) {
    std::vector<fs::path> doomed;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        std::string name = fs::relative(entry.path(), folder).string();
        bool is_link = name.ends_with(".isl");
        if (!is_link && !ties_to_origin(name) && !entry.is_symlink()) continue;
        if (is_link) report.moved_tables.push_back(name.substr(0, name.size() - 4));
        report.removed.push_back(name);
        doomed.push_back(entry.path());
    }
    for (const fs::path& path : doomed) fs::remove(path);
}

void run_tool(const PrepareOptions& options, const std::string& program,
              const std::string& incremental) {
    // With the base's own options, of which the tool looks for some only there.
    std::string option_file = stored_option_file(options.data_dir);
    option_file = option_file.empty() ? "--no-defaults" : "--defaults-file=" + option_file;
    os::ChildOptions child{
        .argv = {program, option_file, "--prepare", "--target-dir=" + options.data_dir,
                 fmt::format("--use-memory={}", options.memory)},
        .output = os::ChildOptions::Stream::null,
        .own_group = true,
        .die_with_parent = true};
    if (!incremental.empty()) child.argv.push_back("--incremental-dir=" + incremental);
    for (const std::string& argument : options.tool_arguments) child.argv.push_back(argument);
    os::ChildProcess tool(child);
    std::stop_callback stopper(options.stop, [&] { tool.kill(SIGKILL); });
    DiskWatch disk(options.data_dir);
    while (!tool.wait_for(std::chrono::milliseconds(500)))
        if (disk.stays_full()) {
            tool.kill(SIGKILL);
            tool.wait();
            throw disk.error("mariadb-backup --prepare");
        }
    os::ExitStatus status = tool.wait();  // and for all that it said
    if (options.stop.stop_requested())
        throw Error(ErrorKind::interrupted, "the preparation was stopped");
    std::string said = tool.error_tail();
    bool good = status.ok() && said.find("completed OK!") != said.npos;
    if (!good && disk.explains(said)) throw disk.error("mariadb-backup --prepare");
    if (!good)
        throw Error(ErrorKind::io,
                    fmt::format("mariadb-backup --prepare failed ({}): {}", status.display(),
                                last_lines(said)),
                    "Restore the files anew before another attempt.");
}

void add_incremental(const PrepareOptions& options, const std::string& program,
                     const std::string& folder, PrepareReport& report) {
    Checkpoints have = read_checkpoints(options.data_dir), next = read_checkpoints(folder);
    if (next.type != "incremental" || next.from_lsn != have.to_lsn)
        throw Error(ErrorKind::corrupt,
                    fmt::format("{}: from LSN {}, but what is there ends at {}", folder,
                                next.from_lsn, have.to_lsn),
                    "Give the incremental bases in their order, and all of them.");
    cut_ties(folder, report);
    run_tool(options, program, folder);
}

}  // namespace

PrepareReport prepare(const PrepareOptions& options) {
    PrepareReport report;
    BackupTool tool = find_backup_tool(options.tool);
    Checkpoints state = read_checkpoints(options.data_dir);
    if (!state.prepared() && state.type != "full-backuped")
        throw Error(ErrorKind::corrupt, fmt::format("{}: {} where a full base is needed",
                                                    options.data_dir, printable(state.type)));
    cut_ties(options.data_dir, report);
    stored_plugins(options.data_dir);  // throws when they would be missed, or are not to be trusted
    if (!state.prepared()) run_tool(options, tool.program, {});
    for (const std::string& folder : options.incremental_dirs)
        add_incremental(options, tool.program, folder, report);
    state = read_checkpoints(options.data_dir);
    if (!state.prepared())
        throw Error(ErrorKind::io, fmt::format("{}: still {} after its preparation",
                                               options.data_dir, printable(state.type)));
    report.last_lsn = state.last_lsn;
    make_data_dir_usable(options.data_dir, options.user);
    return report;
}

}  // namespace sevenfold::database::mariadb
