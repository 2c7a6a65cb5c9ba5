#include "protect/database.h"

#include <fmt/format.h>

#include <thread>

#include "core/log.h"
#include "database/layout.h"
#include "protect/passwords.h"
#include "protect/places.h"
#include "protect/store_stream.h"

namespace sevenfold::protect {
namespace {

using database::SnapshotKind;
using files::PlaceResult;

constexpr int kAttempts = 3;                        // when the schema changes meanwhile
constexpr double kCautiousRate = 10.0 * (1 << 20);  // bytes a second of a logical restore

std::vector<std::string> tags_of(const config::DatabaseConfig& database, const char* kind) {
    std::vector<std::string> tags = database.tags;
    tags.push_back("database=" + database.name);
    tags.emplace_back(kind);
    return tags;
}

DatabaseBackup make_base(database::Driver& driver, const config::DatabaseConfig& database,
                         const std::string& method, const std::vector<JobPlace>& places,
                         const DatabaseBackupOptions& options) {
    DatabaseBackup result;
    result.kind = "base";
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
    std::optional<StoredBase> base;  // the newest; nothing: the place cannot be asked
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

std::vector<StoredBase> read_bases(const repository::Repository& repository,
                                   const DatabaseSnapshots& snapshots,
                                   std::vector<Error>* damaged) {
    return read_manifests<StoredBase>(repository, snapshots.bases, "base.json",
                                      database::decode_base, damaged);
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

MethodChoice choose_method(const config::AppConfig& config, const config::DatabaseConfig& database,
                           uint64_t data_bytes, catalog::Catalog* catalog) {
    MethodChoice choice;
    choice.bytes_per_second = kCautiousRate;
    if (catalog) {
        auto run = catalog->last_run("restore-logical", database.name, "");
        double seconds =
            run ? std::chrono::duration<double>(run->ended.since(run->started)).count() : 0;
        if (run && run->succeeded && run->bytes > 0 && seconds > 0.1) {
            choice.bytes_per_second = static_cast<double>(run->bytes) / seconds;
            choice.measured = true;
        }
    }
    std::chrono::duration<double> predicted(static_cast<double>(data_bytes) /
                                            choice.bytes_per_second);
    choice.predicted = std::chrono::duration_cast<std::chrono::nanoseconds>(predicted);
    choice.method = database.method;
    if (choice.method == "auto") {
        bool local = database.host.empty();  // a physical base is made beside the server
        choice.method =
            local && choice.predicted > config.recovery.rto / 3 ? "physical" : "logical";
    }
    return choice;
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
        if (!problem) return make_point(database, places, state.position, waiting, time, options);
        why = problem->why;
        if (problem->behind) log_warning("no point, but a base: {}", why);
    }
    std::string method = options.method;
    if (method.empty()) method = choose_method(config, database, state.data_bytes, catalog).method;
    DatabaseBackup result = make_base(*driver, database, method, places, options);
    result.why = why;
    return result;
}

}  // namespace sevenfold::protect
