// mirror: plain copies of folders, renewed; or what would happen to them.
#include "protect/mirror.h"

#include "catalog/catalog.h"
#include "cli/commands.h"
#include "cli/database_output.h"
#include "cli/progress_display.h"
#include "core/log.h"
#include "core/units.h"

namespace sevenfold::cli {
namespace {

using mirror::Change;
using mirror::Plan;

struct Options {
    std::vector<std::string> mirrors;
    bool dry_run = false, force = false, verify = false, checksum = false;
};

std::string_view word(Change::Kind kind) {
    switch (kind) {
        case Change::Kind::add:
            return "add";
        case Change::Kind::change:
            return "overwrite";
        case Change::Kind::attributes:
            return "attributes";
        case Change::Kind::remove:
            return "remove";
    }
    return "?";
}

void show_change(Terminal& terminal, const std::string& name, const Change& change) {
    std::string slash = change.folder ? "/" : "";
    terminal.print(fmt::format("{:<10} {}{}", word(change.kind), printable(change.path), slash));
    terminal.json(JsonObject()
                      .set("type", "change")
                      .set("mirror", name)
                      .set("action", word(change.kind))
                      .set("path", change.path + slash)
                      .set("bytes", change.bytes));
}

std::string counts(const Plan& plan) {
    return fmt::format(
        "{} to add, {} to overwrite, {} to remove, {} with other attributes; {} to "
        "copy; the source has {} files",
        format_count(plan.added), format_count(plan.changed), format_count(plan.removed),
        format_count(plan.attributes), format_size(plan.bytes_to_copy),
        format_count(plan.source_files));
}

void show_refusal(Terminal& terminal, const protect::MirrorRun& run) {
    for (const Change& change : run.plan.examples)
        terminal.note(fmt::format("  {} {}", word(change.kind), printable(change.path)));
    uint64_t all = run.plan.removed + run.plan.changed;
    if (all > run.plan.examples.size())
        terminal.note(fmt::format("  and {} more", format_count(all - run.plan.examples.size())));
}

JsonObject summary(const std::string& name, const protect::MirrorRun& run, bool dry_run) {
    JsonObject object;
    object.set("type", "summary").set("mirror", name).set("dry_run", dry_run);
    object.set("done", run.done).set("refusals", JsonArray::of(run.refusals));
    object.set("added", run.plan.added).set("overwritten", run.plan.changed);
    object.set("removed", run.plan.removed).set("attributes", run.plan.attributes);
    object.set("files", run.plan.source_files).set("bytes", run.plan.source_bytes);
    object.set("files_copied", run.outcome.files_copied);
    object.set("bytes_copied", run.outcome.bytes_copied);
    if (!run.stamp.empty()) object.set("removed_to", run.stamp);
    object.set("expired", JsonArray::of(run.expired));
    if (run.after)
        object.set("differing", run.after->added + run.after->changed + run.after->removed);
    object.set("damaged", run.damaged_count);
    return object;
}

void show_done(Terminal& terminal, const std::string& name, const protect::MirrorRun& run) {
    terminal.print(fmt::format(
        "{}: {} copied ({}), {} removed; {} files, {}",
        terminal.styled(Style::bold, printable(name)), format_count(run.outcome.files_copied),
        format_size(run.outcome.bytes_copied), format_count(run.plan.removed),
        format_count(run.plan.source_files), format_size(run.plan.source_bytes)));
    if (!run.stamp.empty())
        terminal.print(fmt::format("what was removed or overwritten is in {}/{}",
                                   mirror::kRemovedFolder, run.stamp));
    if (!run.expired.empty())
        terminal.print(fmt::format("{} dated folders were older than keep_removed and are gone",
                                   run.expired.size()));
    for (const std::string& warning : run.outcome.warnings) log_warning("{}", warning);
    if (run.after && run.after->content_differs())
        terminal.print(fmt::format(
            "compared afterwards: {} files differ in size or time: they changed meanwhile or could "
            "not be written; the next run takes them",
            format_count(run.after->added + run.after->changed + run.after->removed)));
    else
        terminal.print("compared afterwards: every file has the source's size and time");
}

int mirror_one(Context& context, const config::MirrorConfig& mirror, const Options& options,
               catalog::Catalog* catalog) {
    Terminal& terminal = context.terminal();
    const Time started = context.clock().now();
    auto note = [&](const protect::MirrorRun& run, const std::string& error) {
        if (options.dry_run) return;
        record_run(catalog, {.job = "mirror",
                             .source = mirror.name,
                             .place = "",
                             .started = started,
                             .ended = context.clock().now(),
                             .succeeded = error.empty(),
                             .error = error,
                             .snapshot = "",
                             .files = run.plan.source_files,
                             .bytes = run.plan.source_bytes,
                             .bytes_stored = run.outcome.bytes_copied,
                             .unreadable = 0});
    };
    Progress progress;
    protect::MirrorRun run;
    try {
        ProgressDisplay display(terminal, progress, "mirror " + mirror.name);
        protect::MirrorRunOptions job{.dry_run = options.dry_run,
                                      .force = options.force,
                                      .checksum = options.checksum,
                                      .verify = options.verify,
                                      .on_change = {},
                                      .progress = &progress,
                                      .stop = context.stop()};
        if (options.dry_run)
            job.on_change = [&](const Change& change) {
                show_change(terminal, mirror.name, change);
            };
        run = protect::run_mirror(context.config(), mirror, job);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::locked) note({}, error.message());
        throw;
    }
    std::optional<Error> failure;
    if (!run.done && !run.refusals.empty()) {
        show_refusal(terminal, run);
        failure = Error(ErrorKind::refused,
                        fmt::format("nothing was changed: {}; {}", fmt::join(run.refusals, "; "),
                                    counts(run.plan)),
                        fmt::format("Read the list of `sevenfold mirror --dry-run {0}`. If that is "
                                    "right, run `sevenfold mirror --force {0}`.",
                                    mirror.name));
    } else if (!run.done) {
        terminal.print(fmt::format("{}: {}", terminal.styled(Style::bold, printable(mirror.name)),
                                   counts(run.plan)));
    } else {
        show_done(terminal, mirror.name, run);
        for (const std::string& path : run.damaged)
            terminal.print("content differs: " + printable(path));
        if (run.outcome.partial)
            failure = run.outcome.partial;
        else if (run.damaged_count != 0)
            failure = Error(
                ErrorKind::corrupt,
                fmt::format("{} files have the source's size and time, but not its content",
                            format_count(run.damaged_count)),
                fmt::format("Find out which side is right. `sevenfold mirror --checksum {}` copies "
                            "the source's again and keeps the mirror's in the dated folder.",
                            mirror.name));
        else if (options.verify)
            terminal.print(
                "verified: every file was read at both ends, and the content is the "
                "same");
    }
    terminal.json(summary(mirror.name, run, options.dry_run));
    note(run, failure ? failure->message() : "");
    if (failure) throw *failure;
    return 0;
}

int run_mirrors(Context& context, const Options& options) {
    if (options.force && options.mirrors.empty())
        throw Error(ErrorKind::usage, "--force needs the name of a mirror",
                    "Write `sevenfold mirror --force NAME`.");
    const config::AppConfig& config = context.config();
    auto mirrors = config.mirrors_named(options.mirrors);
    auto catalog = open_catalog(config);
    int first = 0;
    for (const config::MirrorConfig* mirror : mirrors) {
        try {
            mirror_one(context, *mirror, options, catalog.get());
        } catch (const Error& error) {
            Error named = error.with_context("mirror " + mirror->name);
            if (error.kind() == ErrorKind::interrupted || mirrors.size() == 1) throw named;
            context.terminal().error(named);
            if (first == 0) first = exit_code(error.kind());
        }
    }
    return first;
}

}  // namespace

void add_mirror(CommandTree& tree) {
    auto options = std::make_shared<Options>();
    tree.command("mirror", "Renew the plain copies that stand by for a failover.",
                 "sevenfold mirror                      all mirrors\n"
                 "sevenfold mirror --dry-run standby    what would be added, overwritten, removed\n"
                 "sevenfold mirror --verify standby     and read both sides afterwards")
        .arguments("NAME", options->mirrors, "mirrors to renew (default: all)")
        .flag("-n,--dry-run", options->dry_run, "change nothing, list what would be done")
        .flag("-f,--force", options->force,
              "go on although so much would change, or the source looks wrong")
        .flag("--verify", options->verify, "afterwards, read all files at both ends and compare")
        .flag("--checksum", options->checksum,
              "find what is to be copied by content instead of size and time")
        .run([options](Context& context) { return run_mirrors(context, *options); });
}

}  // namespace sevenfold::cli
