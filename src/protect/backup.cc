#include "protect/backup.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>

#include "core/check.h"
#include "core/log.h"
#include "core/parallel.h"
#include "crypto/sha256.h"
#include "files/bucket_contents.h"
#include "os/identity.h"
#include "protect/status.h"
#include "repository/repository.h"
#include "repository/walk.h"

namespace sevenfold::protect {
namespace {

using files::ArchivePlace;
using files::ArchiveResult;
using files::PlaceResult;
using repository::Lock;
using repository::Repository;
using repository::Snapshot;

// A place made ready: locked, its snapshots and index loaded.
struct Ready {
    size_t number;  // in the job's list
    std::unique_ptr<Lock> lock;
    std::optional<Snapshot> parent;  // to compare with
    std::optional<Snapshot> newest;  // perhaps of a clock that was wrong
};

std::string host_of(const files::ArchiveOptions& options) {
    return options.hostname.empty() ? os::host_name() : options.hostname;
}

std::vector<std::string> paths_of(const files::ArchiveOptions& options) {
    std::vector<std::string> paths;
    for (const std::string& target : options.targets) {
        auto path = std::filesystem::absolute(target).lexically_normal();
        if (!path.has_filename() && path != path.root_path()) path = path.parent_path();
        paths.push_back(path);
    }
    std::sort(paths.begin(), paths.end());
    return paths;
}

// Snapshots of the same host and paths: the newest to compare with, and the newest of all, whose
// time may be in the future because a clock was wrong.
struct Earlier {
    std::optional<Snapshot> parent, newest;
};

Earlier find_earlier(const Repository& repository, const BackupOptions& options) {
    Earlier out;
    Time now = options.archive.time.value_or(Clock::system().now());
    std::string host = host_of(options.archive);
    std::vector<std::string> paths = paths_of(options.archive);
    std::vector<Error> damaged;
    for (Snapshot& snapshot : repository::load_snapshots(repository, &damaged)) {
        std::vector<std::string> its = snapshot.paths;
        std::sort(its.begin(), its.end());
        if (snapshot.hostname != host || its != paths) continue;
        if (snapshot.time <= now) out.parent = snapshot;
        out.newest = std::move(snapshot);
    }
    for (const Error& error : damaged) log_warning("{}", error.message());
    if (!options.parent.empty())
        out.parent = repository::find_snapshot(repository, options.parent, {}).snapshot;
    return out;
}

Ready prepare(const JobPlace& place, size_t number, const BackupOptions& options) {
    Repository& repository = *place.repository;
    repository::LockOptions lock{.mode = repository::LockMode::shared,
                                 .retry_for = options.retry_lock,
                                 .stop = options.archive.stop};
    Ready ready{number, std::make_unique<Lock>(repository, lock), {}, {}};
    // Snapshots before the index: what they need is then in it.
    Earlier earlier = find_earlier(repository, options);
    ready.parent = std::move(earlier.parent);
    ready.newest = std::move(earlier.newest);
    repository.load_index();
    return ready;
}

// What is not a folder, in `path` and below; at most `enough`.
uint64_t count_files(const std::string& path, uint64_t enough) {
    struct stat st {};
    if (stat(path.c_str(), &st) != 0) return 0;
    if (!S_ISDIR(st.st_mode)) return 1;
    namespace fs = std::filesystem;
    uint64_t n = 0;
    std::error_code failure;
    fs::recursive_directory_iterator it(path, failure);
    if (failure) return enough;  // unreadable is reported as such later
    while (it != fs::recursive_directory_iterator() && n < enough) {
        std::error_code unknown;
        if (it->symlink_status(unknown).type() != fs::file_type::directory) ++n;
        it.increment(failure);
        if (failure) return enough;
    }
    return n;
}

// True when the snapshot holds anything but folders at or below one of its paths.
bool had_files(const Repository& repository, const Snapshot& snapshot) {
    if (snapshot.summary) return snapshot.summary->total_files_processed > 0;
    // restic 0.14 writes no counts: look.
    bool found = false;
    repository::PathVisitor visitor;
    visitor.visit = [&](const std::string&, const repository::Node& node) {
        found = !node.is_dir();
        return found ? repository::Step::stop : repository::Step::into;
    };
    visitor.failed = [](const std::string&, const Error&) {};  // its damage is not our subject
    repository::walk_paths(repository, snapshot.tree, "", visitor);
    return found;
}

// A source that had files and is suddenly gone, empty or not mounted must not become the newest
// good copy.
void guard(const std::vector<Ready>& ready, const std::vector<JobPlace>& places,
           const BackupOptions& options) {
    const std::vector<std::string>& targets = options.archive.targets;
    uint64_t enough = std::max<uint64_t>(1, options.min_files), files = 0;
    bool any_exists = false;
    if (const files::BucketContents* bucket = options.archive.bucket) {
        any_exists = true;
        files = bucket->objects().size();
    } else
        for (const std::string& target : targets) {
            struct stat st {};
            auto look = options.archive.follow_targets ? stat : lstat;
            any_exists |= look(target.c_str(), &st) == 0;
            if (files < enough) files += count_files(target, enough);
        }
    bool too_few = options.guard_against_empty && files < enough;
    if (too_few && std::ranges::any_of(ready, [&](const Ready& r) {
            return r.newest && had_files(*places[r.number].repository, *r.newest);
        })) {
        std::string state = !any_exists ? "does not exist"
                            : files == 0
                                ? "is empty"
                                : fmt::format("has {} of at least {} files", files, enough);
        throw Error(ErrorKind::refused,
                    fmt::format("source {} {} although its last snapshot has files",
                                fmt::join(targets, ", "), state),
                    "Is it mounted? If it is meant to be so, back it up with --allow-empty.");
    }
    if (!any_exists)
        throw Error(ErrorKind::not_found,
                    fmt::format("source {} does not exist", fmt::join(targets, ", ")),
                    "Check the path; nothing was backed up.");
}

// Of the source and of the places it is meant for, whether they can be reached today or not.
std::string journal_path(const std::vector<JobPlace>& places, const BackupOptions& options) {
    if (options.state_dir.empty() || options.archive.dry_run) return {};
    std::string key = host_of(options.archive);
    for (const std::string& path : paths_of(options.archive)) key += '\0' + path;
    for (const JobPlace& place : places) key += '\0' + place.name;
    return options.state_dir + "/resume/" + crypto::sha256(as_bytes(key)).hex().substr(0, 32);
}

// The parent to compare with: the newest; among equals one that lies near.
const Ready* nearest_parent(const std::vector<Ready>& group, const std::vector<JobPlace>& places) {
    const Ready* best = nullptr;
    auto remote = [&](const Ready& r) {
        return places[r.number].repository->backend().capabilities().remote;
    };
    for (const Ready& r : group) {
        if (!r.parent) continue;
        bool newer = !best || r.parent->time > best->parent->time;
        bool nearer = best && r.parent->time == best->parent->time && remote(*best) && !remote(r);
        if (newer || nearer) best = &r;
    }
    return best;
}

ArchiveResult one_pass(const std::vector<Ready>& group, const std::vector<JobPlace>& places,
                       files::ArchiveOptions options) {
    std::vector<ArchivePlace> archive_places;
    for (const Ready& r : group)
        archive_places.push_back(
            {places[r.number].name, places[r.number].repository.get(), r.lock.get(),
             r.parent ? std::optional(r.parent->id) : std::nullopt, places[r.number].pack_target});
    return files::archive(archive_places, options);
}

// The first pass tells of the source; later ones only what else went wrong.
void note_counts(ArchiveResult& all, const ArchiveResult& pass) {
    if (all.places.empty()) {
        all = pass;
        return;
    }
    all.unreadable = std::max(all.unreadable, pass.unreadable);
    all.incomplete = std::max(all.incomplete, pass.incomplete);
    all.changed_while_read = std::max(all.changed_while_read, pass.changed_while_read);
}

// Feeds a group of places that cut files alike: all at once, then those that fell behind each
// alone.
void run_group(std::vector<Ready> group, const std::vector<JobPlace>& places,
               const BackupOptions& options, BackupResult& result) {
    files::ArchiveOptions archive = options.archive;
    if (const Ready* best = nearest_parent(group, places)) {
        archive.compare_repository = places[best->number].repository.get();
        archive.compare_tree = best->parent->tree;
    }
    archive.resume_path = journal_path(places, options);
    ArchiveResult pass = one_pass(group, places, archive);
    std::vector<Ready> lagging;
    for (size_t i = 0; i < group.size(); ++i) {
        size_t number = group[i].number;
        result.places[number] = pass.places[i];
        if (pass.places[i].state == PlaceResult::State::lagging)
            lagging.push_back(std::move(group[i]));
    }
    note_counts(result.archive, pass);
    for (Ready& late : lagging) {
        PlaceResult& place = result.places[late.number];
        log_info("place {}: catching up", place.name);
        std::vector<Ready> alone;
        alone.push_back(std::move(late));
        try {
            ArchiveResult again = one_pass(alone, places, archive);
            place = again.places[0];
            note_counts(result.archive, again);
        } catch (...) {  // what the other places have is theirs
            place.state = PlaceResult::State::failed;
            place.error = current_error();
        }
    }
}

// An error of opening a place names it already.
Error naming_place(const std::string& name, const Error& error) {
    std::string prefix = "place " + name;
    return error.message().starts_with(prefix + ":") ? error : error.with_context(prefix);
}

[[noreturn]] void throw_no_place_works(const std::vector<PlaceResult>& places) {
    CHECK(places[0].error);
    if (places.size() == 1) throw *places[0].error;
    for (size_t i = 1; i < places.size(); ++i)
        log_error("{}", naming_place(places[i].name, *places[i].error).message());
    throw naming_place(places[0].name, *places[0].error).with_context("no place works");
}

}  // namespace

bool BackupResult::saved_everywhere() const {
    return std::all_of(places.begin(), places.end(),
                       [](const PlaceResult& p) { return p.state == PlaceResult::State::saved; });
}

bool BackupResult::saved_somewhere() const {
    return std::any_of(places.begin(), places.end(),
                       [](const PlaceResult& p) { return p.state == PlaceResult::State::saved; });
}

int BackupResult::exit_code() const {
    if (!saved_everywhere()) {
        for (const PlaceResult& place : places)
            if (place.error && place.error->kind() == ErrorKind::interrupted)
                return sevenfold::exit_code(ErrorKind::interrupted);
        // With a single place its own reason decides: locked, no space, ….
        for (const PlaceResult& place : places)
            if (place.error && !saved_somewhere()) return sevenfold::exit_code(place.error->kind());
        return 1;
    }
    return archive.unreadable + archive.incomplete != 0 ? sevenfold::exit_code(ErrorKind::partial)
                                                        : 0;
}

BackupResult back_up(const std::vector<JobPlace>& places, const BackupOptions& options) {
    CHECK(!places.empty());
    BackupResult result;
    result.places.resize(places.size());
    std::vector<std::optional<Ready>> prepared(places.size());
    parallel_for(places.size(), static_cast<unsigned>(places.size()), [&](size_t i) {
        result.places[i].name = places[i].name;
        result.places[i].error = places[i].error;
        if (places[i].error) return;
        try {
            prepared[i] = prepare(places[i], i, options);
        } catch (...) {
            result.places[i].error = current_error();
        }
    });
    std::vector<Ready> ready;
    for (auto& place : prepared)
        if (place) ready.push_back(std::move(*place));
    if (ready.empty()) throw_no_place_works(result.places);
    guard(ready, places, options);
    std::map<repository::Polynomial, std::vector<Ready>> groups;
    for (Ready& place : ready)
        groups[places[place.number].repository->config().chunker_polynomial].push_back(
            std::move(place));
    for (auto& [polynomial, group] : groups) {
        std::vector<size_t> numbers;
        for (const Ready& place : group) numbers.push_back(place.number);
        try {
            run_group(std::move(group), places, options, result);
        } catch (...) {
            if (!result.saved_somewhere()) throw;
            for (size_t number : numbers) result.places[number].error = current_error();
        }
    }
    return result;
}

}  // namespace sevenfold::protect
