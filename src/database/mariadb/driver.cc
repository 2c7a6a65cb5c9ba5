#include "database/mariadb/driver.h"

#include <fmt/format.h>
#include <unistd.h>

#include "core/log.h"

#include "database/mariadb/binlog/gtid.h"
#include "database/mariadb/coverage.h"
#include "database/mariadb/dump/dump.h"
#include "database/mariadb/dump/inventory.h"
#include "database/mariadb/grants.h"
#include "database/mariadb/load/load.h"
#include "database/mariadb/log_weight.h"
#include "database/mariadb/physical/backup.h"
#include "database/mariadb/physical/check_tables.h"
#include "database/mariadb/physical/prepare.h"
#include "database/mariadb/replay/replay.h"
#include "database/mariadb/server/detached.h"
#include "database/mariadb/server/scratch_server.h"
#include "database/mariadb/server/stored_plugins.h"
#include "database/mariadb/server_facts.h"
#include "database/mariadb/stream/check.h"
#include "database/mariadb/stream_driver.h"
#include "os/user_names.h"

namespace sevenfold::database {

std::unique_ptr<Driver> make_driver(const std::string& name, DriverOptions options) {
    if (name == "mariadb") return mariadb::make_driver(std::move(options));
    throw Error(ErrorKind::unsupported, fmt::format("no driver for {}", name));
}

namespace mariadb {
namespace {

// Up to the point that is wanted; nothing: that is where it starts.
std::optional<source::PlanOptions> plan_of(const LogArchive& archive,
                                           const ReplayRequest& request) {
    source::PlanOptions plan;
    plan.start = Position::parse(request.from.gtid);
    plan.cancel = request.stop;
    for (const std::string& gtid : request.drop) plan.drop.insert(parse_gtid(gtid));
    for (const auto& [gtid, statements] : request.replace)
        plan.replace[parse_gtid(gtid)] =
            source::parse_replacement(statements, request.replace_database);
    using Kind = ReplayRequest::Until::Kind;
    using Where = source::Stop::Where;
    switch (request.until.kind) {
        case Kind::end:
            break;
        case Kind::after:
            plan.stop = {Where::after, parse_gtid(request.until.transaction)};
            break;
        case Kind::before:
            plan.stop = {Where::before, parse_gtid(request.until.transaction)};
            break;
        case Kind::time: {
            auto at = source::position_at(archive, plan, request.until.time);
            if (!at.last) return std::nullopt;
            plan.stop = {Where::after, *at.last};
        }
    }
    return plan;
}

class MariadbInstance : public Instance {
  public:
    explicit MariadbInstance(const StartOptions& options)
        : options_(options), server_(std::make_unique<ScratchServer>(scratch(options))) {}

    ServerLogin login() const override {
        sql::MariadbOptions login = server_->login();
        return {.socket = login.socket, .user = login.user, .password = login.password};
    }
    void stop() override { server_->stop(); }
    Detached leave_running() override {
        server_->stop();
        server_.reset();
        return {start_detached(options_.data_dir, options_.memory),
                detached_socket(options_.data_dir)};
    }

  private:
    static constexpr uint32_t kServerId = 4'000'000'007;  // hardly that of a server with a history

    static ScratchOptions scratch(const StartOptions& options) {
        ScratchOptions out{.data_dir = options.data_dir,
                           .work_dir = options.run_dir,
                           .server_id = kServerId,
                           .binlog = options.writes_log,
                           .buffer_pool = options.memory};
        StoredPlugins plugins = stored_plugins(options.data_dir);
        for (const std::string& file : plugins.files)
            out.plugins.push_back(plugins.folder + "/" + file);
        out.arguments = plugins.arguments;
        return out;
    }

    StartOptions options_;
    std::unique_ptr<ScratchServer> server_;
};

class MariadbDriver : public Driver {
  public:
    explicit MariadbDriver(DriverOptions options) : options_(std::move(options)) {}

    ServerState look() override {
        sql::MariadbConnection server(connection_options(options_.login));
        ServerState state;
        state.version = server.server_version();
        std::string gtid = server.value("SELECT @@global.gtid_binlog_pos").value_or("");
        state.position = binlog_place(server);
        state.position.gtid = gtid;
        state.data_bytes = server.number(
            "SELECT CAST(SUM(data_length + index_length) AS UNSIGNED) FROM "
            "information_schema.tables WHERE table_type='BASE TABLE'");
        state.privileged = is_privileged(server);
        return state;
    }

    bool reaches(const std::string& position, const std::string& wanted) const override {
        return parse_gtid_list(position).contains_all(parse_gtid_list(wanted));
    }

    std::optional<std::string> missing_between(const LogArchive& archive,
                                               const database::Position& from,
                                               const database::Position& to) const override {
        return mariadb::missing_between(archive, from, to);
    }

