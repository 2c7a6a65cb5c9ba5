// repo stats: how much is in the repository.
#include "cli/commands.h"
#include "cli/repo_options.h"
#include "cli/snapshot_options.h"
#include "core/units.h"
#include "repository/stats.h"

namespace sevenfold::cli {
namespace {

using repository::StatsMode;

struct Options {
    SnapshotOptions filter;
    std::vector<std::string> snapshots;
    std::string mode = "restore-size";
};

int stats(Context& context, const RepoOptions& repo, const Options& options) {
    StatsMode mode = repository::parse_stats_mode(options.mode);
    auto repository = open_repository(context, repo);
    auto lock = lock_repository(context, *repository, repo, repository::LockMode::shared, true);
    auto snapshots = select_snapshots(*repository, options.snapshots, options.filter.filter());
    repository->load_index();
    auto stats = repository::repository_stats(*repository, snapshots, mode, context.stop());
    bool raw = mode == StatsMode::raw_data;
    double ratio = stats.size == 0 ? 1
                                   : static_cast<double>(stats.uncompressed_size) /
                                         static_cast<double>(stats.size);
    Terminal& terminal = context.terminal();
    terminal.print(fmt::format("Stats in {} mode:", options.mode));
    terminal.print(fmt::format("     Snapshots processed: {}", format_count(stats.snapshots)));
    if (raw || mode == StatsMode::blobs_per_file)
        terminal.print(fmt::format("        Total Blob Count: {}", format_count(stats.blobs)));
    if (!raw)
        terminal.print(fmt::format("        Total File Count: {}", format_count(stats.files)));
    if (raw) {
        terminal.print(
            fmt::format(" Total Uncompressed Size: {}", format_size(stats.uncompressed_size)));
        terminal.print(fmt::format("       Compression Ratio: {:.2f}x", ratio));
    }
    terminal.print(fmt::format("              Total Size: {}", format_size(stats.size)));
    JsonObject json;
    json.set("total_size", stats.size);
    if (raw)
        json.set("total_uncompressed_size", stats.uncompressed_size)
            .set("compression_ratio", ratio);
    if (!raw) json.set("total_file_count", stats.files);
    if (raw || mode == StatsMode::blobs_per_file) json.set("total_blob_count", stats.blobs);
    terminal.json(json.set("snapshots_count", stats.snapshots));
    return 0;
}

}  // namespace

void add_repo_stats(CommandTree& repo, std::shared_ptr<RepoOptions> shared) {
    auto options = std::make_shared<Options>();
    Command command = repo.command("stats", "Count files, blobs and bytes.",
                                   "sevenfold repo stats latest\n"
                                   "sevenfold repo stats --mode raw-data");
    command.arguments("SNAPSHOT", options->snapshots, "ids or \"latest\" (default: all)")
        .option("--mode", options->mode, "MODE",
                "restore-size, files-by-contents, blobs-per-file or raw-data");
    add_snapshot_options(command, options->filter);
    command.run([shared, options](Context& context) { return stats(context, *shared, *options); });
}

}  // namespace sevenfold::cli
