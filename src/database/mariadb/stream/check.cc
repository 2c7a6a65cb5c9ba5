#include "database/mariadb/stream/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "database/mariadb/dump/privileges.h"

namespace sevenfold::database::mariadb {
namespace {

struct Wanted {
    const char* name;
    const char* value;  // as the server shows it
    bool serious;
    bool settable;  // while the server runs
    const char* why;
};

constexpr Wanted kWanted[] = {
    {"log_bin", "1", true, false, "without a binlog there is nothing to receive"},
    {"binlog_format", "ROW", true, true,
     "statements may do something else when they are replayed; rows do not"},
    {"binlog_row_image", "FULL", true, true, "undo and comparisons need whole rows"},
    {"sync_binlog", "1", true, true,
     "a crash of the machine loses transactions that clients were told are stored"},
    {"innodb_flush_log_at_trx_commit", "1", true, true,
     "a crash of the machine loses transactions that clients were told are stored"},
    {"rpl_semi_sync_master_enabled", "1", true, true, "commits do not wait for the stream"},
    {"rpl_semi_sync_master_wait_point", "AFTER_SYNC", true, true,
     "others can see a transaction that is then lost with the server"},
    {"binlog_row_metadata", "FULL", false, true,
     "the timeline cannot name columns, and undo needs the tables as they were"},
    {"binlog_checksum", "CRC32", false, true, "damage on the way would not be noticed"},
    {"binlog_annotate_row_events", "1", false, true, "the timeline cannot show statements"},
    {"gtid_strict_mode", "1", false, true, "numbers of transactions may step back"},
};

std::string sql_value(const std::string& value) {
    return value.find_first_not_of("0123456789") == value.npos ? value : "'" + value + "'";
}

void check_limits(sql::MariadbConnection& server, std::vector<StreamFinding>& out) {
    auto number = [&](const char* name) {
        auto text = server.value(fmt::format("SELECT @@global.{}", name));
        return text ? std::strtoull(text->c_str(), nullptr, 10) : 0;
    };
    if (uint64_t timeout = number("rpl_semi_sync_master_timeout"); timeout < 2000)
        out.push_back({false, "rpl_semi_sync_master_timeout", std::to_string(timeout),
                       "the stream's own limit for the second place is one second: below two the "
                       "server gives up first",
                       "SET GLOBAL rpl_semi_sync_master_timeout=10000;"});
    uint64_t expire = number("binlog_expire_logs_seconds");
    if (expire != 0 && expire < 2 * 86400)
        out.push_back({false, "binlog_expire_logs_seconds", std::to_string(expire),
                       "the server may remove files that a stream which was away has not read",
                       "SET GLOBAL binlog_expire_logs_seconds=604800;"});
    if (expire == 0)
        out.push_back({false, "binlog_expire_logs_seconds", "0",
                       "the server never removes binlog files: its disk fills up",
                       "SET GLOBAL binlog_expire_logs_seconds=604800;"});
}

}  // namespace

std::vector<StreamFinding> check_stream(const sql::MariadbOptions& login) {
    sql::MariadbConnection server(login);
    std::vector<StreamFinding> out;
    for (const Wanted& wanted : kWanted) {
        std::string value =
            server.value(fmt::format("SELECT @@global.{}", wanted.name)).value_or("");
        if (value == wanted.value) continue;
        std::string fix =
            wanted.settable
                ? fmt::format("SET GLOBAL {}={};", wanted.name, sql_value(wanted.value))
                : "log_bin = bin        (in the server's option file, under [mariadbd])";
        out.push_back({wanted.serious, wanted.name, value, wanted.why, fix});
    }
    check_limits(server, out);
    Privileges rights(server);
    if (!rights.has("REPLICATION SLAVE"))
        out.push_back({true, "right REPLICATION SLAVE", "missing", "the server sends no binlog",
                       "GRANT REPLICATION SLAVE ON *.* TO CURRENT_USER;  (as an administrator, to "
                       "the stream's account)"});
    std::ranges::stable_sort(out, std::greater<>(), &StreamFinding::serious);
    return out;
}

}  // namespace sevenfold::database::mariadb
