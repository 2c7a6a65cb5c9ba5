#include "protect/database.h"

#include <fmt/format.h>

#include <map>
#include <thread>

#include "core/log.h"
#include "core/units.h"
#include "database/layout.h"
#include "protect/passwords.h"
#include "protect/places.h"
#include "protect/restore_rate.h"
#include "protect/store_stream.h"

namespace sevenfold::protect {
namespace {

using database::SnapshotKind;
using files::PlaceResult;

constexpr auto kWholeBaseLasts = std::chrono::hours(24 * 7);
constexpr int kAttempts = 3;  // when the schema changes meanwhile

std::vector<std::string> tags_of(const config::DatabaseConfig& database, const char* kind) {
    std::vector<std::string> tags = database.tags;
    tags.push_back("database=" + database.name);
    tags.emplace_back(kind);
    return tags;
}

// Whole physical bases that every place has, and on which another base may build: not too old, and
// still mostly what the server has.
std::vector<database::BaseManifest> worthy_bases(const config::DatabaseConfig& database,
                                                 const std::vector<JobPlace>& places) {
    std::map<uint64_t, database::BaseManifest> at_all;  // by where they end
    bool first = true;
    const Time now = Clock::system().now();
    for (const JobPlace& place : places) {
        if (place.error) continue;  // it fails in any case
        std::map<uint64_t, database::BaseManifest> here;
        std::map<uint64_t, uint64_t> sizes;
        auto bases = read_bases(*place.repository, list_database(*place.repository, database.name));
        for (const StoredBase& base : bases) {
            const database::BaseManifest& manifest = base.manifest;
            if (manifest.method != "physical" || manifest.prepared) continue;
            if (manifest.from_lsn == 0) {
                sizes[manifest.to_lsn] = base.bytes();
                if (now.since(manifest.consistent_at) < kWholeBaseLasts)
                    here[manifest.to_lsn] = manifest;
            } else if (base.bytes() > sizes[manifest.from_lsn] / 2) {
                here.erase(manifest.from_lsn);
            }
        }
        if (first)
            at_all = std::move(here);
        else
            std::erase_if(at_all, [&](const auto& base) { return !here.contains(base.first); });
        first = false;
    }
    std::vector<database::BaseManifest> out;
    for (auto& [lsn, base] : at_all) out.push_back(std::move(base));
    return out;
}

DatabaseBackup make_base(database::Driver& driver, const config::DatabaseConfig& database,
                         const std::string& method, const std::vector<JobPlace>& places,
                         const DatabaseBackupOptions& options) {
    DatabaseBackup result;
    result.kind = "base";
    std::vector<database::BaseManifest> since;
    if (method == "physical" && database.incremental) since = worthy_bases(database, places);
    for (int attempt = 1;; ++attempt) {
        StoreOptions store;
        store.path = database::snapshot_path(database.name, SnapshotKind::base);
        store.tags = tags_of(database, "base");
        store.tags.push_back(method);
        store.time = Clock::system().now();
        store.retry_lock = options.retry_lock;
        store.stop = options.stop;
        store.writer.progress = options.progress;
        database::BaseRequest request{.method = method,
                                      .databases = database.databases,
                                      .exclude = database.exclude,
                                      .format = database.format,
                                      .users = database.users,
                                      .threads = static_cast<unsigned>(database.threads),
                                      .since = since,
                                      .progress = options.progress,
                                      .stop = options.stop};
        try {
            result.places = store_stream(places, store, [&](repository::TreeWriter& tree) {
                result.outcome = driver.make_base(request, tree);
            });
            result.position = result.outcome.base.position;
            return result;
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::timeout || attempt == kAttempts) throw;
            log_warning("{}; trying again", error.message());
        }
    }
}

// Snapshots with their manifests.
template <class Stored, class Decode>
std::vector<Stored> read_manifests(const repository::Repository& repository,
                                   const std::vector<repository::Snapshot>& snapshots,
                                   const char* file, Decode decode, std::vector<Error>* damaged) {
    std::vector<Stored> out;
    for (const repository::Snapshot& snapshot : snapshots) try {
            out.push_back({snapshot, decode(database::load_file(repository, snapshot.tree, file))});
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::not_found) throw;
            if (damaged) damaged->push_back(error.with_context(snapshot.id.short_hex()));
        }
    return out;
}

