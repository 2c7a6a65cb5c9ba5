#include "database/mariadb/replay/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <regex>
#include <thread>

#include "core/log.h"
#include "core/units.h"
#include "database/mariadb/replay/target.h"
#include "database/mariadb/source/source.h"

namespace sevenfold::database::mariadb {
namespace {

using SteadyClock = std::chrono::steady_clock;
using source::ReplicationSource;

bool reached(const Position& position, const Position& end) {
    return std::all_of(end.all().begin(), end.all().end(), [&](const auto& entry) {
        const Gtid* have = position.find(entry.first);
        return have != nullptr && *have == entry.second;
    });
}

// One replay from the first setting to the last.
class Driver {
  public:
    Driver(const ReplayOptions& options, const sql::MariadbOptions& target, Position start)
        : options_(options), target_(target), settings_(target_) {
        source::PlanOptions plan = options.plan;
        plan.start = std::move(start);
        plan.resumed = options.resume;
        plan.cancel = options.cancel;
        source_ = std::make_unique<ReplicationSource>(*options.archive, plan, options.window_bytes);
    }

    ReplayResult run() {
        target_.execute("SET SESSION sql_log_bin=0");
        check_target(target_, source_->plan(), options_);
        begun_ = SteadyClock::now();
        try {
            prepare();
            connect();
            wait();
        } catch (...) {
            end_quietly();
            throw;
        }
        return finish();
    }

  private:
    void prepare();
    void connect();
    void wait();
    void look(const Position& position);
    void applier_failed(const ReplicaStatus& status);
    std::optional<Gtid> failed_transaction(const ReplicaStatus& status, const Position& now);
    void report(const ReplicaStatus& status, const Position& position);
    void check_progress(const ReplicaStatus& status, const Position& position);
    Position position();
    ReplayResult finish();
    void end_quietly();

