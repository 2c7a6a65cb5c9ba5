#include "database/mariadb/stream/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace sevenfold::database::mariadb {
namespace {

using Weight = StreamFinding::Weight;
using Variables = std::map<std::string, std::string>;

struct Rule {
    const char* variable;
    const char* wanted;
    Weight weight;
    bool semi_sync;  // matters to it alone
    bool dynamic;    // can be set while the server runs
    const char* meaning;
};

constexpr Rule kRules[] = {
    {"log_bin", "ON", Weight::error, false, false, "Without a binlog there is nothing to stream."},
    {"rpl_semi_sync_master_enabled", "ON", Weight::warning, true, true,
     "Commits do not wait for the receiver: the newest ones are lost with the server."},
    {"rpl_semi_sync_master_wait_point", "AFTER_SYNC", Weight::warning, true, true,
     "With AFTER_COMMIT others see a transaction before the receiver has it."},
    {"rpl_semi_sync_master_wait_no_slave", "OFF", Weight::warning, true, true,
     "With ON every commit waits for the whole timeout while no receiver is connected."},
    {"sync_binlog", "1", Weight::warning, false, true,
     "After a crash of its machine the server may lose transactions that the stream has: a gap."},
    {"innodb_flush_log_at_trx_commit", "1", Weight::warning, false, true,
     "After a crash of its machine the server may lose transactions that the stream has."},
    {"binlog_format", "ROW", Weight::warning, false, true,
     "Statements may give other data when they are replayed, and rows cannot be undone."},
    {"binlog_row_image", "FULL", Weight::warning, false, true,
     "Without full images a transaction cannot be undone."},
    {"binlog_row_metadata", "FULL", Weight::warning, false, true,
     "Without the names of columns, the timeline cannot show them."},
    {"binlog_annotate_row_events", "ON", Weight::note, false, true,
     "Without annotations the timeline cannot show statements."},
    {"binlog_checksum", "CRC32", Weight::warning, false, true,
     "Without checksums damage on the way is not noticed."},
    {"gtid_strict_mode", "ON", Weight::warning, false, true,
     "Without it transactions can come out of order, which makes positions ambiguous."},
};

bool is_wanted(const std::string& value, std::string_view wanted) {
    if (value == wanted) return true;
    // Switches are 0 and 1 to SELECT, ON and OFF to SHOW.
    return (wanted == "ON" && value == "1") || (wanted == "OFF" && value == "0");
}

StreamFinding finding(const Rule& rule, const std::string& value) {
    std::string name = rule.variable, wanted = rule.wanted;
    StreamFinding out{.weight = rule.weight,
                      .setting = name,
                      .value = value,
                      .meaning = rule.meaning,
                      .config = name + " = " + wanted};
    bool number = wanted.find_first_not_of("0123456789") == std::string::npos;
    bool word = wanted == "ON" || wanted == "OFF" || number;
    if (rule.dynamic)
        out.now = fmt::format("SET GLOBAL {} = {};", name, word ? wanted : "'" + wanted + "'");
    if (name == "log_bin") out.config = "log_bin = mysql-bin";
    return out;
}

uint64_t number_of(const Variables& all, const std::string& name) {
    auto at = all.find(name);
    if (at == all.end()) return 0;
    try {
        return static_cast<uint64_t>(std::stod(at->second));
    } catch (const std::exception&) {
        return 0;
    }
}

void check_timeout(const Variables& all, std::vector<StreamFinding>& out) {
    auto at = all.find("rpl_semi_sync_master_timeout");
    if (at == all.end()) return;
    uint64_t timeout = number_of(all, at->first);
    if (timeout >= 2000 && timeout <= 60'000) return;
    out.push_back({.setting = at->first,
                   .value = at->second,
                   .meaning = timeout < 2000
                                  ? "The server stops waiting before the receiver can fall back to "
                                    "one spool: the newest commits may be lost."
                                  : "A receiver that hangs would stop production for longer than a "
                                    "minute.",
                   .now = "SET GLOBAL rpl_semi_sync_master_timeout = 10000;",
                   .config = "rpl_semi_sync_master_timeout = 10000"});
}

void check_expiry(const Variables& all, std::vector<StreamFinding>& out) {
    constexpr uint64_t kWeek = 7 * 86400;
    uint64_t days = number_of(all, "expire_logs_days");
    uint64_t seconds = std::max(number_of(all, "binlog_expire_logs_seconds"), days * 86400);
    std::string value = std::to_string(seconds) + " s";
    if (seconds == 0)
        out.push_back({.weight = Weight::note,
                       .setting = "binlog_expire_logs_seconds",
                       .value = "0",
                       .meaning = "Log files are never removed and fill the disk in the end.",
                       .now = "SET GLOBAL binlog_expire_logs_seconds = 604800;",
                       .config = "binlog_expire_logs_seconds = 604800"});
    else if (seconds < kWeek / 7)
        out.push_back({.setting = "binlog_expire_logs_seconds",
                       .value = value,
                       .meaning = "A receiver that is away for longer leaves a gap.",
                       .now = "SET GLOBAL binlog_expire_logs_seconds = 604800;",
                       .config = "binlog_expire_logs_seconds = 604800"});
}

void check_notes(const Variables& all, std::vector<StreamFinding>& out) {
    auto is_on = [&](const char* name) {
        auto at = all.find(name);
        return at != all.end() && is_wanted(at->second, "ON");
    };
    if (is_on("encrypt_binlog"))
        out.push_back({.weight = Weight::note,
                       .setting = "encrypt_binlog",
                       .value = "ON",
                       .meaning = "The server sends its log decrypted: use TLS to it, and keep the "
                                  "spool on an encrypted disk."});
    if (is_on("log_bin_compress"))
        out.push_back({.weight = Weight::note,
                       .setting = "log_bin_compress",
                       .value = "ON",
                       .meaning = "Events are stored compressed, as they come."});
}

// Rights are tested by using them; what cannot be tried is read from the grants.
void check_rights(sql::MariadbConnection& connection, std::vector<StreamFinding>& out) {
    bool replication = false;
    std::string account = connection.value("SELECT CURRENT_USER()").value_or("");
    for (const sql::Row& row : connection.query("SHOW GRANTS")) {
        const std::string grant = row.empty() ? "" : row[0].value_or("");
        if (grant.find(" ON *.* ") == std::string::npos) continue;
        replication |= grant.find("REPLICATION SLAVE") != std::string::npos ||
                       grant.find("ALL PRIVILEGES") != std::string::npos;
    }
    if (replication) return;
    size_t at = account.rfind('@');
    std::string quoted = at == account.npos ? account
                                            : sql::quote_text(account.substr(0, at)) + "@" +
                                                  sql::quote_text(account.substr(at + 1));
    out.push_back({.weight = Weight::error,
                   .setting = "REPLICATION SLAVE",
                   .value = "missing",
                   .meaning = "The account may not receive the binlog.",
                   .now = fmt::format("GRANT REPLICATION SLAVE ON *.* TO {};", quoted)});
}

}  // namespace

std::vector<StreamFinding> check_stream(sql::MariadbConnection& connection, bool semi_sync) {
    Variables all;
    for (const sql::Row& row : connection.query("SHOW GLOBAL VARIABLES"))
        if (row.size() == 2 && row[0]) all[*row[0]] = row[1].value_or("");
    std::vector<StreamFinding> out;
    for (const Rule& rule : kRules) {
        if (rule.semi_sync && !semi_sync) continue;
        auto at = all.find(rule.variable);
        if (at == all.end()) continue;
        if (!is_wanted(at->second, rule.wanted)) out.push_back(finding(rule, at->second));
    }
    if (semi_sync) check_timeout(all, out);
    check_expiry(all, out);
    check_notes(all, out);
    check_rights(connection, out);
    std::ranges::stable_sort(
        out, [](const StreamFinding& a, const StreamFinding& b) { return a.weight > b.weight; });
    return out;
}

}  // namespace sevenfold::database::mariadb