// Why a point does not do and a base is needed.
struct NoPoint {
    std::string why;
    bool behind = false;  // the stream: it was waited for in vain
};

// What is asked of one place while the stream is waited for.
struct Waiting {
    std::optional<StoredBase> base;    // the newest; nothing: the place cannot be asked
    std::optional<StoredPoint> point;  // the newest that follows it
    std::vector<repository::Snapshot> logs;
};

// For one place. A place that cannot be asked is reported as such when the point is stored.
std::optional<NoPoint> find_base(const config::DatabaseConfig& database, const JobPlace& place,
                                 const Time& now, Waiting& out) {
    if (place.error) return std::nullopt;
    DatabaseSnapshots snapshots = list_database(*place.repository, database.name);
    auto bases = read_bases(*place.repository, snapshots);
    if (bases.empty()) return NoPoint{"there is no base yet"};
    out.base = std::move(bases.back());
    if (!snapshots.points.empty()) {
        snapshots.points.erase(snapshots.points.begin(), snapshots.points.end() - 1);
        auto points = read_points(*place.repository, snapshots);
        if (!points.empty() && points[0].manifest.base == out.base->snapshot.id.hex())
            out.point = std::move(points[0]);
    }
    out.logs = std::move(snapshots.logs);
    if (now.since(out.base->manifest.consistent_at) >= database.base)
        return NoPoint{"the last base is older than base allows"};
    return std::nullopt;
}

NoPoint named(const JobPlace& place, NoPoint problem) {
    problem.why = "place " + place.name + ": " + problem.why;
    return problem;
}

// Finds each place's base. The stream seals on its own; it is waited for.
std::optional<NoPoint> wait_for_stream(const database::Driver& driver,
                                       const config::DatabaseConfig& database,
                                       const std::vector<JobPlace>& places,
                                       const database::Position& position,
                                       std::vector<Waiting>& waiting, std::stop_token stop) {
    waiting.resize(places.size());
    Time now = Clock::system().now();
    for (size_t i = 0; i < places.size(); ++i)
        if (auto problem = find_base(database, places[i], now, waiting[i]))
            return named(places[i], *problem);
    auto deadline = std::chrono::steady_clock::now() + database.seal + std::chrono::seconds(30);
    for (size_t i = 0; i < places.size(); ++i) {
        if (!waiting[i].base) continue;
        for (;;) {
            auto logs = database::open_log_snapshots(*places[i].repository, waiting[i].logs);
            auto gap = driver.missing_between(*logs, waiting[i].base->manifest.position, position);
            if (!gap) break;
            if (std::chrono::steady_clock::now() >= deadline)
                return named(places[i], NoPoint{*gap, true});
            if (stop.stop_requested()) throw Error(ErrorKind::interrupted, "interrupted");
            std::this_thread::sleep_for(std::chrono::milliseconds(500));
            waiting[i].logs = list_database(*places[i].repository, database.name).logs;
        }
    }
    return std::nullopt;
}

