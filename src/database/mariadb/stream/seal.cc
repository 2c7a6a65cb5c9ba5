#include "database/mariadb/stream/seal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "core/log.h"
#include "core/parallel.h"
#include "database/layout.h"
#include "database/mariadb/stream/spool.h"
#include "os/file.h"
#include "repository/lock.h"
#include "repository/tree_writer.h"

namespace sevenfold::database::mariadb {
namespace {

using repository::BlobType;
using repository::Node;
using repository::Repository;
using repository::Snapshot;

constexpr size_t kBlob = 1 << 20;
constexpr std::string_view kTag = "chapter-";
// A place to which nothing new comes is still asked this often whether it has what it had.
constexpr auto kLookAgain = std::chrono::minutes(10);

std::optional<int64_t> chapter_begin(const Snapshot& snapshot) {
    for (const std::string& tag : snapshot.tags) {
        if (!tag.starts_with(kTag)) continue;
        int64_t seconds = 0;
        const char *from = tag.data() + kTag.size(), *to = tag.data() + tag.size();
        if (auto [end, bad] = std::from_chars(from, to, seconds); bad == std::errc{} && end == to)
            return seconds;
    }
    return std::nullopt;
}

// Nothing: it was trimmed since it was listed, so every place has it.
std::optional<uint64_t> size_of(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0) return static_cast<uint64_t>(info.st_size);
    if (errno == ENOENT) return std::nullopt;
    throw errno_error("stat " + path);
}

// Appends [node.size, size) of a log file to its node.
uint64_t extend(repository::BlobWriter& writer, Node& node, const std::string& path,
                uint64_t size) {
    repository::BlobWriter::Worker worker(writer);
    os::UniqueFd fd = os::open_file(path, O_RDONLY);
    Bytes buffer;
    uint64_t before = node.size;
    while (node.size < size) {
        buffer.resize(std::min<uint64_t>(kBlob, size - node.size));
        if (os::pread_all(fd.get(), buffer, node.size, path) != buffer.size())
            throw Error(ErrorKind::io, path + " became shorter");
        node.content.push_back(worker.add(BlobType::data, buffer));
        node.size += buffer.size();
    }
    return node.size - before;
}

Node new_node(const std::string& file, const Time& time) {
    Node node;
    node.name = file;
    node.mode = repository::go_mode(S_IFREG | 0600);
    node.mtime = node.atime = node.ctime = time;
    node.uid = getuid();
    node.gid = getgid();
    node.links = 1;
    return node;
}

}  // namespace

Sealer::Sealer(SealOptions options) : options_(std::move(options)) {
    for (const std::string& place : options_.places) known_[place];
}

// What the spool has up to there, as the server wrote it.
std::vector<Sealer::Wanted> Sealer::wanted(const LogPosition& until) const {
    std::vector<Wanted> files;
    for (const std::string& incarnation : spool_incarnations(options_.spool))
        for (const std::string& file : spool_files(options_.spool, incarnation)) {
            LogPosition start{incarnation, file, 0};
            if (until < start) continue;
            bool last = incarnation == until.incarnation && file == until.file;
            auto size = size_of(fmt::format("{}/{}/{}", options_.spool, incarnation, file));
            if (!size) continue;
            files.push_back({{incarnation, file}, last ? std::min(*size, until.offset) : *size});
        }
    return files;
}

std::vector<SealedPlace> Sealer::seal(const std::vector<SealPlace>& places,
                                      const LogPosition& until) {
    std::vector<Wanted> files = wanted(until);
    std::vector<SealedPlace> results(places.size());
    parallel_for(places.size(), static_cast<unsigned>(places.size()), [&](size_t i) {
        std::optional<Known> known;
        {
            std::lock_guard lock(mutex_);
            known = known_[places[i].name];
        }
        try {
            if (places[i].repository == nullptr)
                throw Error(ErrorKind::network, "the place could not be opened");
            results[i] = seal_at(places[i], files, known);
        } catch (...) {
            results[i].error = current_error().with_context("place " + places[i].name);
            // What was learned may be wrong now.
            known.reset();
        }
        results[i].name = places[i].name;
        std::lock_guard lock(mutex_);
        known_[places[i].name] = std::move(known);
    });
    return results;
}

