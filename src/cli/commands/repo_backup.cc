// repo backup: files into one repository.
#include <unistd.h>

#include <fstream>
#include <iostream>

#include "cli/backup_output.h"
#include "cli/commands.h"
#include "cli/renew.h"
#include "cli/repo_options.h"
#include "core/log.h"
#include "core/units.h"
#include "os/file.h"
#include "protect/backup.h"

namespace sevenfold::cli {
namespace {

struct Options {
    std::vector<std::string> targets, files_from, files_from_verbatim, files_from_raw;
    files::ExcludeOptions exclude;
    std::string larger_than, parent, host, time, compression = "auto";
    std::vector<std::string> tags;
    bool one_file_system = false, force = false, ignore_inode = false, ignore_ctime = false;
    bool with_atime = false, dry_run = false, allow_empty = false, skip_if_unchanged = false;
    uint64_t workers = 0;
    uint64_t pack_size_mib = 16;
};

repository::Compression parse_compression(const std::string& text) {
    using repository::Compression;
    if (text == "auto") return Compression::automatic;
    if (text == "off") return Compression::off;
    if (text == "fastest") return Compression::fastest;
    if (text == "better") return Compression::better;
    if (text == "max") return Compression::max;
    throw Error(ErrorKind::usage, fmt::format("--compression {}: no such mode", text),
                "Modes: auto, off, fastest, better, max.");
}

Time parse_time(const std::string& text) {
    // "2026-11-22 14:03:09" in the local zone, or RFC 3339.
    tm fields{};
    const char* end = strptime(text.c_str(), "%Y-%m-%d %H:%M:%S", &fields);
    if (end != nullptr && *end == 0) {
        fields.tm_isdst = -1;
        return in_local_zone({mktime(&fields), 0, 0});
    }
    try {
        return parse_rfc3339(text);
    } catch (const Error&) {
        throw Error(ErrorKind::usage, fmt::format("--time \"{}\" is not a time", text),
                    "Write it like \"2026-11-22 14:03:09\".");
    }
}

std::string read_list(const std::string& file) {
    if (file != "-") return std::string(as_text(os::read_file(file, 1 << 30)));
    return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

void add_lines(const std::string& file, char separator, bool patterns,
               std::vector<std::string>& targets) {
    std::string text = read_list(file);
    for (size_t at = 0; at < text.size();) {
        size_t end = std::min(text.find(separator, at), text.size());
        std::string line = text.substr(at, end - at);
        at = end + 1;
        if (line.empty() || (patterns && line.starts_with('#'))) continue;
        targets.push_back(line);
    }
}

std::vector<std::string> all_targets(const Options& options) {
    std::vector<std::string> targets = options.targets;
    for (const std::string& file : options.files_from) add_lines(file, '\n', true, targets);
    for (const std::string& file : options.files_from_verbatim)
        add_lines(file, '\n', false, targets);
    for (const std::string& file : options.files_from_raw) add_lines(file, '\0', false, targets);
    if (targets.empty())
        throw Error(ErrorKind::usage, "nothing to back up", "Name files or folders to back up.");
    return targets;
}

int backup(Context& context, const RepoOptions& repo, const Options& options) {
    protect::BackupOptions job;
    files::ArchiveOptions& archive = job.archive;
    archive.targets = all_targets(options);
    files::ExcludeOptions excludes = options.exclude;
    if (!options.larger_than.empty()) {
        auto size = parse_size(options.larger_than);
        if (!size)
            throw Error(ErrorKind::usage,
                        fmt::format("--exclude-larger-than {}: not a size", options.larger_than),
                        "Write a size like 10M or 1.5GiB.");
        excludes.larger_than = *size;
    }
    files::Exclude exclude(excludes);
    archive.exclude = &exclude;
    archive.one_file_system = options.one_file_system;
    archive.force = options.force;
    archive.ignore_inode = options.ignore_inode;
    archive.ignore_ctime = options.ignore_ctime;
    archive.with_atime = options.with_atime;
    archive.hostname = options.host;
    for (const std::string& list : options.tags)
        for (size_t at = 0; at <= list.size();) {
            size_t comma = std::min(list.find(',', at), list.size());
            if (comma > at) archive.tags.push_back(list.substr(at, comma - at));
            at = comma + 1;
        }
    if (!options.time.empty()) archive.time = parse_time(options.time);
    archive.program_version = "sevenfold " SEVENFOLD_VERSION;
    archive.workers = static_cast<unsigned>(std::min<uint64_t>(options.workers, 64));
    archive.dry_run = options.dry_run;
    archive.writer.compression = parse_compression(options.compression);
    if (options.pack_size_mib < 4 || options.pack_size_mib > 128)
        throw Error(ErrorKind::usage, "--pack-size must be from 4 to 128 MiB");
    archive.writer.pack_target = options.pack_size_mib << 20;
    job.parent = options.parent;
    job.guard_against_empty = !options.allow_empty;
    job.state_dir = cache_folder(repo);
    if (!repo.retry_lock.empty()) {
        auto wait = parse_duration(repo.retry_lock);
        if (!wait)
            throw Error(ErrorKind::usage, "--retry-lock: not a duration", "Write it like 5m.");
        job.retry_lock = std::chrono::duration_cast<std::chrono::milliseconds>(*wait);
    }
    std::shared_ptr<repository::Repository> repository = open_repository(context, repo);
    std::vector<protect::JobPlace> places;
    places.push_back({.name = "repository " + repository->config().id.hex().substr(0, 10),
                      .repository = repository,
                      .error = {}});
    BackupOutput output(context, "");
    output.attach(archive);
    protect::BackupResult result = protect::back_up(places, job);
    int code = output.finish(result, options.dry_run);
    if (!options.dry_run && result.saved_somewhere())
        renew_repository_locks(context, repo, *repository);
    return code;
}

void add_source_options(Command& command, Options& options) {
    command.arguments("PATH", options.targets, "files and folders to back up")
        .option("--files-from", options.files_from, "FILE", "targets from a file, one a line")
        .option("--files-from-verbatim", options.files_from_verbatim, "FILE",
                "the same, lines taken as they are")
        .option("--files-from-raw", options.files_from_raw, "FILE", "the same, separated by NUL")
        .option("-e,--exclude", options.exclude.patterns, "PATTERN", "leave out what matches")
        .option("--iexclude", options.exclude.insensitive, "PATTERN", "the same, ignoring case")
        .option("--exclude-file", options.exclude.pattern_files, "FILE", "patterns from a file")
        .option("--iexclude-file", options.exclude.insensitive_files, "FILE",
                "the same, ignoring case")
        .option("--exclude-if-present", options.exclude.if_present, "NAME[:HEADER]",
                "leave out the content of folders that hold this file")
        .flag("--exclude-caches", options.exclude.caches,
              "leave out the content of folders with a CACHEDIR.TAG")
        .option("--exclude-larger-than", options.larger_than, "SIZE", "leave out larger files")
        .flag("-x,--one-file-system", options.one_file_system, "stay on the targets' file systems");
}

}  // namespace

void add_repo_backup(CommandTree& repo, std::shared_ptr<RepoOptions> shared) {
    auto options = std::make_shared<Options>();
    Command command =
        repo.command("backup", "Back up files and folders.",
                     "sevenfold repo -r /srv/backup backup ~/work\n"
                     "sevenfold repo backup --exclude '*.tmp' --tag nightly /srv/www");
    add_source_options(command, *options);
    command
        .option("--parent", options->parent, "ID", "snapshot to compare with (default: the newest)")
        .option("-H,--host", options->host, "NAME", "host name for the snapshot")
        .option("--tag", options->tags, "TAG[,TAG]", "tags for the snapshot")
        .option("--time", options->time, "TIME", "time of the snapshot (default: now)")
        .flag("-f,--force", options->force, "read all files again")
        .flag("--ignore-inode", options->ignore_inode, "do not compare inode numbers")
        .flag("--ignore-ctime", options->ignore_ctime, "do not compare change times")
        .flag("--with-atime", options->with_atime, "store access times")
        .flag("-n,--dry-run", options->dry_run, "store nothing, say what would be stored")
        .flag("--allow-empty", options->allow_empty,
              "back up a source that had files and is empty now")
        .option("--compression", options->compression, "MODE",
                "auto (default), off, fastest, better or max")
        .option("--pack-size", options->pack_size_mib, "MIB", "size of pack files (default: 16)")
        .option("--read-concurrency", options->workers, "N", "files read at once");
    command.run([shared, options](Context& context) { return backup(context, *shared, *options); });
}

}  // namespace sevenfold::cli