// Why the log after the newest base is better not relied upon for long. The places have the same
// log; the first that can be asked, and the spool of this machine, tell.
std::optional<std::string> reason_for_base(
    const database::Driver& driver, const config::AppConfig& config,
    const config::DatabaseConfig& database, const std::vector<JobPlace>& places,
    const std::vector<Waiting>& waiting, const database::Position& now, catalog::Catalog* catalog) {
    auto at = std::ranges::find_if(waiting, [](const Waiting& w) { return w.base.has_value(); });
    if (at == waiting.end()) return std::nullopt;
    const database::BaseManifest& base = at->base->manifest;
    const JobPlace& place = places[static_cast<size_t>(at - waiting.begin())];
    std::vector<std::unique_ptr<database::LogArchive>> archives;
    archives.push_back(database::open_log_folder(spool_folder(config, database)));
    archives.push_back(database::open_log_snapshots(*place.repository, at->logs));
    auto logs = database::join_log_archives(std::move(archives));
    // Up to the last point it was looked at when that was made.
    const database::Position& seen = at->point ? at->point->manifest.position : base.position;
    if (auto risk = driver.replay_risk(*logs, seen, now)) return risk;
    auto predicted = predict_restore(catalog, database.name, base.method, at->base->bytes(),
                                     driver.log_bytes(*logs, base.position, now));
    // A base that alone takes too long is not made better by another one.
    if (predicted.total() <= config.recovery.rto || predicted.replay < config.recovery.rto / 10)
        return std::nullopt;
    return fmt::format("a restore would take {}, and rto is {}", format_duration(predicted.total()),
                       format_duration(config.recovery.rto));
}

DatabaseBackup make_point(const config::DatabaseConfig& database,
                          const std::vector<JobPlace>& places, const database::Position& position,
                          const std::vector<Waiting>& waiting, const Time& time,
                          const DatabaseBackupOptions& options) {
    DatabaseBackup result;
    result.kind = "point";
    result.position = position;
    for (size_t i = 0; i < places.size(); ++i) {  // each names its own base
        StoreOptions store;
        store.path = database::snapshot_path(database.name, SnapshotKind::point);
        store.tags = tags_of(database, "point");
        store.time = time;
        store.retry_lock = options.retry_lock;
        store.stop = options.stop;
        try {
            auto stored_at = store_stream({places[i]}, store, [&](repository::TreeWriter& tree) {
                std::string base = waiting[i].base ? waiting[i].base->snapshot.id.hex() : "";
                tree.add("point.json", as_bytes(database::encode_point({time, position, base, ""})),
                         {});
            });
            result.places.push_back(stored_at[0]);
        } catch (...) {
            result.places.push_back({.name = places[i].name, .error = current_error()});
        }
    }
    return result;
}

}  // namespace

database::ServerLogin login_of(const config::DatabaseConfig& database,
                               const config::AccountConfig& account) {
    const config::AccountConfig& used = account.user.empty() ? database.account : account;
    database::ServerLogin login;
    login.host = database.host;
    login.port = static_cast<uint16_t>(database.port);
    login.socket = database.socket;
    login.tls = database.tls;
    login.tls_ca = database.tls_ca;
    login.user = used.user;
    if (!used.password_file.empty() || !used.password_command.empty())
        login.password = read_password(
            PasswordSource{used.password_file, used.password_command, "database " + database.name});
    return login;
}

std::unique_ptr<database::Driver> open_database(const config::DatabaseConfig& database) {
    database::DriverOptions options;
    options.login = login_of(database, database.account);
    options.physical_login = login_of(database, database.physical_account);
    options.stream_login = login_of(database, database.stream_account);
    options.backup_tool = database.backup_tool;
    return database::make_driver(database.driver, std::move(options));
}

DatabaseSnapshots list_database(repository::Repository& repository, const std::string& database,
                                std::vector<Error>* damaged) {
    DatabaseSnapshots out;
    const std::string base = database::snapshot_path(database, SnapshotKind::base),
                      point = database::snapshot_path(database, SnapshotKind::point),
                      log = database::snapshot_path(database, SnapshotKind::log);
    for (repository::Snapshot& snapshot : repository::load_snapshots(repository, damaged)) {
        if (snapshot.paths.size() != 1) continue;
        const std::string& path = snapshot.paths[0];
        if (path == base)
            out.bases.push_back(std::move(snapshot));
        else if (path == point)
            out.points.push_back(std::move(snapshot));
        else if (path == log)
            out.logs.push_back(std::move(snapshot));
    }
    repository.load_index(damaged);
    return out;
}

