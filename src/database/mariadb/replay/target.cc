#include "database/mariadb/replay/target.h"

#include <fmt/format.h>
#include <mysql.h>

#include <algorithm>
#include <charconv>
#include <thread>

#include "core/log.h"
#include "database/mariadb/source/source.h"

namespace sevenfold::database::mariadb {
namespace {

uint64_t to_number(std::string_view text) {
    uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

std::string_view field(const NamedRow& row, std::string_view name) {
    auto it = row.find(name);
    return it == row.end() ? std::string_view() : it->second;
}

[[noreturn]] void refuse(const std::string& what, const std::string& hint) {
    throw Error(ErrorKind::refused, "the target server " + what, hint);
}

constexpr const char* kFresh =
    "Replay needs a server of its own, restored from a base and not used since.";

// "user@host (command)" of the other connections; those that are just being closed may go.
std::vector<std::string> other_clients(sql::MariadbConnection& target) {
    constexpr int kTries = 20;
    std::vector<std::string> found;
    for (int i = 0; i < kTries; ++i) {
        found.clear();
        for (const NamedRow& row : query_named(target, "SHOW PROCESSLIST")) {
            std::string_view user = field(row, "User");
            if (user == "system user" || user == "event_scheduler" ||
                field(row, "Command") == "Daemon" ||
                to_number(field(row, "Id")) == target.thread_id())
                continue;
            found.push_back(
                fmt::format("{}@{} ({})", user, field(row, "Host"), field(row, "Command")));
        }
        if (found.empty()) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return found;
}

void check_unused(sql::MariadbConnection& target, const ReplayAllowed& allowed) {
    for (const NamedRow& row : query_named(target, "SHOW ALL SLAVES STATUS"))
        if (field(row, "Slave_IO_Running") != "No" || field(row, "Slave_SQL_Running") != "No")
            refuse(fmt::format("is a running replica of {}", field(row, "Master_Host")), kFresh);
    if (!allowed.clients)
        if (std::vector<std::string> others = other_clients(target); !others.empty())
            refuse(fmt::format("has other clients: {}", fmt::join(others, ", ")), kFresh);
    std::string scheduler = target.value("SELECT @@GLOBAL.event_scheduler").value_or("");
    if (scheduler == "ON" && !allowed.event_scheduler)
        refuse("runs events", "Start it with --event-scheduler=OFF.");
}

// Settings with which the server would leave something out without a word.
void check_filters(sql::MariadbConnection& target) {
    for (const char* name :
         {"replicate_do_db", "replicate_ignore_db", "replicate_do_table", "replicate_ignore_table",
          "replicate_wild_do_table", "replicate_wild_ignore_table", "init_slave"})
        if (!target.value(fmt::format("SELECT @@GLOBAL.{}", name)).value_or("").empty())
            refuse(fmt::format("has {} set", name), "Start it without replication filters.");
    if (target.value("SELECT @@GLOBAL.slave_skip_errors").value_or("OFF") != "OFF")
        refuse("skips errors of replication", "Start it without slave_skip_errors.");
}

}  // namespace

std::vector<NamedRow> query_named(sql::MariadbConnection& connection,
                                  const std::string& statement) {
    MYSQL* handle = connection.handle();
    if (mysql_real_query(handle, statement.data(), statement.size()) != 0)
        connection.throw_last_error(statement);
    std::unique_ptr<MYSQL_RES, decltype(&mysql_free_result)> result(mysql_store_result(handle),
                                                                    mysql_free_result);
    if (!result) connection.throw_last_error(statement);
    unsigned count = mysql_num_fields(result.get());
    const MYSQL_FIELD* fields = mysql_fetch_fields(result.get());
    std::vector<NamedRow> rows;
    while (MYSQL_ROW values = mysql_fetch_row(result.get())) {
        const unsigned long* lengths = mysql_fetch_lengths(result.get());
        NamedRow& row = rows.emplace_back();
        for (unsigned i = 0; i < count; ++i)
            row[fields[i].name] = values[i] ? std::string(values[i], lengths[i]) : std::string();
    }
    return rows;
}

void check_target(sql::MariadbConnection& target, const source::Plan& plan,
                  const ReplayOptions& options) {
    if (!target.is_mariadb() || target.version_number() < 100500)
        throw Error(ErrorKind::unsupported,
                    fmt::format("{} is not MariaDB 10.5 or later", target.server_version()));
    const ReplayAllowed& allowed = options.allowed;
    check_unused(target, allowed);
    check_filters(target);
    uint64_t id = to_number(target.value("SELECT @@GLOBAL.server_id").value_or("0"));
    if (plan.servers.contains(static_cast<uint32_t>(id)) && !allowed.server_id)
        refuse(fmt::format("has server_id {}, which ran archived transactions", id),
               "Is it the production server? Start the restored one with another server_id.");
    std::string executed = target.value("SELECT @@GLOBAL.gtid_binlog_pos").value_or("");
    if (!executed.empty() && !options.resume && !allowed.executed)
        refuse(fmt::format("has executed transactions of its own, up to {}", executed), kFresh);
    Position position =
        Position::parse(target.value("SELECT @@GLOBAL.gtid_slave_pos").value_or(""));
    if (!position.empty() && !(position == plan.begin) && !allowed.position)
        refuse(fmt::format("is at {}, the base at {}", position.display(), plan.begin.display()),
               "Is this the server that was restored from this base?");
}

void stop_replication(sql::MariadbConnection& target, const std::string& name) {
    constexpr std::chrono::seconds kPatience{10};
    const std::string statement = "STOP SLAVE " + sql::quote_text(name);
    sql::MariadbOptions login = target.options();
    login.io_timeout = kPatience;
    try {
        return void(sql::MariadbConnection(login).execute(statement));
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::network && error.kind() != ErrorKind::timeout) throw;
    }
    for (const NamedRow& row : query_named(target, "SHOW PROCESSLIST")) {
        if (field(row, "User") != "system user") continue;
        try {
            target.execute(fmt::format("KILL {}", field(row, "Id")));
        } catch (const sql::ServerError&) {  // it ended by itself
        }
    }
    sql::MariadbConnection(login).execute(statement);
}

void forget_own_replication(sql::MariadbConnection& target) {
    std::vector<NamedRow> rows = query_named(target, "SHOW ALL SLAVES STATUS");
    bool ours = !rows.empty() && std::all_of(rows.begin(), rows.end(), [](const NamedRow& row) {
        return field(row, "Master_Host") == "127.0.0.1" &&
               field(row, "Master_User").starts_with(source::kUserPrefix);
    });
    if (ours) forget_replication(target);
}

void forget_replication(sql::MariadbConnection& target) {
    for (const NamedRow& row : query_named(target, "SHOW ALL SLAVES STATUS")) {
        std::string name(field(row, "Connection_name"));
        stop_replication(target, name);
        target.execute("RESET SLAVE " + sql::quote_text(name) + " ALL");
    }
}

TemporarySettings::~TemporarySettings() {
    try {
        restore();
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::network) return;  // it starts with its own again
        log_warning("settings of the target server were not restored: {}", error.message());
    }
}

void TemporarySettings::set(const std::string& name, const std::string& value) {
    std::string former = target_.value("SELECT @@GLOBAL." + name).value_or("");
    if (former == value) return;
    assign(name, value);
    former_.emplace_back(name, former);
}

void TemporarySettings::restore() {
    while (!former_.empty()) {
        auto [name, value] = former_.back();
        former_.pop_back();
        assign(name, value);
    }
}

void TemporarySettings::assign(const std::string& name, const std::string& value) {
    bool number = !value.empty() && value.find_first_not_of("0123456789.") == value.npos;
    target_.execute(fmt::format("SET GLOBAL {}={}", name, number ? value : sql::quote_text(value)));
}

ReplicaStatus replica_status(sql::MariadbConnection& target) {
    ReplicaStatus out;
    std::vector<NamedRow> rows = query_named(target, "SHOW SLAVE STATUS");
    if (rows.empty()) return out;
    const NamedRow& row = rows[0];
    out.io_running = field(row, "Slave_IO_Running") != "No";
    out.sql_running = field(row, "Slave_SQL_Running") != "No";
    out.io_error = static_cast<unsigned>(to_number(field(row, "Last_IO_Errno")));
    out.sql_error = static_cast<unsigned>(to_number(field(row, "Last_SQL_Errno")));
    out.io_message = field(row, "Last_IO_Error");
    out.sql_message = field(row, "Last_SQL_Error");
    out.io_state = field(row, "Slave_IO_State");
    out.sql_state = field(row, "Slave_SQL_Running_State");
    for (const char* name :
         {"Slave_DDL_Groups", "Slave_Non_Transactional_Groups", "Slave_Transactional_Groups"})
        out.groups += to_number(field(row, name));
    return out;
}

uint64_t work_counter(sql::MariadbConnection& target) {
    uint64_t sum = 0;
    for (const auto& row : target.query(
             "SHOW GLOBAL STATUS WHERE Variable_name IN ('Innodb_buffer_pool_read_requests', "
             "'Innodb_buffer_pool_write_requests', 'Innodb_data_written', 'Handler_write', "
             "'Handler_update', 'Aria_pagecache_write_requests', 'Key_write_requests')"))
        sum += to_number(row[1].value_or(""));
    return sum;
}

std::string applier_states(sql::MariadbConnection& target) {
    std::string out;
    for (const NamedRow& row : query_named(target, "SHOW PROCESSLIST")) {
        if (field(row, "User") != "system user") continue;
        out += fmt::format("{}{} for {} s{}{}", out.empty() ? "" : "; ", field(row, "State"),
                           field(row, "Time"), field(row, "Info").empty() ? "" : ": ",
                           field(row, "Info").substr(0, 100));
    }
    return out;
}

}  // namespace sevenfold::database::mariadb
