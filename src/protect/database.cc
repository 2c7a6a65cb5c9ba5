#include "protect/database.h"

#include <fmt/format.h>

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
    options.backup_tool = database.backup_tool;
    return database::make_driver(database.driver, std::move(options));
}

std::vector<StoredBase> stored_bases(repository::Repository& repository,
                                     const std::string& database, std::vector<Error>* damaged) {
    auto snapshots = database::find_snapshots(repository, database, SnapshotKind::base, damaged);
    repository.load_index(damaged);
    std::vector<StoredBase> out;
    for (repository::Snapshot& snapshot : snapshots) try {
            Bytes text = database::load_file(repository, snapshot.tree, "base.json");
            out.push_back({std::move(snapshot), database::decode_base(text)});
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::not_found) throw;
            if (damaged) damaged->push_back(error.with_context(snapshot.id.short_hex()));
        }
    return out;
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
    std::string method = options.method;
    if (method.empty()) method = choose_method(config, database, state.data_bytes, catalog).method;
    return make_base(*driver, database, method, places, options);
}

}  // namespace sevenfold::protect