Sealer::Known Sealer::learn(const Repository& repository) const {
    Known known;
    std::vector<Error> damaged;  // what they held is sealed again, as long as the spool has it
    for (const Snapshot& snapshot :
         find_snapshots(repository, options_.database, SnapshotKind::log, &damaged)) {
        auto begun = chapter_begin(snapshot);
        Chapter chapter{.tag = fmt::format("{}{}", kTag, begun.value_or(0)),
                        .begun = {.seconds = begun.value_or(0)}};
        for (const Node& incarnation : repository.load_tree(snapshot.tree)) {
            if (!incarnation.subtree) continue;
            for (Node& file : repository.load_tree(*incarnation.subtree)) {
                Key key(incarnation.name, file.name);
                known.sizes[key] = std::max(known.sizes[key], file.size);
                chapter.files[key] = std::move(file);
            }
        }
        if (!begun) continue;
        if (known.chapter && known.chapter->tag == chapter.tag)
            chapter.snapshots = known.chapter->snapshots;
        chapter.snapshots.push_back(snapshot.id);
        known.chapter = std::move(chapter);
    }
    return known;
}

// A file whose blobs are not all there any more is stored again.
void Sealer::forget_missing(const Repository& repository, Known& known) const {
    if (!known.chapter) return;
    std::erase_if(known.chapter->files, [&](const auto& entry) {
        bool whole = std::ranges::all_of(entry.second.content, [&](const Id& id) {
            return repository.index().find({BlobType::data, id}).has_value();
        });
        if (!whole) {
            log_error("{}: blobs of {} are missing; it is stored again", repository.location(),
                      entry.second.name);
            known.sizes.erase(entry.first);
        }
        return !whole;
    });
}

// The chapter that a seal belongs to: the open one, or a new one.
Sealer::Chapter Sealer::chapter_for(const Known& known, const std::vector<Wanted>& files) const {
    Time now = options_.clock->now();
    if (known.chapter) {
        auto age = now.since(known.chapter->begun);
        // The newest file is not the chapter's: what that has is complete.
        bool boundary = !files.empty() && !known.chapter->files.contains(files.back().key);
        bool ended = age > options_.chapter_limit || (age > options_.chapter_age && boundary);
        if (!ended && age >= std::chrono::seconds(0)) return *known.chapter;
    }
    // Two chapters never share a name, whatever the clock does.
    int64_t seconds = now.seconds;
    if (known.chapter) seconds = std::max(seconds, known.chapter->begun.seconds + 1);
    return {.tag = fmt::format("{}{}", kTag, seconds), .begun = {.seconds = seconds}};
}

SealedPlace Sealer::seal_at(const SealPlace& place, const std::vector<Wanted>& files,
                            std::optional<Known>& slot) const {
    Repository& repository = *place.repository;
    SealedPlace result;
    auto has = [&](const Wanted& w) {
        auto at = slot->sizes.find(w.key);
        return at != slot->sizes.end() && at->second >= w.size;
    };
    auto nothing_new = [&] { return std::ranges::all_of(files, has); };
    const auto started = std::chrono::steady_clock::now();
    if (slot && nothing_new() && started - slot->looked < kLookAgain) return result;
    repository::Lock lock(repository, {.retry_for = std::chrono::seconds(10)});
    // Each time: blobs that nothing named may have been pruned.
    repository.load_index();
    if (!slot) slot = learn(repository);
    forget_missing(repository, *slot);
    slot->looked = started;
    if (nothing_new()) return result;

    Known known = *slot;
    const Time now = options_.clock->now();
    Chapter chapter = chapter_for(known, files);
    repository::BlobWriter writer({{.name = place.name, .repository = &repository, .lock = &lock}},
                                  {});
    for (const Wanted& w : files) {
        if (has(w)) continue;
        // A file that an older chapter has in part goes on from there: its blobs are reused.
        auto at = chapter.files.find(w.key);
        if (at == chapter.files.end()) {
            Node node = new_node(w.key.second, now);
            if (known.chapter && known.chapter->files.contains(w.key))
                node = known.chapter->files.at(w.key);
            at = chapter.files.emplace(w.key, std::move(node)).first;
        }
        at->second.mtime = now;
        std::string path = fmt::format("{}/{}/{}", options_.spool, w.key.first, w.key.second);
        result.bytes += extend(writer, at->second, path, w.size);
        known.sizes[w.key] = at->second.size;
    }
    repository::TreeWriter tree(writer, repository.chunker(),
                                {.time = chapter.begun, .uid = getuid(), .gid = getgid()});
    for (const auto& [key, node] : chapter.files) tree.add(key.first + "/" + key.second, node);
    Snapshot snapshot = describe(chapter, tree, result.bytes);
    snapshot.tree = tree.finish();
    writer.finish();
    if (auto failure = writer.failure(0)) throw *failure;
    if (writer.state(0) != repository::BlobWriter::State::active)
        throw Error(ErrorKind::timeout, "the place could not keep up");
    lock.check_held();
    save_snapshot(repository, snapshot);
    result.snapshot = snapshot.id;
    supersede(repository, chapter, result);
    known.chapter = std::move(chapter);
    slot = std::move(known);
    return result;
}