    uint64_t log_bytes(const LogArchive& archive, const database::Position& from,
                       const database::Position& to) const override {
        return mariadb::log_bytes(archive, from, to);
    }

    std::optional<std::string> replay_risk(const LogArchive& archive,
                                           const database::Position& from,
                                           const database::Position& to) const override {
        return mariadb::replay_risk(archive, from, to);
    }

    std::optional<LogEnd> log_end(const LogArchive& archive, const database::Position& from,
                                  uint64_t limit) const override {
        return mariadb::log_end(archive, from, limit);
    }

    BaseOutcome make_base(const BaseRequest& request, repository::TreeWriter& tree) override {
        if (request.method == "physical") return make_physical_base(request, tree);
        DumpOptions dump_options;
        dump_options.login = connection_options(options_.login);
        dump_options.selection = {request.databases, request.exclude};
        dump_options.format = request.format == "sql" ? RowFormat::sql : RowFormat::tsv;
        dump_options.users = request.users;
        dump_options.threads = request.threads;
        dump_options.progress = request.progress;
        dump_options.stop = request.stop;
        DumpResult made = dump(dump_options, tree);
        return {std::move(made.base), made.commits_blocked, std::move(made.warnings)};
    }

    std::vector<std::string> key_columns(const ServerLogin& server,
                                         const std::string& table) override {
        sql::MariadbConnection connection(connection_options(server));
        TableInfo info = describe(connection, table);
        std::vector<std::string> out;
        for (const auto& column : info.primary_key) out.push_back(column.name);
        if (out.empty())
            for (const RowColumn& column : info.columns) out.push_back(column.name);
        return out;
    }

    uint64_t export_table(const ServerLogin& server, const std::string& table,
                          const std::string& format,
                          const std::function<void(ByteView)>& sink) override {
        sql::MariadbConnection connection(connection_options(server));
        TableInfo info = describe(connection, table);
        prepare_for_rows(connection);
        uint64_t checksum = 0;
        return read_rows(connection, info, "", format == "sql" ? RowFormat::sql : RowFormat::tsv,
                         checksum, sink);
    }

    LoadOutcome load(const ServerLogin& target, const repository::Repository& repository,
                     const Id& tree, const LoadRequest& request) override {
        LoadOptions options;
        options.login = connection_options(target);
        options.tables = request.tables;
        options.rename = request.rename;
        options.users = request.users;
        options.verify = request.verify;
        options.threads = request.threads;
        options.progress = request.progress;
        options.stop = request.stop;
        LoadResult loaded = mariadb::load(options, repository, tree);
        return {loaded.tables, loaded.rows, loaded.verified_tables, std::move(loaded.warnings)};
    }

    void install(const std::string& data_dir, bool as_us) override {
        install_data_dir({.data_dir = data_dir, .user = owner(as_us)});
    }

    void prepare(const std::string& data_dir, const std::vector<std::string>& increments,
                 uint64_t memory, bool as_us) override {
        PrepareReport report = mariadb::prepare({.data_dir = data_dir,
                                                 .incremental_dirs = increments,
                                                 .tool = options_.backup_tool,
                                                 .memory = memory,
                                                 .user = owner(as_us)});
        for (const std::string& table : report.moved_tables)
            log_warning("table {} lay in a folder of its own; it is in the data folder now", table);
    }

    ObjectCounts inspect(const ServerLogin& server, std::stop_token stop) override {
        sql::MariadbConnection connection(connection_options(server));
        check_tables(connection, stop);
        return count_all(connection);
    }

    ObjectCounts count_objects() override {
        sql::MariadbConnection connection(connection_options(options_.login));
        return count_all(connection);
    }

    void store_prepared(const std::string& data_dir, const BaseManifest& base,
                        repository::TreeWriter& tree, Progress* progress) override {
        mariadb::store_prepared(data_dir, base, PhysicalOptions().chunk_size, tree, progress);
    }

    std::unique_ptr<Instance> start(const StartOptions& options) override {
        return std::make_unique<MariadbInstance>(options);
    }

    std::unique_ptr<LogReceiver> receive(const StreamRequest& request,
                                         const StreamCallbacks& callbacks) override {
        return make_receiver(connection_options(options_.stream_login), request, callbacks);
    }

    std::vector<database::StreamFinding> check_stream() override {
        sql::MariadbConnection connection(connection_options(options_.stream_login));
        std::vector<database::StreamFinding> out;
        for (const auto& finding : mariadb::check_stream(connection)) {
            std::string fix = finding.now;
            if (!finding.config.empty())
                fix += (fix.empty() ? "in the server's option file: "
                                    : "   (and in its option file: ") +
                       finding.config + (finding.now.empty() ? "" : ")");
            out.push_back({finding.weight != mariadb::StreamFinding::Weight::note, finding.setting,
                           finding.value, finding.meaning, fix});
        }
        return out;
    }

