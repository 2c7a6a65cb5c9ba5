// repo find: where a file, a blob, a tree or a pack's content is.
#include <ctime>
#include <set>

#include "cli/commands.h"
#include "cli/repo_options.h"
#include "cli/snapshot_options.h"
#include "core/log.h"
#include "files/pattern.h"
#include "repository/walk.h"

namespace sevenfold::cli {
namespace {

using repository::BlobHandle;
using repository::BlobType;
using repository::Node;
using repository::Snapshot;
using repository::Step;

struct Options {
    SnapshotOptions filter;
    std::vector<std::string> patterns, snapshots;
    std::string oldest, newest;
    bool ignore_case = false, details = false, blob = false, tree = false, pack = false;
    bool show_pack = false;
};

std::optional<Time> parse_bound(const std::string& text) {
    if (text.empty()) return std::nullopt;
    for (const char* format : {"%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"}) {
        tm fields{};
        const char* end = strptime(text.c_str(), format, &fields);
        if (end == nullptr || *end != 0) continue;
        fields.tm_isdst = -1;
        return Time{mktime(&fields), 0, 0};
    }
    throw Error(ErrorKind::usage, fmt::format("\"{}\" is not a time", printable(text)),
                "Write it like \"2026-11-22 14:03:09\" or 2026-11-22.");
}

// By name and time.
int find_files(Context& context, const repository::Repository& repository, const Options& options,
               const std::vector<Snapshot>& snapshots) {
    files::PatternList patterns(
        options.patterns, options.ignore_case ? files::Case::insensitive : files::Case::sensitive);
    auto oldest = parse_bound(options.oldest), newest = parse_bound(options.newest);
    Terminal& terminal = context.terminal();
    for (const Snapshot& snapshot : snapshots) {
        JsonArray matches;
        size_t hits = 0;
        repository::PathVisitor visitor;
        visitor.visit = [&](const std::string& path, const Node& node) {
            auto match = patterns.match(path);
            bool in_time = (!oldest || node.mtime >= *oldest) && (!newest || node.mtime <= *newest);
            if (match.matched && in_time) {
                if (hits++ == 0)
                    terminal.print(fmt::format("Found matching entries in snapshot {} from {}",
                                               snapshot.id.short_hex(),
                                               to_display(in_local_zone(snapshot.time))));
                terminal.print(node_line(path, node, options.details));
                if (terminal.is_json()) matches.add(node_json(path, node));
            }
            return match.matched || match.child_may_match ? Step::into : Step::over;
        };
        repository::walk_paths(repository, snapshot.tree, "", visitor, context.stop());
        if (hits != 0)
            terminal.json(JsonObject()
                              .set("matches", matches)
                              .set("hits", hits)
                              .set("snapshot", snapshot.id.hex()));
    }
    return 0;
}

// The blobs that are looked for: by prefix of the id, or those in packs.
class Wanted {
  public:
    Wanted(const repository::Repository& repository, const Options& options) : options_(options) {
        for (const std::string& text : options.patterns)
            if (text.empty() || text.find_first_not_of("0123456789abcdef") != text.npos)
                throw Error(ErrorKind::usage, fmt::format("{} is not an id", printable(text)));
        if (!options.pack) return;
        repository.index().for_each([&](const repository::BlobLocation& location) {
            if (prefix_of(location.pack)) blobs_.insert(location.blob.handle);
        });
        if (blobs_.empty()) throw Error(ErrorKind::not_found, "no such pack in the index");
    }
    bool has(const BlobHandle& blob) const {
        if (options_.pack) return blobs_.contains(blob);
        bool type = blob.type == BlobType::data ? options_.blob : options_.tree;
        return type && prefix_of(blob.id);
    }