Snapshot Sealer::describe(const Chapter& chapter, const repository::TreeWriter& tree,
                          uint64_t added) const {
    Snapshot snapshot;
    snapshot.time = options_.clock->now();
    snapshot.paths = {snapshot_path(options_.database, SnapshotKind::log)};
    snapshot.hostname = options_.host;
    snapshot.username = options_.user;
    snapshot.uid = getuid();
    snapshot.gid = getgid();
    snapshot.tags = {chapter.tag};
    snapshot.program_version = "sevenfold " SEVENFOLD_VERSION;
    snapshot.summary = repository::SnapshotSummary{.backup_start = snapshot.time,
                                                   .backup_end = snapshot.time,
                                                   .data_added = added,
                                                   .total_files_processed = tree.file_count(),
                                                   .total_bytes_processed = tree.byte_count()};
    return snapshot;
}

// What the newest snapshot of a chapter contains is not needed twice.
void Sealer::supersede(const Repository& repository, Chapter& chapter, SealedPlace& result) const {
    std::vector<Id> left;
    for (const Id& old : chapter.snapshots) {
        try {
            repository.remove(storage::FileType::snapshot, old);
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::not_found) continue;
            result.not_removed = error;
            left.push_back(old);
        }
    }
    left.push_back(*result.snapshot);
    chapter.snapshots = std::move(left);
}

bool Sealer::stored_everywhere(const std::string& incarnation, const std::string& file,
                               uint64_t size) const {
    std::lock_guard lock(mutex_);
    if (known_.empty()) return false;
    return std::ranges::all_of(known_, [&](const auto& entry) {
        if (!entry.second) return false;
        auto at = entry.second->sizes.find({incarnation, file});
        return at != entry.second->sizes.end() && at->second >= size;
    });
}

size_t Sealer::trim(std::chrono::seconds keep) {
    std::vector<LogPosition> files;
    for (const std::string& incarnation : spool_incarnations(options_.spool))
        for (const std::string& file : spool_files(options_.spool, incarnation))
            files.push_back({incarnation, file, 0});
    size_t removed = 0;
    // The receiver goes on from the newest, and may need the one before it.
    for (size_t i = 0; i + 2 < files.size(); ++i) {
        std::string path =
            fmt::format("{}/{}/{}", options_.spool, files[i].incarnation, files[i].file);
        struct stat info {};
        if (::stat(path.c_str(), &info) != 0) throw errno_error("stat " + path);
        auto age = options_.clock->now().since({.seconds = info.st_mtime});
        if (age < keep) continue;
        if (!stored_everywhere(files[i].incarnation, files[i].file,
                               static_cast<uint64_t>(info.st_size)))
            continue;
        if (::unlink(path.c_str()) != 0) throw errno_error("remove " + path);
        ++removed;
    }
    return removed;
}

}  // namespace sevenfold::database::mariadb
