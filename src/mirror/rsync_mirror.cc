// Mirror's work, each part one run of rsync.
#include <fmt/format.h>

#include <algorithm>

#include "mirror/mirror.h"
#include "mirror/rsync.h"
#include "net/ssh_command.h"
#include "os/file.h"
#include "storage/open.h"

namespace sevenfold::mirror {
namespace {

using storage::Location;

std::string with_slash(std::string path) {
    if (!path.ends_with('/')) path += '/';
    return path;
}

// As rsync takes it. A relative path gets "./", for "host::name" would be another protocol.
std::string rsync_path(const Location& location) {
    if (location.driver == Location::Driver::local) return with_slash(location.path);
    std::string host = location.host.find(':') == std::string::npos
                           ? location.host
                           : fmt::format("[{}]", location.host);
    std::string path = location.path.starts_with('/') ? location.path : "./" + location.path;
    return fmt::format("{}:{}", host, with_slash(path));
}

Change::Kind change_kind(Item::Kind kind) {
    switch (kind) {
        case Item::Kind::add:
            return Change::Kind::add;
        case Item::Kind::remove:
            return Change::Kind::remove;
        case Item::Kind::attributes:
            return Change::Kind::attributes;
        default:
            return Change::Kind::change;
    }
}

// Where ssh is used: all but the host, which rsync adds.
std::vector<std::string> ssh_words(const Location& location,
                                   const std::vector<std::string>& options) {
    auto words =
        net::ssh_program_command({location.host, location.user, location.port}, "", options, false);
    words.resize(words.size() - 3);  // "--", the host, the command
    return words;
}

}  // namespace

Mirror::Mirror(MirrorOptions options) : options_(std::move(options)) {
    Location from = storage::parse_location(options_.from);
    Location to = storage::parse_location(options_.to);
    for (const Location* end : {&from, &to})
        if (end->driver != Location::Driver::local && end->driver != Location::Driver::sftp)
            throw Error(ErrorKind::config, "a mirror's end is a folder or sftp:");
    from_ = rsync_path(from);
    to_ = rsync_path(to);
    const Location* host = from.driver == Location::Driver::sftp ? &from
                           : to.driver == Location::Driver::sftp ? &to
                                                                 : nullptr;
    if (host) connection_ = {"-e", remote_shell(ssh_words(*host, options_.ssh_options))};
}

std::vector<std::string> Mirror::arguments(bool by_content) const {
    std::vector<std::string> out = {"-aHS", "-s", "--no-human-readable", "-8", "-ii"};
    if (options_.attributes) out.push_back("-AX");
    if (options_.one_file_system) out.push_back("-x");
    if (by_content || options_.checksum) out.push_back("--checksum");
    out.push_back(fmt::format("--out-format={}", kItemFormat));
    out.insert(out.end(), {"--delete-after", fmt::format("--exclude=/{}", kRemovedFolder)});
    for (const std::string& pattern : options_.exclude) out.push_back("--exclude=" + pattern);
    out.insert(out.end(), connection_.begin(), connection_.end());
    return out;
}

void Mirror::throw_for(int code, const std::string& how, const std::string& errors) const {
    auto says = [&](std::string_view words) { return errors.find(words) != errors.npos; };
    std::string said = net::last_lines(errors, 3);
    std::string text = fmt::format("rsync: {}{}", how, said.empty() ? "" : ": " + said);
    if (says("No space left on device") || says("Disk quota exceeded"))
        throw Error(ErrorKind::no_space, "the target is full: " + said,
                    "Make room there, or shorten keep_removed, and run it again: it goes on.");
    if (code == 255) throw net::explain_ssh_failure("mirror", errors, how);
    if (code == 127 || says("rsync: not found") || says("rsync: command not found"))
        throw Error(ErrorKind::unsupported, "the far end has no rsync: " + said,
                    "Install it there: apt-get install rsync.");
    if (says("are not supported on this"))
        throw Error(ErrorKind::unsupported, text,
                    "Set attributes = false in this [[mirror]], or install a newer rsync there.");
    if (code == 23 && (says("change_dir") || says("link_stat")) && says("(2)"))
        throw Error(ErrorKind::not_found, "the source is not there: " + said, "Is it mounted?");
    if (says("mkdir") && says("No such file or directory"))
        throw Error(ErrorKind::not_found, "the folder around the target is not there: " + said,
                    "Is it mounted? Only the last folder of the target is made.");
    if (code == 10 || code == 12 || code == 30 || code == 35)
        throw net::explain_ssh_failure("mirror", errors, how);
    if (says("Permission denied")) throw Error(ErrorKind::permission, text);
    throw Error(ErrorKind::io, text);
}

Plan Mirror::plan(const OnChange& each, bool by_content) {
    Plan plan;
    auto args = arguments(by_content);
    args.insert(args.end(), {"--dry-run", "--", from_, to_});
    auto end = run_rsync(
        args,
        [&](std::string_view line) {
            auto item = parse_item(line);
            if (!item) return;
            if (item->kind != Item::Kind::remove) {
                if (!item->folder) ++plan.source_files;
                if (item->regular) plan.source_bytes += item->bytes;
                plan.marker_found = plan.marker_found || item->path == options_.marker;
                if (item->kind == Item::Kind::same) return;
            }
            Change change{change_kind(item->kind), item->folder, item->bytes,
                          std::move(item->path)};
            if (each) each(change);
            plan.count(std::move(change));
        },
        options_.stop);
    // 23: what cannot be read shows again in apply(), which says so. But a missing source lists
    // nothing at all.
    bool some_unreadable = end.status.code == 23 && plan.source_files + plan.removed != 0;
    if (!end.status.ok() && end.status.code != 24 && !some_unreadable)
        throw_for(end.status.code, end.status.display(), end.errors);
    return plan;
}

Outcome Mirror::apply(const std::string& stamp, uint64_t most_removed, Progress* progress) {
    Outcome outcome;
    auto args = arguments(false);
    args.insert(args.end(), {"--backup", fmt::format("--backup-dir={}/{}", kRemovedFolder, stamp),
                             fmt::format("--max-delete={}", most_removed), "--", from_, to_});
    auto end = run_rsync(
        args,
        [&](std::string_view line) {
            auto item = parse_item(line);
            if (!item) return;
            if (item->kind == Item::Kind::remove) {
                ++outcome.removed;
            } else if (item->kind == Item::Kind::add || item->kind == Item::Kind::change) {
                if (item->folder) return;
                ++outcome.files_copied;
                if (item->regular) outcome.bytes_copied += item->bytes;
                if (progress) {
                    progress->items_done = outcome.files_copied;
                    progress->bytes_done = outcome.bytes_copied;
                    progress->set_current(item->path);
                }
            }
        },
        options_.stop);
    if (end.status.ok()) return outcome;
    std::string said = net::last_lines(end.errors, 3);
    if (end.status.code == 24) {
        outcome.warnings.push_back("files vanished from the source while it was copied: " + said);
        return outcome;
    }
    if (end.status.code == 25)
        throw Error(ErrorKind::refused,
                    fmt::format("the source lost more files while it was copied: stopped after "
                                "removing {}",
                                outcome.removed),
                    "They are in the dated folder. Look at the source, then run it again.");
    if (end.status.code == 23 && end.errors.find("No space left on device") == std::string::npos &&
        end.errors.find("Disk quota exceeded") == std::string::npos) {
        outcome.partial = Error(ErrorKind::partial, "some items could not be copied: " + said,
                                "Those are missing or old in the mirror, and nothing was removed "
                                "from it if they could not be read.");
        return outcome;
    }
    throw_for(end.status.code, end.status.display(), end.errors);
    return outcome;
}

std::vector<std::string> Mirror::removed_stamps() {
    std::vector<std::string> args = {"-s", "--list-only", "-d"};
    args.insert(args.end(), connection_.begin(), connection_.end());
    args.insert(args.end(), {"--", fmt::format("{}{}/", to_, kRemovedFolder)});
    std::vector<std::string> stamps;
    auto end = run_rsync(
        args,
        [&](std::string_view line) {
            size_t blank = line.rfind(' ');
            if (blank == line.npos || !line.starts_with('d')) return;
            if (parse_stamp(line.substr(blank + 1))) stamps.emplace_back(line.substr(blank + 1));
        },
        options_.stop);
    bool none = end.status.code == 23 && end.errors.find("(2)") != std::string::npos;
    if (!end.status.ok() && !none) throw_for(end.status.code, end.status.display(), end.errors);
    std::sort(stamps.begin(), stamps.end());
    return stamps;
}

void Mirror::expire(const std::vector<std::string>& stamps) {
    if (stamps.empty()) return;
    os::make_dirs(options_.empty_folder);
    // Everything but these is excluded, and what is excluded is not removed.
    std::vector<std::string> args = {"-r", "-s", "--delete"};
    for (const std::string& stamp : stamps) args.push_back(fmt::format("--include=/{}/***", stamp));
    args.push_back("--exclude=*");
    args.insert(args.end(), connection_.begin(), connection_.end());
    // A pull's target is local, so that the empty folder serves in both directions.
    args.insert(args.end(), {"--", with_slash(options_.empty_folder),
                             fmt::format("{}{}/", to_, kRemovedFolder)});
    auto end = run_rsync(
        args, [](std::string_view) {}, options_.stop);
    if (!end.status.ok()) throw_for(end.status.code, end.status.display(), end.errors);
}

}  // namespace sevenfold::mirror
