#include "protect/store_stream.h"

#include <unistd.h>

#include <memory>

#include "core/check.h"
#include "core/parallel.h"
#include "os/identity.h"
#include "repository/lock.h"

namespace sevenfold::protect {
namespace {

using files::PlaceResult;
using repository::BlobWriter;
using repository::Snapshot;

struct Ready {
    size_t number;  // in the caller's list
    std::unique_ptr<repository::Lock> lock;
    std::optional<Id> parent;
};

Ready prepare(const JobPlace& place, size_t number, const StoreOptions& options) {
    if (place.error) throw *place.error;
    Ready ready{number,
                std::make_unique<repository::Lock>(
                    *place.repository,
                    repository::LockOptions{.retry_for = options.retry_lock, .stop = options.stop}),
                {}};
    std::vector<Error> damaged;  // `status` and `repo check` tell of them
    for (const Snapshot& snapshot : repository::load_snapshots(*place.repository, &damaged))
        if (snapshot.paths == std::vector{options.path}) ready.parent = snapshot.id;
    place.repository->load_index();
    return ready;
}

std::vector<Ready> prepare_all(const std::vector<JobPlace>& places, const StoreOptions& options,
                               std::vector<PlaceResult>& results) {
    std::vector<std::optional<Ready>> prepared(places.size());
    parallel_for(places.size(), static_cast<unsigned>(places.size()), [&](size_t i) {
        results[i].name = places[i].name;
        try {
            prepared[i] = prepare(places[i], i, options);
        } catch (...) {
            results[i].error = current_error();
        }
    });
    std::vector<Ready> ready;
    for (auto& place : prepared)
        if (place) ready.push_back(std::move(*place));
    return ready;
}

Snapshot make_snapshot(const StoreOptions& options, const repository::TreeWriter& tree,
                       const Id& root) {
    Snapshot snapshot;
    snapshot.time = options.time;
    snapshot.tree = root;
    snapshot.paths = {options.path};
    snapshot.hostname = os::host_name();
    snapshot.username = os::user_name();
    snapshot.uid = getuid();
    snapshot.gid = getgid();
    snapshot.tags = options.tags;
    snapshot.program_version = "sevenfold " SEVENFOLD_VERSION;
    repository::SnapshotSummary summary;
    summary.backup_start = options.time;
    summary.backup_end = Clock::system().now();
    summary.files_new = summary.total_files_processed = tree.file_count();
    summary.total_bytes_processed = tree.byte_count();
    snapshot.summary = summary;
    return snapshot;
}

}  // namespace

std::vector<PlaceResult> store_stream(const std::vector<JobPlace>& places,
                                      const StoreOptions& options,
                                      const std::function<void(repository::TreeWriter&)>& fill) {
    CHECK(!places.empty());
    std::vector<PlaceResult> results(places.size());
    std::vector<Ready> ready = prepare_all(places, options, results);
    if (ready.empty()) throw *results[0].error;
    std::vector<repository::WriterPlace> targets;
    for (const Ready& r : ready)
        targets.push_back({places[r.number].name, places[r.number].repository.get(), r.lock.get(),
                           places[r.number].pack_target});
    repository::WriterOptions writer_options = options.writer;
    writer_options.patience = std::chrono::minutes(10);
    BlobWriter writer(std::move(targets), writer_options);
    // All places share the first one's way of cutting: the format allows any boundaries.
    repository::TreeWriter tree(writer, places[ready[0].number].repository->chunker(),
                                {.uid = getuid(), .gid = getgid(), .user = os::user_name()});
    fill(tree);
    const Snapshot snapshot = make_snapshot(options, tree, tree.finish());
    writer.finish([&](size_t p) {
        const Ready& r = ready[p];
        files::Conclusion last{.name = places[r.number].name,
                               .repository = places[r.number].repository.get(),
                               .lock = r.lock.get(),
                               .writer = &writer,
                               .number = p,
                               .snapshot = snapshot};
        last.snapshot.parent = r.parent;
        PlaceResult& result = results[r.number] = files::conclude(last);
        if (result.state != PlaceResult::State::lagging) return;
        result.state = PlaceResult::State::failed;
        result.error = Error(ErrorKind::timeout, "the place could not keep up",
                             "Run it again, or look at its connection.");
    });
    return results;
}

}  // namespace sevenfold::protect