    const ReplayOptions& options_;
    sql::MariadbConnection target_;
    TemporarySettings settings_;
    std::unique_ptr<ReplicationSource> source_;
    SteadyClock::time_point begun_, moved_;
    std::string last_movement_;
    uint64_t groups_before_ = 0;
    std::vector<Gtid> skipped_;
};

Position Driver::position() {
    return Position::parse(target_.value("SELECT @@GLOBAL.gtid_slave_pos").value_or(""));
}

void Driver::prepare() {
    forget_replication(target_);
    unsigned threads = options_.threads;
    if (threads == 0) threads = std::max(4u, 2 * std::thread::hardware_concurrency());
    settings_.set("slave_parallel_threads", fmt::to_string(threads));
    settings_.set("slave_parallel_max_queued", "16777216");
    settings_.set("slave_net_timeout", "600");  // the archive may be slow to read
    settings_.set("relay_log_purge", "1");
    settings_.set("slave_exec_mode", "STRICT");
    // A server that died in the middle of a DDL statement may have run it without noting so.
    settings_.set("slave_ddl_exec_mode", options_.resume ? "IDEMPOTENT" : "STRICT");
    if (options_.relaxed_durability) {
        settings_.set("innodb_flush_log_at_trx_commit", "0");
        settings_.set("sync_binlog", "0");
    }
    const source::Plan& plan = source_->plan();
    if (plan.out_of_order) settings_.set("gtid_strict_mode", "0");
    uint64_t id = std::stoull(target_.value("SELECT @@GLOBAL.server_id").value_or("0"));
    if (plan.servers.contains(static_cast<uint32_t>(id))) {
        uint32_t other = source_->server_id() ^ 1;
        while (plan.servers.contains(other)) --other;
        settings_.set("server_id", fmt::to_string(other));
    }
    if (!(position() == plan.begin))
        target_.execute("SET GLOBAL gtid_slave_pos=" + sql::quote_text(plan.begin.display()));
}

void Driver::connect() {
    try {
        target_.execute(fmt::format(
            "CHANGE MASTER TO master_host='127.0.0.1', master_port={}, master_user='{}', "
            "master_password='{}', master_use_gtid=slave_pos, master_heartbeat_period=10, "
            "master_connect_retry=1, master_ssl=0, master_ssl_verify_server_cert=0",
            source_->port(), source_->user(), source_->password().reveal()));
    } catch (const sql::ServerError& error) {  // its message would hold the password
        throw Error(error.kind(),
                    fmt::format("CHANGE MASTER on the target: error {}", error.number));
    }
    settings_.set("slave_parallel_mode", "optimistic");
    ReplicaStatus before = replica_status(target_);
    groups_before_ = before.groups;
    target_.execute("START SLAVE");
}

void Driver::wait() {
    moved_ = SteadyClock::now();
    const Position& end = source_->plan().end;
    for (;;) {
        Position now = position();
        source_->applied(now);
        look(now);
        if (reached(now, end)) return;
        if (options_.cancel.stop_requested())
            throw Error(ErrorKind::interrupted, "replay was interrupted at " + now.display(),
                        "It can be resumed.");
        target_.value(
            fmt::format("SELECT MASTER_GTID_WAIT({}, 0.2)", sql::quote_text(end.display())));
    }
}

void Driver::look(const Position& now) {
    ReplicaStatus status = replica_status(target_);
    report(status, now);
    if (!status.sql_running && status.sql_error != 0) return applier_failed(status);
    if (!status.sql_running || (!status.io_running && status.io_error == 0))
        throw Error(ErrorKind::refused, "somebody else stopped the replay on the target server",
                    "It can be resumed.");
    if (!status.io_running && status.io_error != 0) {
        if (std::optional<Error> failure = source_->failure()) throw *failure;
        throw Error(ErrorKind::io, fmt::format("the target cannot read from the replication "
                                               "source: {} (error {})",
                                               status.io_message, status.io_error));
    }
    check_progress(status, now);
}

void Driver::report(const ReplicaStatus& status, const Position& now) {
    if (!options_.progress) return;
    ReplayProgress progress;
    progress.applied = now;
    progress.transactions_total = source_->plan().transactions;
    progress.transactions = std::min(status.groups - groups_before_, progress.transactions_total);
    progress.bytes = source_->stats().bytes;
    progress.bytes_total = source_->plan().bytes;
    double seconds = std::chrono::duration<double>(SteadyClock::now() - begun_).count();
    progress.transactions_per_second = static_cast<double>(progress.transactions) / seconds;
    if (progress.transactions > 0 && progress.transactions <= progress.transactions_total)
        progress.left = std::chrono::seconds(static_cast<int64_t>(
            static_cast<double>(progress.transactions_total - progress.transactions) /
            progress.transactions_per_second));
    options_.progress(progress);
}

void Driver::check_progress(const ReplicaStatus& status, const Position& now) {
    std::string movement = fmt::format("{} {} {} {}", now.display(), status.groups,
                                       source_->stats().bytes, work_counter(target_));
    if (movement != last_movement_) {
        last_movement_ = movement;
        moved_ = SteadyClock::now();
    }
    auto idle = SteadyClock::now() - moved_;
    if (options_.patience.count() == 0 || idle < options_.patience) return;
    throw Error(ErrorKind::timeout,
                fmt::format("replay has not moved from {} for {} s: {} (reading: {})",
                            now.display(), options_.patience.count(), applier_states(target_),
                            status.io_state.empty() ? "not connected" : status.io_state),
                status.io_message);
}

// Commits are in the order of the log, so it is the next one of a domain; where there are several
// domains, the message may tell the place in the log.
std::optional<Gtid> Driver::failed_transaction(const ReplicaStatus& status, const Position& now) {
    std::vector<source::NextTransaction> next =
        source::next_transactions(*options_.archive, options_.plan, now, source_->plan().end);
    if (next.size() == 1) return next[0].gtid;
    std::smatch match;
    if (!std::regex_search(status.sql_message, match,
                           std::regex("master log ([^,]+), end_log_pos ([0-9]{1,19})")))
        return {};
    std::string file = match[1].str();
    uint64_t end = std::stoull(match[2].str());
    for (const source::NextTransaction& transaction : next)
        if (transaction.file == file && transaction.begin < end && end <= transaction.end)
            return transaction.gtid;
    return {};
}

void Driver::applier_failed(const ReplicaStatus& status) {
    stop_replication(target_);
    Position now = position();
    std::optional<Gtid> failed = failed_transaction(status, now);
    std::smatch match;
    std::string table;
    if (std::regex_search(status.sql_message, match, std::regex("on table ([^;]+);")))
        table = match[1].str();
    if (failed && options_.skip_if_failing.contains(*failed) &&
        std::find(skipped_.begin(), skipped_.end(), *failed) == skipped_.end()) {
        log_warning("transaction {} failed and is left out, as asked for: {}", failed->display(),
                    status.sql_message);
        skipped_.push_back(*failed);
        source_->drop(*failed);
        target_.execute("START SLAVE");
        return;
    }
    throw ApplierError(
        fmt::format("transaction {} cannot be applied: {}",
                    failed ? failed->display() : "after " + now.display(), status.sql_message),
        "Stop before this transaction, leave it out, or replace it. The server has everything up "
        "to " +
            now.display() + ".",
        status.sql_error, failed, table);
}

void Driver::end_quietly() {
    try {
        forget_replication(target_);
        settings_.restore();
    } catch (const Error& error) {
        log_debug("end of replay: {}", error.message());
    }
}

ReplayResult Driver::finish() {
    const source::Plan& plan = source_->plan();
    ReplayResult result;
    stop_replication(target_);
    ReplicaStatus status = replica_status(target_);
    uint64_t groups = status.groups - groups_before_;
    result.reached = position();
    forget_replication(target_);
    settings_.restore();
    target_.execute("FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS");
    result.transactions = plan.transactions;
    result.edited = plan.edited;
    result.skipped = skipped_;
    result.bytes = source_->stats().bytes;
    result.seconds = std::chrono::duration<double>(SteadyClock::now() - begun_).count();
    result.last = plan.last;
    result.unfinished_tail = plan.unfinished_tail;
    if (!reached(result.reached, plan.end))
        throw Error(ErrorKind::internal, fmt::format("replay ended at {} instead of {}",
                                                     result.reached.display(), plan.end.display()));
    // The server counts what it tried again, because of a deadlock or an interruption, more than
    // once; fewer can only mean that some are missing.
    bool complete = groups >= plan.transactions;
    if (!complete)
        throw Error(
            ErrorKind::internal,
            fmt::format("the target ran {} transactions, but {} lie between {} and {}", groups,
                        plan.transactions, plan.begin.display(), plan.end.display()),
            "Do not use this server: transactions may be missing although it claims to "
            "be at the end.");
    return result;
}

}  // namespace

ReplayResult replay(const ReplayOptions& options, const sql::MariadbOptions& target) {
    Position start = options.plan.start;
    if (options.resume) {
        sql::MariadbConnection connection(target);
        forget_own_replication(connection);
        std::string now = connection.value("SELECT @@GLOBAL.gtid_slave_pos").value_or("");
        if (!now.empty()) start = Position::parse(now);
    }
    return Driver(options, target, std::move(start)).run();
}

}  // namespace sevenfold::database::mariadb
