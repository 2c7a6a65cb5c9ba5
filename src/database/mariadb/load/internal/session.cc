#include "database/mariadb/load/internal/session.h"

#include <fmt/format.h>
#include <mysqld_error.h>

#include <cstdlib>

namespace sevenfold::database::mariadb {
namespace {

// "10.11.6-MariaDB" -> 1011: what tables and programs depend on.
unsigned series(const std::string& version) {
    char* rest = nullptr;
    unsigned long major = std::strtoul(version.c_str(), &rest, 10);
    unsigned long minor = *rest == '.' ? std::strtoul(rest + 1, nullptr, 10) : 0;
    return static_cast<unsigned>(major * 100 + minor);
}

}  // namespace

void prepare_session(sql::MariadbConnection& session, const LoadOptions& options) {
    // The first rows of an empty table take it alone: pieces of the same table wait that long.
    session.execute("SET NAMES utf8mb4");
    session.execute(
        "SET SESSION foreign_key_checks=0, unique_checks=0, check_constraint_checks=0, "
        "sql_mode='NO_AUTO_VALUE_ON_ZERO', time_zone='+00:00', innodb_strict_mode=0, "
        "innodb_lock_wait_timeout=3600, max_statement_time=0");
    if (options.write_binlog) return;
    try {
        session.execute("SET SESSION sql_log_bin=0");
    } catch (const sql::ServerError& error) {
        if (session.value("SELECT @@global.log_bin") == "1")
            throw error.with_hint(
                "Loading must not go into the server's own binlog: give the account BINLOG ADMIN, "
                "or ask for it to be logged.");
    }
}

Error loading_error(const sql::ServerError& error, const std::string& what) {
    Error out = error.with_context(what);
    switch (error.number) {
        case ER_NOT_ALLOWED_COMMAND:
        case ER_LOAD_INFILE_CAPABILITY_DISABLED:
            return out.with_hint(
                "The server takes no data from clients: SET GLOBAL local_infile=1 while loading.");
        case ER_NET_PACKET_TOO_LARGE:
        case ER_WARN_ALLOWED_PACKET_OVERFLOWED:
            return out.with_hint("Raise max_allowed_packet on the server that loads.");
        case ER_UNKNOWN_STORAGE_ENGINE:
        case ER_CANT_OPEN_LIBRARY:
            return out.with_hint("The server lacks an engine or a plugin that this table needs.");
        default:
            return out;
    }
}

std::vector<std::string> server_differences(sql::MariadbConnection& server,
                                            const BaseManifest& base) {
    std::vector<std::string> out;
    if (series(server.server_version()) < series(base.server_version))
        out.push_back(fmt::format("the server is older ({}) than the base's ({})",
                                  server.server_version(), base.server_version));
    auto then = base.server_variables.find("lower_case_table_names");
    auto now = server.value("SELECT @@global.lower_case_table_names").value_or("");
    if (then != base.server_variables.end() && then->second != now)
        out.push_back(fmt::format("lower_case_table_names is {} and was {}: names may be different",
                                  now, then->second));
    auto packet = [](const std::string& text) { return std::strtoull(text.c_str(), nullptr, 10); };
    then = base.server_variables.find("max_allowed_packet");
    now = server.value("SELECT @@global.max_allowed_packet").value_or("0");
    if (then != base.server_variables.end() && base.data_format == "sql" &&
        packet(now) < packet(then->second))
        out.push_back(fmt::format("max_allowed_packet is {} and was {}: large values may not load",
                                  now, then->second));
    return out;
}

}  // namespace sevenfold::database::mariadb