    std::vector<std::string> grant_statements(const GrantRequest& request) override {
        std::vector<Feature> features;
        for (const std::string& name : request.features) features.push_back(feature_of(name));
        GrantOptions options;
        if (!request.user.empty()) options.user = request.user;
        if (!request.host.empty()) options.host = request.host;
        options.system_user = request.system_user;
        options.databases = request.databases;
        options.canary = request.canary;
        return mariadb::grant_statements(features, options);
    }

    AccountReport check_account(const std::string& feature, bool canary) override {
        Feature which = feature_of(feature);
        const ServerLogin& login = which == Feature::physical ? options_.physical_login
                                   : which == Feature::stream ? options_.stream_login
                                                              : options_.login;
        AccountCheck check =
            mariadb::check_account(which, connection_options(login), {.canary = canary});
        AccountReport report{check.account, {}, check.sufficient(), check.minimal()};
        constexpr const char* kStates[] = {"present", "missing", "excess", "dangerous"};
        for (const RightCheck& right : check.rights)
            report.rights.push_back(
                {kStates[static_cast<size_t>(right.state)], right.right, right.detail});
        return report;
    }

    void check_edits(const ReplayRequest& request) override {
        for (const std::string& gtid : request.drop) parse_gtid(gtid);
        for (const auto& [gtid, statements] : request.replace)
            source::check_replacement(
                parse_gtid(gtid), source::parse_replacement(statements, request.replace_database));
    }

    ReplayOutcome replay(const ServerLogin& target, const LogArchive& archive,
                         const ReplayRequest& request) override {
        ReplayOptions options;
        options.archive = &archive;
        auto plan = plan_of(archive, request);
        if (!plan) return {.reached = request.from.gtid};
        options.plan = *plan;
        options.threads = request.threads;
        options.cancel = request.stop;
        options.allowed.executed = true;
        if (request.progress)
            options.progress = [&](const ReplayProgress& now) {
                request.progress(now.transactions, now.transactions_total);
            };
        ReplayResult done = mariadb::replay(options, connection_options(target));
        return {done.reached.display(),
                done.transactions,
                done.edited.size() + done.skipped.size(),
                done.bytes,
                done.last,
                done.seconds};
    }

  private:
    static std::string owner(bool as_us) {
        return as_us ? os::UserNames().user_name(geteuid()) : std::string();
    }

    static TableInfo describe(sql::MariadbConnection& connection, const std::string& table) {
        size_t dot = table.find('.');
        if (dot == table.npos)
            throw Error(ErrorKind::usage, fmt::format("{}: not a table", table),
                        "Write database.table.");
        Selection selection;
        selection.databases = {table.substr(0, dot)};
        Schema schema(connection, selection);
        for (TableInfo& info : schema.tables)
            if (info.display() == table) return std::move(info);
        throw Error(ErrorKind::not_found, fmt::format("there is no table {}", table));
    }

    static ObjectCounts count_all(sql::MariadbConnection& connection) {
        std::vector<std::string> databases;
        for (const sql::Row& row : connection.query("SHOW DATABASES"))
            if (Selection{}.has_database(*row[0])) databases.push_back(*row[0]);
        return mariadb::count_objects(connection, {}, databases, false);
    }

    BaseOutcome make_physical_base(const BaseRequest& request, repository::TreeWriter& tree) {
        if (!options_.physical_login.host.empty())
            throw Error(ErrorKind::unsupported,
                        "a physical base is made on the server's own machine",
                        "Use socket instead of host there, or method = \"logical\".");
        PhysicalOptions physical;
        physical.login = connection_options(options_.physical_login);
        if (options_.backup_tool != "mariadb-backup") physical.tool = options_.backup_tool;
        physical.since = request.since;
        physical.progress = request.progress;
        physical.stop = request.stop;
        PhysicalResult made = back_up_physical(physical, tree);
        return {std::move(made.base), {}, std::move(made.warnings)};
    }

    DriverOptions options_;
};

}  // namespace

sql::MariadbOptions connection_options(const ServerLogin& login) {
    sql::MariadbOptions options;
    options.host = login.host;
    if (login.port != 0) options.port = login.port;
    options.socket = login.socket;
    options.user = login.user;
    options.password = login.password;
    using Tls = sql::MariadbOptions::Tls;
    options.tls = login.tls == "verified"   ? Tls::verified
                  : login.tls == "required" ? Tls::required
                                            : Tls::off;
    options.tls_ca = login.tls_ca;
    return options;
}

std::unique_ptr<Driver> make_driver(DriverOptions options) {
    return std::make_unique<MariadbDriver>(std::move(options));
}

}  // namespace mariadb
}  // namespace sevenfold::database
