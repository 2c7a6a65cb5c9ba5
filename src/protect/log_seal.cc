#include "protect/log_seal.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "core/parallel.h"
#include "database/layout.h"
#include "protect/store_stream.h"
#include "repository/lock.h"

namespace sevenfold::protect {
namespace {

using database::LogSegment;
using database::SnapshotKind;
using repository::Node;
using repository::Repository;

constexpr auto kChapter = std::chrono::hours(1);
constexpr size_t kRead = 4 << 20;
constexpr size_t kChunk = 1 << 20;  // of new bytes
constexpr const char* kChapterTag = "chapter=";

std::optional<Time> chapter_of(const repository::Snapshot& snapshot) {
    for (const std::string& tag : snapshot.tags)
        if (tag.starts_with(kChapterTag)) return parse_rfc3339(tag.substr(strlen(kChapterTag)));
    return std::nullopt;
}

}  // namespace

void LogSealer::absorb(PlaceState& state, const Repository& repository,
                       const repository::Snapshot& snapshot) {
    state.chapter.clear();
    for (Node& incarnation : repository.load_tree(snapshot.tree)) {
        if (!incarnation.subtree) continue;
        for (Node& file : repository.load_tree(*incarnation.subtree)) {
            Key key{incarnation.name, file.name};
            auto [at, added] = state.files.try_emplace(key, file);
            if (!added && file.size > at->second.size) at->second = file;
            state.chapter[key] = std::move(file);
        }
    }
    state.snapshot = snapshot.id;
    state.chapter_began = chapter_of(snapshot).value_or(Time{});
}

LogSealer::PlaceState LogSealer::load(Repository& repository) const {
    PlaceState state;
    std::vector<Error> damaged;  // what they held is stored again
    for (const repository::Snapshot& snapshot :
         database::find_snapshots(repository, database_, SnapshotKind::log, &damaged))
        absorb(state, repository, snapshot);
    return state;
}

SealResult LogSealer::seal_at(const JobPlace& place, const database::LogArchive& spool,
                              std::stop_token stop) {
    SealResult result{.place = place.name};
    if (place.error) throw *place.error;
    auto known = states_.find(place.name);
    if (known == states_.end()) {
        place.repository->load_index();
        known = states_.emplace(place.name, load(*place.repository)).first;
    }
    PlaceState& state = known->second;
    const auto& segments = spool.segments();
    std::vector<size_t> grown;
    for (size_t i = 0; i < segments.size(); ++i) {
        auto at = state.files.find({segments[i].incarnation, segments[i].name});
        if (at == state.files.end() || at->second.size < segments[i].size) grown.push_back(i);
    }
    if (grown.empty()) return result;

    Time now = Clock::system().now();
    bool replaces = state.snapshot && now.since(state.chapter_began) < kChapter;
    if (!replaces) {
        state.chapter.clear();
        state.chapter_began = now;
    }
    StoreOptions store;
    store.path = database::snapshot_path(database_, SnapshotKind::log);
    store.tags = tags_;
    store.tags.push_back(kChapterTag + to_rfc3339(state.chapter_began));
    store.time = now;
    store.retry_lock = std::chrono::minutes(1);
    store.stop = stop;
    store.keep_index = true;
    auto stored = store_stream({place}, store, [&](repository::TreeWriter& tree) {
        auto chapter = state.chapter;
        for (size_t i : grown) {
            const LogSegment& segment = segments[i];
            repository::StreamFileOptions file{.fixed_chunk = kChunk};
            auto before = state.files.find({segment.incarnation, segment.name});
            if (before != state.files.end()) {
                file.prefix = before->second.content;
                file.prefix_size = before->second.size;
            }
            auto out = tree.create(segment.incarnation + "/" + segment.name, file);
            Bytes buffer(kRead);
            for (uint64_t offset = file.prefix_size; offset < segment.size;) {
                size_t want = std::min<uint64_t>(kRead, segment.size - offset);
                size_t got = spool.read(i, offset, MutableByteView(buffer).first(want));
                if (got == 0) break;
                out->write(ByteView(buffer).first(got));
                offset += got;
                result.bytes += got;
            }
            out->finish();
            chapter.erase({segment.incarnation, segment.name});
        }
        for (const auto& [key, node] : chapter) tree.add(key.first + "/" + key.second, node);
    });
    if (stored[0].error) throw *stored[0].error;
    result.saved = true;
    std::optional<Id> former = state.snapshot;
    absorb(state, *place.repository, stored[0].snapshot);
    if (replaces && former) {
        try {
            place.repository->remove(storage::FileType::snapshot, *former);
        } catch (const Error& error) {  // a place that deletes nothing keeps them
            log_debug("place {}: {}", place.name, error.message());
        }
    }
    return result;
}

std::vector<SealResult> LogSealer::seal(const std::vector<JobPlace>& places, std::stop_token stop) {
    auto spool = database::open_log_folder(spool_);
    std::vector<SealResult> out;
    for (const JobPlace& place : places) {
        try {
            out.push_back(seal_at(place, *spool, stop));
        } catch (...) {
            states_.erase(place.name);  // looked at anew next time
            out.push_back({.place = place.name, .error = current_error()});
        }
    }
    return out;
}

bool LogSealer::sealed_everywhere(const std::vector<JobPlace>& places,
                                  const LogSegment& segment) const {
    return std::ranges::all_of(places, [&](const JobPlace& place) {
        auto state = states_.find(place.name);
        if (state == states_.end()) return false;
        auto file = state->second.files.find({segment.incarnation, segment.name});
        return file != state->second.files.end() && file->second.size >= segment.size;
    });
}

size_t LogSealer::trim_spool(const std::vector<JobPlace>& places,
                             std::chrono::nanoseconds keep) const {
    auto spool = database::open_log_folder(spool_);
    const auto& segments = spool->segments();
    size_t removed = 0;
    for (size_t i = 0; i + 1 < segments.size(); ++i) {
        std::string path =
            fmt::format("{}/{}/{}", spool_, segments[i].incarnation, segments[i].name);
        struct stat info {};
        if (stat(path.c_str(), &info) != 0 || !sealed_everywhere(places, segments[i])) continue;
        if (Clock::system().now().since(Time{info.st_mtime, 0, 0}) < keep) continue;
        if (unlink(path.c_str()) == 0) ++removed;
    }
    return removed;
}

}  // namespace sevenfold::protect
