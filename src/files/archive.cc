#include "files/archive.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/check.h"
#include "core/parallel.h"
#include "files/bucket_contents.h"
#include "files/internal/bucket_source.h"
#include "files/internal/walker.h"
#include "os/identity.h"

namespace sevenfold::files {
namespace {

using repository::BlobWriter;
using repository::Snapshot;

constexpr unsigned kMaxWorkers = 8;

// Runs the walk on all workers; returns the exception that ended it, if any.
std::exception_ptr walk(internal::Run& run, std::unique_ptr<internal::SourceFolder> root,
                        unsigned workers) {
    for (unsigned i = 0; i < workers; ++i)
        run.workers.push_back(std::make_unique<internal::WorkerState>(run.writer));
    std::vector<std::unique_ptr<internal::TaskPool::Task>> first;
    first.push_back(internal::walk_task(run, std::move(root)));
    run.pool.push(std::move(first));
    std::exception_ptr failure;
    try {
        ThreadGroup group;
        for (unsigned i = 0; i < workers; ++i)
            group.start([&run, i](std::stop_token) { run.pool.work(i); });
        group.wait();
    } catch (...) {
        failure = std::current_exception();
    }
    run.workers.clear();
    run.journal.flush();
    return failure;
}

// True when the walk ended only because no place was left to store to; their results say why.
bool ended_for_lack_of_places(const internal::Run& run, const std::exception_ptr& failure) {
    if (!failure || !run.no_place_left || run.options.stop.stop_requested()) return false;
    try {
        std::rethrow_exception(failure);
    } catch (const Error& error) {
        return error.kind() == ErrorKind::interrupted;
    } catch (...) {
        return false;
    }
}

void check_targets(const std::vector<std::string>& targets, bool follow) {
    struct stat st {};
    for (const std::string& target : targets)
        if ((follow ? stat : lstat)(target.c_str(), &st) == 0) return;
    throw Error(ErrorKind::not_found,
                fmt::format("nothing to back up: {} does not exist", fmt::join(targets, ", ")),
                "Check the paths; nothing was backed up.");
}

repository::SnapshotSummary summarize(const internal::Run& run, const Time& start) {
    const internal::Counters& c = run.counters;
    repository::SnapshotSummary summary;
    summary.backup_start = start;
    summary.backup_end = Clock::system().now();
    summary.files_new = c.files_new;
    summary.files_changed = c.files_changed;
    summary.files_unmodified = c.files_unmodified;
    summary.dirs_new = c.dirs_new;
    summary.dirs_changed = c.dirs_changed;
    summary.dirs_unmodified = c.dirs_unmodified;
    summary.total_files_processed = c.files;
    summary.total_bytes_processed = c.bytes;
    return summary;
}

Snapshot make_snapshot(const ArchiveOptions& options, const Id& tree, const Time& start) {
    Snapshot snapshot;
    snapshot.time = options.time.value_or(start);
    snapshot.tree = tree;
    for (const std::string& target : options.targets)
        snapshot.paths.push_back(internal::absolute_path(target));
    std::sort(snapshot.paths.begin(), snapshot.paths.end());
    snapshot.hostname = options.hostname.empty() ? os::host_name() : options.hostname;
    snapshot.username = options.username.empty() ? os::user_name() : options.username;
    snapshot.uid = getuid();
    snapshot.gid = getgid();
    if (options.exclude) snapshot.excludes = options.exclude->pattern_texts();
    snapshot.tags = options.tags;
    snapshot.program_version = options.program_version;
    return snapshot;
}

}  // namespace

ArchiveResult archive(const std::vector<ArchivePlace>& places, const ArchiveOptions& options) {
    CHECK(!places.empty());
    for (const ArchivePlace& place : places)
        if (place.repository->config().chunker_polynomial !=
            places[0].repository->config().chunker_polynomial)
            throw Error(
                ErrorKind::usage,
                fmt::format("places {} and {} cut files differently", places[0].name, place.name),
                "One read can only feed places with the same chunker polynomial.");
    Time start = Clock::system().now();
    internal::TargetNode targets;
    if (!options.bucket) {
        check_targets(options.targets, options.follow_targets);
        targets = internal::resolve_targets(options.targets);
    }
    std::vector<repository::WriterPlace> writer_places;
    for (const ArchivePlace& place : places)
        writer_places.push_back({place.name, place.repository, place.lock, place.pack_target});
    repository::WriterOptions writer_options = options.writer;
    writer_options.progress = options.progress;
    writer_options.discard = options.dry_run;
    BlobWriter writer(std::move(writer_places), writer_options);
    internal::Run run(options, writer, places[0].repository->chunker());
    unsigned workers = options.workers != 0 ? options.workers
                       : options.bucket     ? options.bucket->workers  // they wait for the network
                                            : std::clamp(cpu_count(), 2U, kMaxWorkers);

    std::exception_ptr failure =
        walk(run,
             options.bucket ? internal::bucket_source(*options.bucket, options.targets.at(0))
                            : internal::directory_source(targets),
             workers);
    bool stopped = failure && !ended_for_lack_of_places(run, failure);
    ArchiveResult result;
    result.tree = run.root_tree;
    result.summary = summarize(run, start);
    result.unreadable = run.counters.unreadable;
    result.incomplete = run.counters.incomplete;
    result.changed_while_read = run.counters.changed_while_read;
    result.files_read = run.counters.files_read;
    result.places.resize(places.size());
    Snapshot snapshot = make_snapshot(options, run.root_tree.value_or(Id{}), start);
    snapshot.summary = result.summary;
    // Also after an interruption: what was read is stored and listed, so that it need not be read
    // again. Each place gets its snapshot as soon as all is there, whatever the others do.
    writer.finish([&](size_t p) {
        if (stopped) return;
        CHECK(run.root_tree || writer.state(p) == BlobWriter::State::failed);
        Conclusion last{.name = places[p].name,
                        .repository = places[p].repository,
                        .lock = places[p].lock,
                        .writer = &writer,
                        .number = p,
                        .snapshot = snapshot,
                        .dry_run = options.dry_run};
        last.snapshot.parent = places[p].parent;
        result.places[p] = conclude(last);
    });
    if (stopped) std::rethrow_exception(failure);
    bool complete = std::ranges::all_of(result.places, [](const PlaceResult& place) {
        return place.state == PlaceResult::State::saved;
    });
    if (complete && !options.dry_run) run.journal.remove();
    return result;
}

}  // namespace sevenfold::files
