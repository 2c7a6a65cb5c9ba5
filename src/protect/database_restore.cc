#include "protect/database_restore.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "core/log.h"
#include "crypto/random.h"
#include "database/layout.h"
#include "files/restore.h"
#include "os/file.h"
#include "protect/base_choice.h"
#include "protect/restore_rate.h"
#include "protect/second_spool.h"
#include "protect/store_stream.h"
#include "storage/open.h"

namespace sevenfold::protect {
namespace {

using Kind = database::ReplayRequest::Until::Kind;
using database::BaseManifest;
using database::Driver;
using database::ServerLogin;
using repository::Repository;

bool is_before(Driver& driver, const StoredBase& base,
               const database::ReplayRequest::Until& until) {
    switch (until.kind) {
        case Kind::end:
            return true;
        case Kind::time:
            return base.manifest.consistent_at <= until.time;
        case Kind::after:
        case Kind::before:
            return !driver.reaches(base.manifest.position.gtid, until.transaction);
    }
    return false;
}

// A base already holds the transactions that are to be left out.
bool holds_edited(Driver& driver, const StoredBase& base, const DatabaseRestoreOptions& options) {
    for (const std::string& gtid : options.skip)
        if (driver.reaches(base.manifest.position.gtid, gtid)) return true;
    for (const auto& [gtid, statements] : options.replace)
        if (driver.reaches(base.manifest.position.gtid, gtid)) return true;
    return false;
}

BaseChoice choose(Driver& driver, const config::DatabaseConfig& database,
                  const std::vector<JobPlace>& places, const DatabaseRestoreOptions& options) {
    auto choice = choose_base(database.name, places, options.place, [&](const StoredBase& base) {
        bool named = options.base.empty() || base.snapshot.id.hex().starts_with(options.base);
        return named && is_before(driver, base, options.until) &&
               !holds_edited(driver, base, options);
    });
    if (choice) return std::move(*choice);
    throw Error(ErrorKind::not_found,
                fmt::format("no base of database {} from before that moment", database.name),
                "`sevenfold snapshots` lists the bases there are.");
}

void check_empty_folder(const std::string& path) {
    if (!files::target_is_empty_or_absent(path))
        throw Error(ErrorKind::refused, fmt::format("{} is not empty", path),
                    "Name a new folder: a running server's must never be written into.");
}

class Restorer {
  public:
    Restorer(const config::AppConfig& config, const config::DatabaseConfig& database,
             const std::vector<JobPlace>& places, const DatabaseRestoreOptions& options)
        : config_(config),
          database_(database),
          places_(places),
          options_(options),
          driver_(database::make_driver(database.driver, {.backup_tool = database.backup_tool})),
          choice_(choose(*driver_, database, places, options)) {}

    DatabaseRestore run() {
        auto from = std::chrono::steady_clock::now();
        const BaseManifest& base = choice_.base.manifest;
        result_.place = choice_.place;
        result_.base = choice_.base.snapshot;
        result_.manifest = base;
        result_.method = base.method;
        result_.reached = base.position.gtid;
        logs_ = open_logs();
        check_goal();
        if (options_.server)
            into_server(*options_.server);
        else if (options_.beside)
            beside(*options_.beside);
        else
            into_folder(options_.data_dir, options_.leave_running);
        std::chrono::duration<double> took = std::chrono::steady_clock::now() - from;
        result_.seconds = took.count();
        return std::move(result_);
    }

  private:
    void step(const std::string& text) {
        if (options_.on_step) options_.on_step(text);
    }

    // The chosen place's, joined with what the spool of this machine and the second one have.
    std::unique_ptr<database::LogArchive> open_logs() const {
        std::vector<std::unique_ptr<database::LogArchive>> archives;
        // The spool first: of equal copies the first is read, and it is near.
        archives.push_back(database::open_log_folder(spool_folder(config_, database_)));
        archives.push_back(database::open_log_snapshots(*choice_.repository, choice_.logs));
        return join_with_second_spool(config_, database_, places_, std::move(archives));
    }

    bool replays() const {
        return !options_.base_only && !choice_.base.manifest.position.gtid.empty() &&
               !logs_->segments().empty();
    }

    // Without binlog only bases can be had.
    void check_goal() {
        bool edits = !options_.skip.empty() || !options_.replace.empty();
        driver_->check_edits({.drop = options_.skip, .replace = options_.replace});
        if (replays()) return;
        if (options_.until.kind == Kind::after || options_.until.kind == Kind::before || edits)
            throw Error(
                ErrorKind::not_found,
                fmt::format("place {} has no binlog of database {}", choice_.place, database_.name),
                "Single transactions need the stream: `sevenfold stream`.");
    }

    void into_server(const ServerLogin& target) {
        if (result_.method != "logical")
            throw Error(ErrorKind::unsupported,
                        "a physical base cannot be loaded into a running server",
                        "Restore it to a folder with --data-dir and start a server on it.");
        if (!options_.tables.empty() && replays()) return beside(target);
        load(target, {}, options_.tables);
        replay(target);
    }

