#include "protect/database_prepare.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>

#include "core/log.h"
#include "core/units.h"
#include "database/layout.h"
#include "protect/base_choice.h"
#include "protect/store_stream.h"

namespace sevenfold::protect {
namespace {

using database::SnapshotKind;

// With room for the redo log and what the server adds.
void require_room(const std::string& folder, uint64_t bytes) {
    struct statvfs info {};
    if (::statvfs(folder.c_str(), &info) != 0) throw errno_error("look at " + folder);
    const uint64_t there = static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
    const uint64_t needed = bytes + bytes / 4 + (256 << 20);
    if (there < needed)
        throw Error(ErrorKind::no_space,
                    fmt::format("preparing the base needs {} in {}, which has {}",
                                format_size(needed), folder, format_size(there)),
                    "Prepare it on another machine that reaches the places: `sevenfold db "
                    "prepare`.");
}

std::vector<std::string> compare(const database::ObjectCounts& base,
                                 const database::ObjectCounts& server) {
    std::vector<std::string> out;
    for (const auto& [kind, count] : server) {
        auto at = base.find(kind);
        uint64_t there = at == base.end() ? 0 : at->second;
        if (there != count)
            out.push_back(
                fmt::format("{} of kind {} in the base, {} on the server", there, kind, count));
    }
    return out;
}

bool has_prepared_twin(const std::vector<JobPlace>& places, const std::string& database,
                       const StoredBase& base) {
    return std::ranges::all_of(places, [&](const JobPlace& place) {
        if (place.error) return false;
        auto bases = read_bases(*place.repository, list_database(*place.repository, database));
        return std::ranges::any_of(bases, [&](const StoredBase& other) {
            return other.manifest.prepared && other.manifest.to_lsn == base.manifest.to_lsn &&
                   other.manifest.data_folder == base.manifest.data_folder;
        });
    });
}

}  // namespace

int PreparedBase::exit_code() const {
    return std::ranges::all_of(places,
                               [](const files::PlaceResult& place) {
                                   return place.state == files::PlaceResult::State::saved;
                               })
               ? 0
               : 1;
}

PreparedBase prepare_base(const config::AppConfig& config, const config::DatabaseConfig& database,
                          const std::vector<JobPlace>& places, const PrepareBaseOptions& options) {
    auto from = std::chrono::steady_clock::now();
    auto step = [&](const std::string& text) {
        if (options.on_step) options.on_step(text);
    };
    auto choice = choose_base(database.name, places, options.place, [&](const StoredBase& base) {
        return base.manifest.method == "physical" &&
               (options.base.empty() || base.snapshot.id.hex().starts_with(options.base));
    });
    if (!choice)
        throw Error(ErrorKind::not_found,
                    fmt::format("no physical base of database {}", database.name),
                    "`sevenfold snapshots` lists the bases there are.");
    PreparedBase result;
    result.from = choice->place;
    result.base = choice->base.snapshot;
    result.manifest = choice->base.manifest;
    if (has_prepared_twin(places, database.name, choice->base)) {
        result.was_ready = true;
        return result;
    }
    WorkFolder work(config, database);
    require_room(work / "", choice->bytes());
    const std::string folder = work / "data";
    auto driver = database::make_driver(database.driver, {.backup_tool = database.backup_tool});
    step("copying the base's files");
    auto increments = copy_base_files(*choice, folder, options.progress, options.stop);
    step("preparing them");
    driver->prepare(folder, increments, options.memory, true);
    for (const std::string& increment : increments) std::filesystem::remove_all(increment);
    step("reading every table");
    {
        auto server =
            driver->start({.data_dir = folder, .memory = options.memory, .run_dir = work / "run"});
        result.manifest.objects = driver->inspect(server->login(), options.stop);
        server->stop();
    }
    try {
        result.differences =
            compare(result.manifest.objects, open_database(database)->count_objects());
    } catch (const Error& error) {
        log_info("the database's own server was not asked what it has: {}", error.message());
    }
    step("storing them");
    StoreOptions store;
    store.path = database::snapshot_path(database.name, SnapshotKind::base);
    store.tags = database.tags;
    for (const char* tag : {"base", "physical", "prepared"}) store.tags.emplace_back(tag);
    store.tags.push_back("database=" + database.name);
    store.time = Clock::system().now();
    store.retry_lock = options.retry_lock;
    store.stop = options.stop;
    store.writer.progress = options.progress;
    result.places = store_stream(places, store, [&](repository::TreeWriter& tree) {
        driver->store_prepared(folder, result.manifest, tree, nullptr);
    });
    std::chrono::duration<double> took = std::chrono::steady_clock::now() - from;
    result.seconds = took.count();
    return result;
}

}  // namespace sevenfold::protect