  private:
    bool prefix_of(const Id& id) const {
        std::string hex = id.hex();
        return std::any_of(options_.patterns.begin(), options_.patterns.end(),
                           [&](const std::string& prefix) { return hex.starts_with(prefix); });
    }
    const Options& options_;
    std::set<BlobHandle> blobs_;
};

int find_blobs(Context& context, const repository::Repository& repository, const Options& options,
               const std::vector<Snapshot>& snapshots) {
    Wanted wanted(repository, options);
    Terminal& terminal = context.terminal();
    for (const Snapshot& snapshot : snapshots) {
        auto report = [&](const BlobHandle& blob, const std::string& path) {
            std::string_view type = repository::name(blob.type);
            terminal.print(fmt::format("Found {} {}\n ... in {} {}\n ... in snapshot {} ({})",
                                       type == "data" ? "blob" : type, blob.id.hex(),
                                       type == "data" ? "file" : "path", printable(path),
                                       snapshot.id.short_hex(),
                                       to_display(in_local_zone(snapshot.time))));
            JsonObject object;
            object.set("object_type", type == "data" ? "blob" : "tree").set("id", blob.id.hex());
            object.set("path", path).set("snapshot", snapshot.id.hex()).set("time", snapshot.time);
            if (options.show_pack || options.pack)
                for (const auto& copy : repository.index().find_all(blob)) {
                    terminal.print(fmt::format(" ... in pack {}", copy.pack.hex()));
                    object.set("pack", copy.pack.hex());
                    break;
                }
            terminal.json(object);
        };
        if (wanted.has({BlobType::tree, snapshot.tree}))
            report({BlobType::tree, snapshot.tree}, "/");
        repository::PathVisitor visitor;
        visitor.visit = [&](const std::string& path, const Node& node) {
            if (node.subtree && wanted.has({BlobType::tree, *node.subtree}))
                report({BlobType::tree, *node.subtree}, path);
            std::set<Id> reported;
            for (const Id& id : node.content)
                if (wanted.has({BlobType::data, id}) && reported.insert(id).second)
                    report({BlobType::data, id}, path);
            return Step::into;
        };
        repository::walk_paths(repository, snapshot.tree, "", visitor, context.stop());
    }
    return 0;
}

int find(Context& context, const RepoOptions& repo, const Options& options) {
    if (options.pack && (options.blob || options.tree))
        throw Error(ErrorKind::usage, "--pack cannot be used together with --blob or --tree");
    auto repository = open_repository(context, repo);
    auto lock = lock_repository(context, *repository, repo, repository::LockMode::shared, true);
    auto snapshots =
        select_snapshots(*repository, options.snapshots, options.filter.filter(), true);
    std::reverse(snapshots.begin(), snapshots.end());  // newest first
    bool whole = load_readable_index(*repository);
    int code = options.blob || options.tree || options.pack
                   ? find_blobs(context, *repository, options, snapshots)
                   : find_files(context, *repository, options, snapshots);
    return whole ? code : std::max(code, exit_code(ErrorKind::corrupt));
}

}  // namespace

void add_repo_find(CommandTree& repo, std::shared_ptr<RepoOptions> shared) {
    auto options = std::make_shared<Options>();
    Command command =
        repo.command("find", "Find files, blobs or packs in snapshots.",
                     "sevenfold repo find '*.php'\n"
                     "sevenfold repo find --oldest 2026-11-01 --host web1 config.yml\n"
                     "sevenfold repo find --blob 1a2b3c4d\n"
                     "sevenfold repo find --pack 025c1d06");
    command.arguments("PATTERN", options->patterns, "globs, or with the flags below ids", 1)
        .flag("--blob", options->blob, "ids are those of data blobs")
        .flag("--tree", options->tree, "ids are those of trees")
        .flag("--pack", options->pack, "ids are those of packs")
        .flag("--show-pack-id", options->show_pack, "with --blob or --tree: name the pack, too")
        .flag("-i,--ignore-case", options->ignore_case, "ignore the case of letters")
        .flag("-l,--long", options->details, "with mode, owner, size and time")
        .option("-O,--oldest", options->oldest, "TIME", "only entries modified then or later")
        .option("-N,--newest", options->newest, "TIME", "only entries modified then or earlier")
        .option("-s,--snapshot", options->snapshots, "ID", "only in this snapshot");
    add_snapshot_options(command, options->filter);
    command.run([shared, options](Context& context) { return find(context, *shared, *options); });
}

}  // namespace sevenfold::cli