    std::unique_ptr<database::Instance> into_folder(const std::string& folder, bool leave) {
        check_empty_folder(folder);
        const bool ours = folder.starts_with(config_.app.state_dir + "/");
        const Time started = Clock::system().now();
        if (result_.method == "physical") {
            step("copying the base's files");
            auto increments = copy_base_files(choice_, folder, options_.progress, options_.stop);
            step("preparing them");
            driver_->prepare(folder, increments, options_.memory, ours);
            for (const std::string& increment : increments) std::filesystem::remove_all(increment);
            if (choice_.base.manifest.prepared && !replays() && !leave && !options_.beside) {
                // A server ran on exactly these files when they were prepared.
                remember(restore_step::kPhysical, started, choice_.bytes());
                return nullptr;
            }
        } else {
            step("making an empty server");
            driver_->install(folder, ours);
        }
        auto instance =
            driver_->start({.data_dir = folder, .memory = options_.memory, .run_dir = run_dir_});
        if (result_.method == "physical")
            remember(restore_step::kPhysical, started, choice_.bytes());
        else
            load(instance->login(), {}, {});
        replay(instance->login());
        if (!leave) {
            if (folder == options_.data_dir) instance->stop();
            return instance;
        }
        database::Instance::Detached left = instance->leave_running();
        result_.socket = left.socket;
        result_.process = left.process;
        return nullptr;
    }

    void load(const ServerLogin& target, const std::map<std::string, std::string>& rename,
              const std::vector<std::string>& tables) {
        step("loading the base");
        Time started = Clock::system().now();
        database::LoadRequest request{.tables = tables,
                                      .rename = rename,
                                      .users = options_.users && tables.empty() && rename.empty(),
                                      .progress = options_.progress,
                                      .stop = options_.stop};
        result_.loaded =
            driver_->load(target, *choice_.repository, choice_.base.snapshot.tree, request);
        if (tables.empty()) remember(restore_step::kLogical, started, choice_.bytes());
    }

    // For the next choice of method, and for the predicted time of the next restore.
    void remember(const char* step, const Time& started, uint64_t bytes) {
        remember_restore_rate(config_.app.state_dir, database_.name, step, started, bytes);
    }

    void replay(const ServerLogin& target) {
        if (!replays()) return;
        step("replaying the binlog");
        database::ReplayRequest request;
        request.from = choice_.base.manifest.position;
        request.until = options_.until;
        request.drop = options_.skip;
        request.replace = options_.replace;
        request.stop = options_.stop;
        if (Progress* progress = options_.progress)
            request.progress = [progress](uint64_t done, uint64_t total) {
                progress->items_done = done;
                progress->items_total = total;
                progress->totals_known = true;
            };
        Time started = Clock::system().now();
        result_.replay = driver_->replay(target, *logs_, request);
        remember(restore_step::kReplay, started, result_.replay->bytes);
        result_.reached = result_.replay->reached;
    }

    // What needs no replay is loaded at once; else a server of ours gets to the moment first, and
    // its tables are carried over through a repository that is thrown away.
    void beside(const ServerLogin& target) {
        if (result_.method == "logical" && !replays()) {
            load(target, options_.rename, options_.tables);
            return;
        }
        WorkFolder work(config_, database_);
        auto instance = into_folder(work / "data", false);
        carry_over(*instance, work / "carried", target);
        instance->stop();
    }

    void carry_over(database::Instance& instance, const std::string& folder,
                    const ServerLogin& target) {
        step("carrying the tables over");
        repository::CreateOptions create;
        create.key.kdf_time = std::chrono::milliseconds(0);  // it lives for minutes
        std::shared_ptr<Repository> carried =
            Repository::create(storage::open_backend(storage::parse_location(folder), {}),
                               Secret(crypto::random_password(32)), create);
        auto reader = database::make_driver(database_.driver, {.login = instance.login()});
        StoreOptions store{
            .path = "/carried", .time = Clock::system().now(), .stop = options_.stop};
        store.writer.compression = repository::Compression::fastest;
        auto places =
            store_stream({{"carried", carried}}, store, [&](repository::TreeWriter& tree) {
                reader->make_base({.users = false, .stop = options_.stop}, tree);
            });
        if (places[0].error) throw *places[0].error;
        carried->load_index();
        result_.loaded = driver_->load(
            target, *carried, places[0].snapshot.tree,
            {.tables = options_.tables, .rename = options_.rename, .stop = options_.stop});
    }

    const config::AppConfig& config_;
    const config::DatabaseConfig& database_;
    const std::vector<JobPlace>& places_;
    const DatabaseRestoreOptions& options_;
    std::unique_ptr<Driver> driver_;
    BaseChoice choice_;
    std::unique_ptr<database::LogArchive> logs_;
    std::string run_dir_;
    DatabaseRestore result_;
};

}  // namespace

WorkFolder::WorkFolder(const config::AppConfig& config, const config::DatabaseConfig& database)
    : path_(fmt::format("{}/restore/{}-{}", config.app.state_dir, getpid(), database.name)) {
    os::make_dirs(path_);
}

WorkFolder::~WorkFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

DatabaseRestore restore_database(const config::AppConfig& config,
                                 const config::DatabaseConfig& database,
                                 const std::vector<JobPlace>& places,
                                 const DatabaseRestoreOptions& options) {
    return Restorer(config, database, places, options).run();
}

}  // namespace sevenfold::protect