uint64_t StoredBase::bytes() const {
    return snapshot.summary ? snapshot.summary->total_bytes_processed : 0;
}

const StoredBase* find_whole(const std::vector<StoredBase>& bases, const StoredBase& base) {
    if (base.manifest.from_lsn == 0) return nullptr;
    for (const StoredBase& other : bases) {
        const database::BaseManifest &a = other.manifest, &b = base.manifest;
        if (a.method == b.method && a.from_lsn == 0 && !a.prepared && a.to_lsn == b.from_lsn &&
            a.data_folder == b.data_folder)
            return &other;
    }
    return nullptr;
}

std::vector<StoredBase> read_bases(const repository::Repository& repository,
                                   const DatabaseSnapshots& snapshots,
                                   std::vector<Error>* damaged) {
    auto all = read_manifests<StoredBase>(repository, snapshots.bases, "base.json",
                                          database::decode_base, damaged);
    std::vector<StoredBase> out;
    for (const StoredBase& base : all) {
        if (base.manifest.from_lsn == 0 || find_whole(all, base)) {
            out.push_back(base);
        } else if (damaged) {
            damaged->push_back(Error(ErrorKind::not_found,
                                     fmt::format("base {} has only what changed, and the whole one "
                                                 "is missing",
                                                 base.snapshot.id.short_hex())));
        }
    }
    return out;
}

std::vector<StoredPoint> read_points(const repository::Repository& repository,
                                     const DatabaseSnapshots& snapshots,
                                     std::vector<Error>* damaged) {
    return read_manifests<StoredPoint>(repository, snapshots.points, "point.json",
                                       database::decode_point, damaged);
}

std::string spool_folder(const config::AppConfig& config, const config::DatabaseConfig& database) {
    return config.app.state_dir + "/stream/" + database.name;
}

std::string choose_method(const config::AppConfig& config, const config::DatabaseConfig& database,
                          uint64_t data_bytes, catalog::Catalog* catalog) {
    if (database.method != "auto") return database.method;
    bool local = database.host.empty();  // a physical base is made beside the server
    auto predicted = predict_restore(catalog, database.name, "logical", data_bytes, 0).total();
    return local && predicted > config.recovery.rto / 3 ? "physical" : "logical";
}

bool DatabaseBackup::saved_everywhere() const {
    return std::ranges::all_of(
        places, [](const PlaceResult& p) { return p.state == PlaceResult::State::saved; });
}

int DatabaseBackup::exit_code() const { return saved_everywhere() ? 0 : 1; }

DatabaseBackup back_up_database(const config::AppConfig& config,
                                const config::DatabaseConfig& database,
                                const std::vector<JobPlace>& places, catalog::Catalog* catalog,
                                const DatabaseBackupOptions& options) {
    auto driver = open_database(database);
    database::ServerState state = driver->look();
    if (state.privileged && !options.allow_privileged)
        throw Error(
            ErrorKind::refused,
            fmt::format("database {}: this account may change data or grant rights", database.name),
            "A stolen backup account must not be able to destroy anything: `sevenfold db "
            "grants` prints a narrow one. Or use --allow-privileged.");
    std::string why;
    if (database.stream && !options.force_base) {
        std::vector<Waiting> waiting;
        Time time = Clock::system().now();
        auto problem =
            wait_for_stream(*driver, database, places, state.position, waiting, options.stop);
        if (!problem) {
            auto reason = reason_for_base(*driver, config, database, places, waiting,
                                          state.position, catalog);
            if (!reason)
                return make_point(database, places, state.position, waiting, time, options);
            why = *reason;
        } else {
            why = problem->why;
            if (problem->behind) log_warning("no point, but a base: {}", why);
        }
    }
    std::string method = options.method;
    if (method.empty()) method = choose_method(config, database, state.data_bytes, catalog);
    DatabaseBackup result = make_base(*driver, database, method, places, options);
    result.why = why;
    return result;
}

}  // namespace sevenfold::protect
