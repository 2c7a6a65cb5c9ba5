// repo diff: what changed from one snapshot to another.
#include "cli/commands.h"
#include "cli/repo_options.h"
#include "cli/snapshot_options.h"
#include "core/log.h"
#include "core/units.h"
#include "repository/diff.h"

namespace sevenfold::cli {
namespace {

struct Options {
    std::string before, after;
    bool metadata = false;
};

JsonObject counts_json(const repository::DiffCounts& counts) {
    return JsonObject()
        .set("files", counts.files)
        .set("dirs", counts.dirs)
        .set("others", counts.others)
        .set("data_blobs", counts.data_blobs)
        .set("tree_blobs", counts.tree_blobs)
        .set("bytes", counts.bytes);
}

Style style_of(const std::string& modifier) {
    if (modifier == "+") return Style::green;
    if (modifier == "-") return Style::red;
    return Style::yellow;
}

int diff(Context& context, const RepoOptions& repo, const Options& options) {
    auto repository = open_repository(context, repo);
    auto lock = lock_repository(context, *repository, repo, repository::LockMode::shared, true);
    auto before = repository::find_snapshot(*repository, options.before, {});
    auto after = repository::find_snapshot(*repository, options.after, {});
    repository->load_index();
    auto root = [&](const repository::SnapshotSpec& spec) {
        return repository::find_subtree(*repository, spec.snapshot.tree, spec.subfolder);
    };
    Terminal& terminal = context.terminal();
    std::string from = before.snapshot.id.short_hex(), to = after.snapshot.id.short_hex();
    terminal.note(fmt::format("comparing snapshot {} to {}:\n", from, to));
    auto each = [&](const std::string& modifier, const std::string& path) {
        terminal.print(terminal.styled(style_of(modifier),
                                       fmt::format("{:<4} {}", modifier, printable(path))));
        terminal.json(
            JsonObject().set("message_type", "change").set("path", path).set("modifier", modifier));
    };
    repository::DiffStats stats =
        repository::diff_trees(*repository, root(before), root(after),
                               {.metadata = options.metadata, .stop = context.stop()}, each);
    const auto& added = stats.added;
    const auto& removed = stats.removed;
    terminal.print(fmt::format(
        "\nFiles:       {:5} new, {:5} removed, {:5} changed\n"
        "Dirs:        {:5} new, {:5} removed\n"
        "Others:      {:5} new, {:5} removed\n"
        "Data Blobs:  {:5} new, {:5} removed\n"
        "Tree Blobs:  {:5} new, {:5} removed\n"
        "  Added:   {}\n"
        "  Removed: {}",
        added.files, removed.files, stats.changed_files, added.dirs, removed.dirs, added.others,
        removed.others, added.data_blobs, removed.data_blobs, added.tree_blobs, removed.tree_blobs,
        format_size(added.bytes), format_size(removed.bytes)));
    terminal.json(JsonObject()
                      .set("message_type", "statistics")
                      .set("source_snapshot", from)
                      .set("target_snapshot", to)
                      .set("changed_files", stats.changed_files)
                      .set("added", counts_json(added))
                      .set("removed", counts_json(removed)));
    return 0;
}

}  // namespace

void add_repo_diff(CommandTree& repo, std::shared_ptr<RepoOptions> shared) {
    auto options = std::make_shared<Options>();
    Command command = repo.command(
        "diff",
        "Show what changed between two snapshots: + added, - removed, M content, T type, "
        "U metadata.",
        "sevenfold repo diff 1a2b3c4d latest\n"
        "sevenfold repo diff --metadata 1a2b3c4d:/srv/www 5e6f7a8b:/srv/www");
    command.argument("BEFORE", options->before, "snapshot, may have :FOLDER")
        .argument("AFTER", options->after, "snapshot, may have :FOLDER")
        .flag("--metadata", options->metadata, "also changes of metadata alone");
    command.run([shared, options](Context& context) { return diff(context, *shared, *options); });
}

}  // namespace sevenfold::cli
