#include "database/mariadb/driver.h"

#include <fmt/format.h>

#include "database/mariadb/binlog/gtid.h"
#include "database/mariadb/coverage.h"
#include "database/mariadb/dump/dump.h"
#include "database/mariadb/dump/privileges.h"
#include "database/mariadb/load/load.h"
#include "database/mariadb/replay/replay.h"

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
        plan.replace[parse_gtid(gtid)] = {statements, request.replace_database};
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

class MariadbDriver : public Driver {
  public:
    explicit MariadbDriver(DriverOptions options) : options_(std::move(options)) {}

    ServerState look() override {
        sql::MariadbConnection server(connection_options(options_.login));
        ServerState state;
        state.version = server.server_version();
        state.position.gtid = server.value("SELECT @@global.gtid_binlog_pos").value_or("");
        for (const sql::Row& row : server.query("SHOW STATUS LIKE 'binlog_snapshot_%'")) {
            if (*row[0] == "Binlog_snapshot_file") state.position.file = row[1].value_or("");
            if (*row[0] == "Binlog_snapshot_position")
                state.position.offset = std::strtoull(row[1].value_or("0").c_str(), nullptr, 10);
        }
        state.data_bytes = std::strtoull(
            server
                .value("SELECT CAST(SUM(data_length + index_length) AS UNSIGNED) FROM "
                       "information_schema.tables WHERE table_type='BASE TABLE'")
                .value_or("0")
                .c_str(),
            nullptr, 10);
        Privileges privileges(server);
        state.privileged = privileges.all() || privileges.has("SUPER") || privileges.may_grant();
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

    BaseOutcome make_base(const BaseRequest& request, repository::TreeWriter& tree) override {
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

    void install(const std::string&) override { not_yet(); }
    void prepare(const std::string&, const BaseManifest&, uint64_t) override { not_yet(); }
    std::unique_ptr<Instance> start(const StartOptions&) override { not_yet(); }

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
    [[noreturn]] static void not_yet() {
        throw Error(ErrorKind::unsupported, "not in this version");
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
