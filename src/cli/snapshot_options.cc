#include "cli/snapshot_options.h"

#include <unistd.h>

#include "core/log.h"
#include "core/units.h"
#include "os/file.h"
#include "repository/tag.h"

namespace sevenfold::cli {

using repository::Node;
using repository::NodeType;
using repository::Snapshot;

repository::SnapshotFilter SnapshotOptions::filter() const {
    repository::SnapshotFilter out{.hosts = hosts, .tag_lists = {}, .paths = paths};
    for (const std::string& list : tags) out.tag_lists.push_back(repository::split_tag_list(list));
    return out;
}

void add_snapshot_options(Command& command, SnapshotOptions& options, const std::string& when,
                          bool short_host) {
    command
        .option(short_host ? "-H,--host" : "--host", options.hosts, "NAME",
                when + "only snapshots of this host")
        .option("--tag", options.tags, "TAG[,TAG]", when + "only snapshots with all these tags")
        .option("--path", options.paths, "PATH", when + "only snapshots of this path");
}

std::vector<Snapshot> select_snapshots(const repository::Repository& repository,
                                       const std::vector<std::string>& names,
                                       const repository::SnapshotFilter& filter,
                                       bool skip_damaged) {
    std::vector<Snapshot> out;
    for (const std::string& name : names) {
        repository::SnapshotSpec spec = repository::find_snapshot(repository, name, filter);
        if (!spec.subfolder.empty())
            throw Error(ErrorKind::usage,
                        fmt::format("{}: a folder cannot be given here", printable(name)));
        bool known = std::any_of(out.begin(), out.end(),
                                 [&](const Snapshot& s) { return s.id == spec.snapshot.id; });
        if (!known) out.push_back(std::move(spec.snapshot));
    }
    if (!names.empty()) return out;
    std::vector<Error> damaged;
    auto all = repository::load_snapshots(repository, skip_damaged ? &damaged : nullptr);
    for (const Error& error : damaged) log_error("{}", error.message());
    for (Snapshot& snapshot : all)
        if (filter.matches(snapshot)) out.push_back(std::move(snapshot));
    return out;
}

bool load_readable_index(repository::Repository& repository) {
    std::vector<Error> damaged;
    repository.load_index(&damaged);
    for (const Error& error : damaged)
        log_error("{}; what only it lists cannot be read", error.message());
    return damaged.empty();
}

JsonObject snapshot_json(const Snapshot& s) {
    JsonObject out;
    out.set("time", s.time);
    if (s.parent) out.set("parent", s.parent->hex());
    out.set("tree", s.tree.hex()).set("paths", JsonArray::of(s.paths));
    out.set("hostname", s.hostname).set("username", s.username);
    if (s.uid != 0) out.set("uid", s.uid);
    if (s.gid != 0) out.set("gid", s.gid);
    if (!s.excludes.empty()) out.set("excludes", JsonArray::of(s.excludes));
    if (!s.tags.empty()) out.set("tags", JsonArray::of(s.tags));
    if (s.original) out.set("original", s.original->hex());
    if (!s.program_version.empty()) out.set("program_version", s.program_version);
    if (s.summary) {
        const repository::SnapshotSummary& sum = *s.summary;
        out.set("summary", JsonObject()
                               .set("backup_start", sum.backup_start)
                               .set("backup_end", sum.backup_end)
                               .set("files_new", sum.files_new)
                               .set("files_changed", sum.files_changed)
                               .set("files_unmodified", sum.files_unmodified)
                               .set("dirs_new", sum.dirs_new)
                               .set("dirs_changed", sum.dirs_changed)
                               .set("dirs_unmodified", sum.dirs_unmodified)
                               .set("data_blobs", sum.data_blobs)
                               .set("tree_blobs", sum.tree_blobs)
                               .set("data_added", sum.data_added)
                               .set("data_added_packed", sum.data_added_packed)
                               .set("total_files_processed", sum.total_files_processed)
                               .set("total_bytes_processed", sum.total_bytes_processed));
    }
    return out.set("id", s.id.hex()).set("short_id", s.id.short_hex());
}

JsonObject node_json(const std::string& path, const Node& node) {
    JsonObject out;
    out.set("name", node.name).set("type", name(node.type)).set("path", path);
    out.set("uid", node.uid).set("gid", node.gid);
    if (!node.user.empty()) out.set("user", node.user);
    if (!node.group.empty()) out.set("group", node.group);
    if (node.is_file()) out.set("size", node.size);
    out.set("mode", node.mode).set("permissions", permissions_text(node));
    if (!node.link_target.empty()) out.set("linktarget", node.link_target);
    if (node.links != 0) out.set("links", node.links);
    if (node.inode != 0) out.set("inode", node.inode);
    return out.set("mtime", node.mtime).set("atime", node.atime).set("ctime", node.ctime);
}

std::string joined(const std::vector<std::string>& words, std::string_view between) {
    return fmt::format("{}", fmt::join(words, between));
}

std::string permissions_text(const Node& node) {
    std::string out(10, '-');
    switch (node.type) {
        case NodeType::dir:
            out[0] = 'd';
            break;
        case NodeType::symlink:
            out[0] = 'l';
            break;
        case NodeType::dev:
            out[0] = 'b';
            break;
        case NodeType::chardev:
            out[0] = 'c';
            break;
        case NodeType::fifo:
            out[0] = 'p';
            break;
        case NodeType::socket:
            out[0] = 's';
            break;
        default:
            break;
    }
    mode_t mode = repository::permission_bits(node.mode);
    for (int i = 0; i < 9; ++i)
        if (mode & (0400u >> i)) out[i + 1] = "rwxrwxrwx"[i];
    auto special = [&](mode_t bit, int at, char executable, char plain) {
        if (mode & bit) out[at] = out[at] == 'x' ? executable : plain;
    };
    special(S_ISUID, 3, 's', 'S');
    special(S_ISGID, 6, 's', 'S');
    special(S_ISVTX, 9, 't', 'T');
    return out;
}

std::string node_line(const std::string& path, const Node& node, bool details) {
    if (!details) return printable(path);
    std::string line =
        fmt::format("{} {:>5} {:>5} {:>9} {} {}", permissions_text(node), node.uid, node.gid,
                    node.size, to_display(in_local_zone(node.mtime)), printable(path));
    if (node.type == NodeType::symlink) line += " -> " + printable(node.link_target);
    return line;
}

void write_stdout(ByteView bytes) { os::write_all(STDOUT_FILENO, bytes, "standard output"); }

Id find_file(const repository::Repository& repository, storage::FileType type,
             std::string_view prefix) {
    if (auto id = Id::parse(prefix)) return *id;
    std::optional<Id> found;
    bool several = false;
    repository.backend().list(type, [&](const storage::FileInfo& file) {
        if (!file.id.hex().starts_with(prefix)) return;
        several = several || found;
        found = file.id;
    });
    if (!found || prefix.empty())
        throw Error(ErrorKind::not_found, fmt::format("nothing in {} begins with \"{}\"",
                                                      storage::folder(type), printable(prefix)));
    if (several)
        throw Error(ErrorKind::usage,
                    fmt::format("several files in {} begin with \"{}\"", storage::folder(type),
                                printable(prefix)),
                    "Give more digits of the id.");
    return *found;
}

}  // namespace sevenfold::cli
