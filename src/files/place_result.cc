#include "files/place_result.h"

namespace sevenfold::files {

using repository::BlobWriter;

PlaceResult conclude(const Conclusion& c) {
    PlaceResult result;
    result.name = c.name;
    result.stats = c.writer->stats(c.number);
    result.error = c.writer->failure(c.number);
    if (c.writer->state(c.number) == BlobWriter::State::failed) return result;
    if (c.writer->state(c.number) == BlobWriter::State::lagging) {
        result.state = PlaceResult::State::lagging;
        return result;
    }
    repository::Snapshot snapshot = c.snapshot;
    if (snapshot.summary) {
        snapshot.summary->data_blobs = result.stats.data_blobs;
        snapshot.summary->tree_blobs = result.stats.tree_blobs;
        snapshot.summary->data_added = result.stats.bytes_added;
        snapshot.summary->data_added_packed = result.stats.bytes_packed;
    }
    try {
        if (c.lock) c.lock->check_held();
        if (!c.dry_run) repository::save_snapshot(*c.repository, snapshot);
        result.snapshot = std::move(snapshot);
        result.state = PlaceResult::State::saved;
    } catch (...) {
        result.error = current_error();
    }
    return result;
}

}  // namespace sevenfold::files
