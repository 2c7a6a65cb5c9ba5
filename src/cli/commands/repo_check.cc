// repo check: is everything that the snapshots need still there and undamaged?
#include <unistd.h>

#include <random>

#include "cli/commands.h"
#include "cli/progress_display.h"
#include "cli/repo_options.h"
#include "cli/snapshot_options.h"
#include "core/log.h"
#include "core/units.h"
#include "repository/check.h"

namespace sevenfold::cli {
namespace {

using repository::CheckReport;
using repository::Severity;

struct Options {
    bool read_data = false;
    std::string subset;
};

repository::ReadData what_to_read(const Options& options) {
    if (options.read_data && !options.subset.empty())
        throw Error(ErrorKind::usage, "--read-data and --read-data-subset cannot be used together");
    if (!options.subset.empty()) return repository::parse_read_data_subset(options.subset);
    repository::ReadData out;
    if (options.read_data) out.kind = repository::ReadData::Kind::all;
    return out;
}

void show_findings(Terminal& terminal, const CheckReport& report) {
    for (const repository::CheckFinding& finding : report.findings) {
        bool error = finding.severity == Severity::error;
        terminal.print(fmt::format(
            "{} {}: {}",
            terminal.styled(error ? Style::red : Style::yellow, error ? "error:" : "warning:"),
            finding.object, printable(finding.message)));
        terminal.json(JsonObject()
                          .set("message_type", error ? "error" : "warning")
                          .set("object", finding.object)
                          .set("message", finding.message));
    }
}

void show_affected(Terminal& terminal, const CheckReport& report) {
    for (const repository::AffectedSnapshot& affected : report.affected) {
        const repository::Snapshot& s = affected.snapshot;
        terminal.print(fmt::format(
            "\nsnapshot {} of {} [{}] from {}: {}", s.id.short_hex(), printable(s.hostname),
            printable(joined(s.paths, ", ")), to_display(in_local_zone(s.time)),
            affected.root_lost
                ? "nothing of it can be restored"
                : fmt::format("{} files and {} folders cannot be restored, the rest can",
                              format_count(affected.files), format_count(affected.directories))));
        for (const std::string& path : affected.paths) terminal.print("  " + printable(path));
        uint64_t all = affected.files + affected.directories;
        if (all > affected.paths.size())
            terminal.print(fmt::format("  and {} more", format_count(all - affected.paths.size())));
        terminal.json(JsonObject()
                          .set("message_type", "affected_snapshot")
                          .set("id", s.id.hex())
                          .set("time", s.time)
                          .set("hostname", s.hostname)
                          .set("root_lost", affected.root_lost)
                          .set("files", affected.files)
                          .set("directories", affected.directories)
                          .set("paths", JsonArray::of(affected.paths)));
    }
    for (const Id& id : report.unreadable_snapshots)
        terminal.print(
            fmt::format("\nsnapshot {}: its file is damaged; nothing of it can be "
                        "restored by name",
                        id.short_hex()));
}

void show_summary(Terminal& terminal, const CheckReport& report) {
    std::string read = report.packs_read == 0
                           ? ""
                           : fmt::format(", {} packs with {} read", format_count(report.packs_read),
                                         format_size(report.bytes_read));
    terminal.print(fmt::format("\nchecked {} snapshots, {} trees, {} blobs, {} packs{}",
                               format_count(report.snapshots), format_count(report.trees),
                               format_count(report.blobs), format_count(report.packs), read));
    if (report.ok()) {
        terminal.print(terminal.styled(Style::green, "no errors were found"));
    } else {
        terminal.print(terminal.styled(
            Style::red, fmt::format("{} errors were found", format_count(report.errors))));
        terminal.print(fmt::format("{} of {} readable snapshots can be restored whole",
                                   format_count(report.intact_snapshots()),
                                   format_count(report.snapshots)));
        terminal.print(fmt::format(
            "{} Do not delete anything. Back up the sources again now: that stores what is "
            "missing anew; take the rest from another place.",
            terminal.styled(Style::cyan, "hint:")));
    }
    if (report.suggest_prune)
        terminal.print(fmt::format("{} packs are in no index; a prune frees their space",
                                   format_count(report.unindexed_packs)));
    JsonArray broken;
    for (const Id& id : report.broken_packs) broken.add(id.hex());
    terminal.json(JsonObject()
                      .set("message_type", "summary")
                      .set("num_errors", report.errors)
                      .set("num_warnings", report.warnings)
                      .set("broken_packs", broken)
                      .set("suggest_repair_index", report.suggest_repair_index)
                      .set("suggest_prune", report.suggest_prune)
                      .set("snapshots", report.snapshots)
                      .set("intact_snapshots", report.intact_snapshots())
                      .set("trees", report.trees)
                      .set("blobs", report.blobs)
                      .set("packs", report.packs)
                      .set("packs_read", report.packs_read)
                      .set("bytes_read", report.bytes_read));
}

int check(Context& context, const RepoOptions& repo, const Options& options) {
    repository::CheckOptions check;
    check.read_data = what_to_read(options);
    check.seed = std::random_device()();
    check.stop = context.stop();
    RepoOptions uncached = repo;
    uncached.no_cache = true;  // what lies at the place is to be checked, not our copy of it
    auto repository = open_repository(context, uncached);
    // Exclusive as restic's: packs and snapshots must not come and go between two listings.
    std::unique_ptr<repository::Lock> lock;
    if (!repo.no_lock)
        lock = lock_repository(context, *repository, repo, repository::LockMode::exclusive, false);
    Progress progress;
    CheckReport report;
    {
        ProgressDisplay display(context.terminal(), progress, "check");
        report = repository::check(*repository, check, &progress);
    }
    show_findings(context.terminal(), report);
    show_affected(context.terminal(), report);
    show_summary(context.terminal(), report);
    return report.ok() ? 0 : exit_code(ErrorKind::corrupt);
}

}  // namespace

void add_repo_check(CommandTree& repo, std::shared_ptr<RepoOptions> shared) {
    auto options = std::make_shared<Options>();
    Command command = repo.command(
        "check", "Check that the repository is complete and undamaged.",
        "sevenfold repo check                           structure: index, snapshots, trees\n"
        "sevenfold repo check --read-data               read and verify everything\n"
        "sevenfold repo check --read-data-subset 1/7    a seventh of it, another one each day\n"
        "sevenfold repo check --read-data-subset 2%     a random sample");
    command.flag("--read-data", options->read_data, "read all packs and verify every blob")
        .option("--read-data-subset", options->subset, "N/T|P%|SIZE", "read a part of the packs");
    command.run([shared, options](Context& context) { return check(context, *shared, *options); });
}

}  // namespace sevenfold::cli
