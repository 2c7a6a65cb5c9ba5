#include "cli/backup_output.h"

#include "core/log.h"
#include "core/units.h"
#include "files/estimate.h"

namespace sevenfold::cli {

using files::PlaceResult;

BackupOutput::BackupOutput(Context& context, std::string source)
    : context_(context), source_(std::move(source)), start_(std::chrono::steady_clock::now()) {}

void BackupOutput::attach(files::ArchiveOptions& options) {
    options.progress = &progress_;
    options.stop = context_.stop();
    options.on_issue = [this](const files::ItemIssue& item) { issue(item); };
    // Only somebody who watches needs to know how long it takes.
    if (context_.terminal().live())
        estimate_ = std::jthread(
            [this, &options](std::stop_token stop) { files::estimate(options, progress_, stop); });
    display_ = std::make_unique<ProgressDisplay>(context_.terminal(), progress_,
                                                 source_.empty() ? "backup" : "backup " + source_);
}

void BackupOutput::issue(const files::ItemIssue& item) {
    log_warning("{}: {}{}", item.path, item.error.message(), item.saved ? "" : " (left out)");
    context_.terminal().json(JsonObject()
                                 .set("message_type", "error")
                                 .set("during", "archival")
                                 .set("item", item.path)
                                 .set("saved", item.saved)
                                 .set("error", item.error.message()));
}

void BackupOutput::print_place(const PlaceResult& place, bool dry_run, bool only_one) {
    Terminal& terminal = context_.terminal();
    std::string label = only_one ? "" : printable(place.name) + ": ";
    if (place.state != PlaceResult::State::saved) {
        std::string why = place.error ? place.error->message() : "could not keep up";
        terminal.print(label + terminal.styled(Style::red, "failed") + ": " + printable(why));
        if (place.error && !place.error->hint().empty())
            terminal.print("hint: " + place.error->hint());
        return;
    }
    std::string added = fmt::format("{} new, {} stored", format_size(place.stats.bytes_added),
                                    format_size(place.stats.bytes_packed));
    if (dry_run)
        terminal.print(fmt::format("{}would add {}", label, added));
    else
        terminal.print(fmt::format("{}snapshot {} saved, {}", label,
                                   terminal.styled(Style::green, place.snapshot.id.short_hex()),
                                   added));
}

void BackupOutput::print_json(const protect::BackupResult& result, bool dry_run) {
    const auto& summary = result.archive.summary;
    std::chrono::duration<double> took = std::chrono::steady_clock::now() - start_;
    for (const PlaceResult& place : result.places) {
        JsonObject line;
        line.set("message_type", "summary");
        if (!source_.empty()) line.set("source", source_).set("place", place.name);
        line.set("saved", place.state == PlaceResult::State::saved);
        if (place.error)
            line.set("error", place.error->message())
                .set("kind", name(place.error->kind()))
                .set("hint", place.error->hint());
        line.set("dry_run", dry_run)
            .set("files_new", summary.files_new)
            .set("files_changed", summary.files_changed)
            .set("files_unmodified", summary.files_unmodified)
            .set("dirs_new", summary.dirs_new)
            .set("dirs_changed", summary.dirs_changed)
            .set("dirs_unmodified", summary.dirs_unmodified)
            .set("data_blobs", place.stats.data_blobs)
            .set("tree_blobs", place.stats.tree_blobs)
            .set("data_added", place.stats.bytes_added)
            .set("data_added_packed", place.stats.bytes_packed)
            .set("total_files_processed", summary.total_files_processed)
            .set("total_bytes_processed", summary.total_bytes_processed)
            .set("unreadable", result.archive.unreadable)
            .set("incomplete", result.archive.incomplete)
            .set("changed_while_read", result.archive.changed_while_read)
            .set("total_duration", took.count());
        if (place.state == PlaceResult::State::saved && !dry_run)
            line.set("snapshot_id", place.snapshot.id.hex());
        context_.terminal().json(line);
    }
}

int BackupOutput::finish(const protect::BackupResult& result, bool dry_run) {
    estimate_ = {};
    display_.reset();
    Terminal& terminal = context_.terminal();
    print_json(result, dry_run);
    const auto& summary = result.archive.summary;
    auto took = std::chrono::steady_clock::now() - start_;
    if (result.archive.tree) {
        terminal.print(fmt::format(
            "{}{} files, {}: {} new, {} changed, {} unmodified, in {}",
            source_.empty() ? "" : printable(source_) + ": ",
            format_count(summary.total_files_processed), format_size(summary.total_bytes_processed),
            format_count(summary.files_new), format_count(summary.files_changed),
            format_count(summary.files_unmodified), format_duration(took)));
    }
    for (const PlaceResult& place : result.places)
        print_place(place, dry_run, source_.empty() && result.places.size() == 1);
    if (result.archive.unreadable != 0)
        terminal.print(terminal.styled(
            Style::yellow, fmt::format("{} items could not be read and are not in the snapshot",
                                       format_count(result.archive.unreadable))));
    if (result.archive.incomplete != 0) {
        terminal.print(terminal.styled(
            Style::yellow, fmt::format("{} objects were saved without their grants or tags",
                                       format_count(result.archive.incomplete))));
        terminal.print(
            fmt::format("  {} Give the key the right to read them, or set acl = false or "
                        "object_tags = false for this source.",
                        terminal.styled(Style::cyan, "hint:")));
    }
    if (result.archive.changed_while_read != 0)
        terminal.print(terminal.styled(
            Style::yellow, fmt::format("{} files changed while they were read",
                                       format_count(result.archive.changed_while_read))));
    return result.exit_code();
}

}  // namespace sevenfold::cli
