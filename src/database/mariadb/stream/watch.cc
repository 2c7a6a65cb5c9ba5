#include "database/mariadb/stream/watch.h"

#include <charconv>

#include "core/log.h"

namespace sevenfold::database::mariadb {
namespace {

uint64_t number_of(const std::string& text) {
    uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

}  // namespace

const char* const kCanaryTable =
    "CREATE TABLE IF NOT EXISTS `sevenfold`.`canary` (`id` INT PRIMARY KEY, `at` DATETIME(6)) "
    "ENGINE=InnoDB";

const char* const kCanaryStatement =
    "INSERT INTO sevenfold.canary (id, at) VALUES (1, NOW(6)) "
    "ON DUPLICATE KEY UPDATE at = VALUES(at)";

SemiSyncStatus read_semi_sync(sql::MariadbConnection& connection) {
    SemiSyncStatus out;
    for (const sql::Row& row : connection.query(
             "SHOW GLOBAL STATUS WHERE Variable_name IN ('Rpl_semi_sync_master_status', "
             "'Rpl_semi_sync_master_clients', 'Rpl_semi_sync_master_yes_tx', "
             "'Rpl_semi_sync_master_no_tx', 'Uptime', 'Binlog_snapshot_file', "
             "'Binlog_snapshot_position')")) {
        if (row.size() < 2 || !row[0] || !row[1]) continue;
        const std::string& key = *row[0];
        if (key.ends_with("_status")) out.on = *row[1] == "ON";
        if (key.ends_with("_clients")) out.clients = number_of(*row[1]);
        if (key.ends_with("_yes_tx")) out.yes_tx = number_of(*row[1]);
        if (key.ends_with("_no_tx")) out.no_tx = number_of(*row[1]);
        if (key == "Binlog_snapshot_file") out.file = *row[1];
        if (key == "Binlog_snapshot_position") out.offset = number_of(*row[1]);
        if (key == "Uptime") out.uptime = number_of(*row[1]);
    }
    out.enabled = connection.value("SELECT @@global.rpl_semi_sync_master_enabled") == "1";
    return out;
}

Watch::Watch(WatchOptions options)
    : options_(std::move(options)), thread_([this](std::stop_token stop) { run(stop); }) {}

Watch::~Watch() {
    thread_.request_stop();
    changed_.notify_all();
}

Watch::Look Watch::look() const {
    std::lock_guard lock(mutex_);
    return look_;
}

void Watch::hurry() {
    std::lock_guard lock(mutex_);
    hurry_ = true;
    changed_.notify_all();
}

void Watch::set_receiving(bool receiving) {
    std::lock_guard lock(mutex_);
    receiving_ = receiving;
    if (!receiving) look_.status.reset();
    hurry_ = true;
    changed_.notify_all();
}

void Watch::want_canary(bool wanted) {
    std::lock_guard lock(mutex_);
    canary_ = wanted;
}

void Watch::release_canary(sql::MariadbConnection& connection) {
    try {
        connection.execute(options_.canary);
        complained_ = false;
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::network) throw;
        if (!complained_)
            log_warning("canary: {}; the first commit after a break is not protected",
                        error.message());
        complained_ = true;
    }
}

void Watch::run(const std::stop_token& stop) {
    std::unique_ptr<sql::MariadbConnection> connection;
    sql::MariadbOptions options = options_.connection;
    options.io_timeout = std::chrono::seconds(5);  // ends a canary that hangs
    options.program = "sevenfold watch";
    while (!stop.stop_requested()) {
        std::optional<SemiSyncStatus> status;
        bool receiving, canary;
        {
            std::lock_guard lock(mutex_);
            receiving = receiving_;
            canary = canary_ && !options_.canary.empty();
            hurry_ = false;
        }
        try {
            if (receiving) {
                if (!connection) connection = std::make_unique<sql::MariadbConnection>(options);
                status = read_semi_sync(*connection);
                if (status->enabled && canary) {
                    release_canary(*connection);
                    status = read_semi_sync(*connection);
                }
            }
        } catch (const Error& error) {
            log_debug("watch: {}", error.message());
            connection.reset();
        }
        std::unique_lock lock(mutex_);
        if (receiving_) look_.status = status;
        ++look_.number;
        changed_.wait_for(lock, stop, options_.every, [&] { return hurry_; });
    }
}

}  // namespace sevenfold::database::mariadb
