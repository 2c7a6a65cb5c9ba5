#include "cli/restore_output.h"

#include <filesystem>
#include <map>

#include "cli/progress_display.h"
#include "core/log.h"
#include "core/units.h"
#include "files/bucket_restore.h"
#include "protect/places.h"
#include "repository/snapshot.h"

namespace sevenfold::cli {
namespace {

using files::Overwrite;
using files::RestoreOptions;
using files::RestoreResult;

constexpr size_t kShown = 50;  // problems printed; all are counted, and all go to --json

Overwrite parse_overwrite(const std::string& text) {
    if (text.empty() || text == "always") return Overwrite::always;
    if (text == "if-changed") return Overwrite::if_changed;
    if (text == "if-newer") return Overwrite::if_newer;
    if (text == "never") return Overwrite::never;
    throw Error(ErrorKind::usage, fmt::format("--overwrite {}: no such mode", text),
                "Modes: always, if-changed, if-newer, never.");
}

// Without links, so that two names of one folder are seen to be one; what does not exist yet stays.
std::string resolved(const std::string& path) {
    std::error_code failed;
    auto absolute = std::filesystem::weakly_canonical(std::filesystem::absolute(path), failed);
    std::string out = failed ? path : absolute.lexically_normal().string();
    while (out.size() > 1 && out.ends_with('/')) out.pop_back();
    return out;
}

bool lies_in(const std::string& path, const std::string& folder) {
    return path == folder || folder == "/" || path.starts_with(folder + "/");
}

// The folder at `path` as its own parent lists it; nothing for the snapshot's root.
std::optional<repository::Node> folder_node(const repository::Repository& repository,
                                            const repository::Snapshot& snapshot,
                                            std::string path) {
    while (path.ends_with('/')) path.pop_back();
    size_t slash = path.rfind('/');
    std::string name = path.substr(slash == path.npos ? 0 : slash + 1);
    if (name.empty()) return std::nullopt;
    Id parent = repository::find_subtree(repository, snapshot.tree,
                                         slash == path.npos ? "" : path.substr(0, slash));
    for (repository::Node& node : repository.load_tree(parent))
        if (node.name == name) return std::move(node);
    return std::nullopt;
}

// A target that is not empty was asked for, or nothing will be changed.
bool is_intended(const RestoreArguments& arguments) {
    return !arguments.overwrite.empty() || (arguments.dry_run && !arguments.delete_extra);
}

Error not_empty(const std::string& target, std::string_view kind) {
    return Error(ErrorKind::refused, fmt::format("target {} is not empty", target),
                 fmt::format("Restore to a new {}, or say with --overwrite "
                             "always|if-changed|if-newer|never what shall happen to what is there.",
                             kind));
}

std::unique_ptr<storage::Bucket> open_target(Context& context, const RestoreArguments& arguments) {
    config::FilesConfig bucket;
    bucket.url = arguments.target;
    bucket.region = arguments.region;
    bucket.credentials = arguments.credentials;
    bucket.ca_file = arguments.ca_file;
    if (!arguments.bucket_lookup.empty()) bucket.bucket_lookup = arguments.bucket_lookup;
    return protect::open_source_bucket(bucket, context.stop());
}

// By their prefixes: one is the other, or above it.
bool overlap(const storage::Location& a, const storage::Location& b) {
    auto above = [](const std::string& upper, const std::string& lower) {
        return upper.empty() || upper == lower || lower.starts_with(upper + "/");
    };
    return is_same_bucket(a, b) && (above(a.path, b.path) || above(b.path, a.path));
}

std::map<std::string, std::string> parse_grantees(const std::vector<std::string>& texts) {
    std::map<std::string, std::string> out;
    for (const std::string& text : texts) {
        size_t equals = text.find('=');
        if (equals == text.npos || equals == 0 || equals + 1 == text.size())
            throw Error(ErrorKind::usage,
                        fmt::format("--grantee {}: not of the form THEN=NOW", text),
                        "Give the ids of two accounts.");
        out[text.substr(0, equals)] = text.substr(equals + 1);
    }
    return out;
}

void check_bucket(Context& context, const RestoreArguments& arguments) {
    const storage::Location target = storage::parse_location(arguments.target);
    parse_grantees(arguments.grantees);
    for (const auto& [location, what] : arguments.keep_out_buckets)
        if (overlap(target, location))
            throw Error(
                ErrorKind::refused,
                fmt::format("target {} and {} are in each other's way", target.display(), what),
                "Restore to another bucket or prefix; nothing was changed.");
    if (is_intended(arguments)) return;
    auto bucket = open_target(context, arguments);
    if (bucket->any(bucket->key_prefix())) throw not_empty(target.display(), "prefix");
}

void print_parity(Context& context, const files::Parity& parity) {
    context.terminal().json(JsonObject()
                                .set("message_type", "parity")
                                .set("compared", parity.compared)
                                .set("more_open", parity.more_open)
                                .set("more_closed", parity.more_closed)
                                .set("unknown", parity.unknown));
    std::string line = fmt::format("grants of {} objects compared: {} more open, {} more closed",
                                   format_count(parity.compared), format_count(parity.more_open),
                                   format_count(parity.more_closed));
    if (parity.unknown != 0)
        line += fmt::format("; of {} it is not known what they were, or are",
                            format_count(parity.unknown));
    context.terminal().print(line);
}

void print_summary(Context& context, const repository::Snapshot& snapshot,
                   const RestoreArguments& arguments, const RestoreResult& result,
                   std::chrono::nanoseconds took) {
    Terminal& terminal = context.terminal();
    terminal.json(JsonObject()
                      .set("message_type", "summary")
                      .set("snapshot_id", snapshot.id.hex())
                      .set("target", arguments.target)
                      .set("files_restored", result.files)
                      .set("files_unchanged", result.unchanged)
                      .set("files_skipped", result.skipped)
                      .set("files_deleted", result.deleted)
                      .set("files_verified", result.verified)
                      .set("hard_links", result.hard_links)
                      .set("folders", result.folders)
                      .set("bytes_restored", result.bytes)
                      .set("bytes_unchanged", result.bytes_kept)
                      .set("errors", result.problem_count)
                      .set("dry_run", arguments.dry_run)
                      .set("total_duration", std::chrono::duration<double>(took).count()));
    std::string line =
        fmt::format("{} {} files ({}) of snapshot {} to {} in {}",
                    arguments.dry_run ? "would restore" : "restored", format_count(result.files),
                    format_size(result.bytes), snapshot.id.short_hex(), printable(arguments.target),
                    format_duration(took));
    auto also = [&](uint64_t n, const char* what) {
        if (n != 0) line += fmt::format(", {} {}", format_count(n), what);
    };
    also(result.unchanged, "right already");
    also(result.skipped, "left alone");
    also(result.deleted, "extra entries removed");
    also(result.left_out, "left out");
    also(result.verified, "verified");
    terminal.print(line);
    if (result.problem_count > kShown)
        terminal.print(
            fmt::format("… and {} further problems", format_count(result.problem_count - kShown)));
    if (!result.complete())
        terminal.print(
            terminal.styled(Style::red, fmt::format("{} items could not be restored exactly",
                                                    format_count(result.problem_count))));
}

}  // namespace

bool is_same_bucket(const storage::Location& a, const storage::Location& b) {
    return a.host == b.host && a.port == b.port && a.bucket == b.bucket;
}

bool is_bucket(const RestoreArguments& arguments) { return arguments.target.starts_with("s3:"); }

void check_restore_target(Context& context, const RestoreArguments& arguments) {
    if (arguments.target.empty())
        throw Error(ErrorKind::usage, "no target given", "Say where to with --target DIR.");
    parse_overwrite(arguments.overwrite);
    if (is_bucket(arguments)) return check_bucket(context, arguments);
    const std::string target = resolved(arguments.target);
    for (const KeepOut& keep : arguments.keep_out) {
        const std::string path = resolved(keep.path);
        bool around = lies_in(path, target), inside = lies_in(target, path);
        bool danger = inside || (around && (!keep.only_from_deleting || arguments.delete_extra));
        if (danger)
            throw Error(ErrorKind::refused,
                        fmt::format("target {} {} {} ({})", arguments.target,
                                    path == target ? "is"
                                    : around       ? "contains"
                                                   : "lies in",
                                    keep.what, keep.path),
                        "Restore to another folder; nothing was changed.");
    }
    if (is_intended(arguments) || files::target_is_empty_or_absent(arguments.target)) return;
    throw not_empty(arguments.target, "folder");
}

void add_restore_arguments(Command& command, RestoreArguments& arguments) {
    command
        .option("-t,--target", arguments.target, "DIR",
                "folder or bucket (s3:https://host/bucket/prefix) to restore to")
        .option("-i,--include", arguments.select.include, "PATTERN", "restore only what matches")
        .option("--iinclude", arguments.select.insensitive_include, "PATTERN",
                "the same, ignoring case")
        .option("-e,--exclude", arguments.select.exclude, "PATTERN", "leave out what matches")
        .option("--iexclude", arguments.select.insensitive_exclude, "PATTERN",
                "the same, ignoring case")
        .option("--overwrite", arguments.overwrite, "MODE",
                "allow a target that is not empty, and treat files there: always (make right), "
                "if-changed (by size and time), if-newer, never")
        .flag("--delete", arguments.delete_extra, "remove what the snapshot does not have")
        .flag("--no-sparse", arguments.no_sparse, "write runs of zeros instead of leaving holes")
        .flag("--verify", arguments.verify, "read everything again and compare")
        .flag("-n,--dry-run", arguments.dry_run, "change nothing, say what would be done")
        .flag("--device-nodes", arguments.device_nodes, "make device nodes too (root only)")
        .option("--target-credentials", arguments.credentials, "SOURCE",
                "keys of a bucket to restore to, as a place's credentials (default: those of the "
                "source in that bucket, else the environment's)")
        .option("--target-region", arguments.region, "NAME", "its region")
        .option("--target-ca-file", arguments.ca_file, "FILE", "certificates to trust there")
        .option("--grantee", arguments.grantees, "THEN=NOW",
                "an account of the objects' grants, and who it is at another vendor");
}

int run_restore(Context& context, const repository::Repository& repository,
                const repository::Snapshot& snapshot, const std::string& path,
                const RestoreArguments& arguments) {
    RestoreOptions options;
    options.overwrite = parse_overwrite(arguments.overwrite);
    options.target = arguments.target;
    options.tree = repository::find_subtree(repository, snapshot.tree, path);
    options.folder = folder_node(repository, snapshot, path);
    options.select = files::Select(arguments.select);
    options.delete_extra = arguments.delete_extra;
    options.sparse = !arguments.no_sparse;
    options.verify = arguments.verify;
    options.dry_run = arguments.dry_run;
    options.device_nodes = arguments.device_nodes;
    Progress progress;
    options.progress = &progress;
    options.stop = context.stop();
    size_t shown = 0;
    options.on_problem = [&](const files::RestoreProblem& problem) {
        if (shown++ < kShown) log_error("{}: {}", problem.path, problem.error.message());
        context.terminal().json(JsonObject()
                                    .set("message_type", "error")
                                    .set("during", "restore")
                                    .set("item", problem.path)
                                    .set("error", problem.error.message())
                                    .set("hint", problem.error.hint()));
    };
    options.on_delete = [&](const std::string& entry) {
        context.terminal().json(JsonObject()
                                    .set("message_type", "deleted")
                                    .set("item", entry)
                                    .set("dry_run", arguments.dry_run));
        if (arguments.dry_run) context.terminal().print("would remove " + printable(entry));
    };
    options.on_note = [](const std::string& note) { log_info("{}", note); };
    auto start = std::chrono::steady_clock::now();
    RestoreResult result;
    std::optional<files::Parity> parity;
    {
        ProgressDisplay display(context.terminal(), progress, "restore");
        if (is_bucket(arguments)) {
            auto bucket = open_target(context, arguments);
            auto restored = files::restore_to_bucket(
                repository, *bucket, options, {.grantees = parse_grantees(arguments.grantees)});
            result = std::move(restored.restore);
            parity = restored.parity;
        } else {
            result = files::restore(repository, options);
        }
    }
    if (parity && !arguments.dry_run) print_parity(context, *parity);
    print_summary(context, snapshot, arguments, result, std::chrono::steady_clock::now() - start);
    return result.complete() ? 0 : 1;
}

}  // namespace sevenfold::cli
