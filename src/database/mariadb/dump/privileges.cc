#include "database/mariadb/dump/privileges.h"

#include <fmt/format.h>

#include <regex>

namespace sevenfold::database::mariadb {
namespace {

using sql::quote_name;
using sql::quote_text;

// "`a\_b`" or "a\_b" as a pattern without quotes.
std::string unquoted(std::string text) {
    if (text.size() >= 2 && text.front() == '`' && text.back() == '`')
        text = text.substr(1, text.size() - 2);
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '`' && i + 1 < text.size() && text[i + 1] == '`') ++i;
        out += text[i];
    }
    return out;
}

// SQL's LIKE with backslash as escape.
bool like(std::string_view pattern, std::string_view text) {
    if (pattern.empty()) return text.empty();
    if (pattern[0] == '%') {
        for (size_t i = 0; i <= text.size(); ++i)
            if (like(pattern.substr(1), text.substr(i))) return true;
        return false;
    }
    if (text.empty()) return false;
    if (pattern[0] == '\\' && pattern.size() > 1)
        return pattern[1] == text[0] && like(pattern.substr(2), text.substr(1));
    return (pattern[0] == '_' || pattern[0] == text[0]) && like(pattern.substr(1), text.substr(1));
}

// "SELECT, SHOW VIEW, INSERT (a, b)" without those on columns.
std::set<std::string> split_privileges(const std::string& text) {
    std::set<std::string> out;
    std::string one;
    int depth = 0;
    bool on_columns = false;
    for (char c : text + ",") {
        if (c == '(') {
            ++depth;
            on_columns = true;
        } else if (c == ')') {
            --depth;
        } else if (c == ',' && depth == 0) {
            size_t start = one.find_first_not_of(' '), end = one.find_last_not_of(' ');
            if (!on_columns && start != one.npos) out.insert(one.substr(start, end - start + 1));
            one.clear();
            on_columns = false;
        } else if (depth == 0) {
            one += c;
        }
    }
    return out;
}

uint64_t count(sql::MariadbConnection& connection, const std::string& query) {
    return std::strtoull(connection.value(query).value_or("0").c_str(), nullptr, 10);
}

}  // namespace

Privileges::Privileges(sql::MariadbConnection& connection) {
    for (const sql::Row& row : connection.query("SHOW GRANTS")) add(row[0].value_or(""));
}

Privileges::Privileges(const std::vector<std::string>& grants) {
    for (const std::string& line : grants) add(line);
}

void Privileges::add(const std::string& line) {
    // The names of databases and accounts may hold anything but stand in backticks.
    static const std::regex kGrant(
        "GRANT (.+?) ON (TABLE )?(`(?:[^`]|``)*`|\\*)\\.(\\*|`.*?`) TO .*");
    std::smatch match;
    if (!std::regex_match(line, match, kGrant)) return;
    std::set<std::string> privileges = split_privileges(match[1]);
    if (match[3] == "*") {
        global_.merge(privileges);
        grant_option_ = grant_option_ || line.find("WITH GRANT OPTION") != line.npos;
    } else if (match[4] == "*") {
        databases_.emplace_back(unquoted(match[3]), std::move(privileges));
    }
}

bool Privileges::has(const std::string& privilege) const {
    return global_.contains(privilege) || all();
}

bool Privileges::has(const std::string& privilege, const std::string& database) const {
    if (has(privilege)) return true;
    for (const auto& [pattern, privileges] : databases_)
        if (like(pattern, database) &&
            (privileges.contains(privilege) || privileges.contains("ALL PRIVILEGES")))
            return true;
    return false;
}

void require_dump_privileges(sql::MariadbConnection& connection,
                             const std::vector<std::string>& databases, bool users) {
    Privileges privileges(connection);
    std::vector<std::string> missing;
    for (const char* right : {"SELECT", "SHOW VIEW", "TRIGGER", "EVENT"})
        for (const std::string& database : databases)
            if (!privileges.has(right, database))
                missing.push_back(fmt::format("{} on {}", right, database));
    // Routines of others show their text only to who may read the server's own tables.
    for (const char* table : {"proc", "event"}) try {
            connection.query(fmt::format("SELECT 1 FROM mysql.{} LIMIT 1", table));
        } catch (const sql::ServerError&) {
            missing.push_back(fmt::format("SELECT on mysql.{}", table));
        }
    if (users && !privileges.has("SELECT", "mysql")) missing.push_back("SELECT on mysql.*");
    if (missing.empty()) return;
    size_t more = missing.size() > 8 ? missing.size() - 8 : 0;
    missing.resize(missing.size() - more);
    throw Error(
        ErrorKind::permission,
        fmt::format("the account cannot read everything; it lacks {}{}", fmt::join(missing, ", "),
                    more ? fmt::format(" and {} more", more) : ""),
        "Without them the dump would silently be smaller; `sevenfold db grants` prints "
        "the statements.");
}

ObjectCounts count_objects(sql::MariadbConnection& connection, const Selection& selection,
                           const std::vector<std::string>& databases) {
    ObjectCounts out;
    uint64_t &tables = out["table"], &views = out["view"], &sequences = out["sequence"],
             &triggers = out["trigger"];
    for (const std::string& database : databases) {
        std::string quoted = quote_name(database);
        for (const sql::Row& row : connection.query("SHOW FULL TABLES FROM " + quoted)) {
            if (!selection.has_table(database, *row[0])) continue;
            std::string type = row[1].value_or("");
            ++(type == "VIEW" ? views : type == "SEQUENCE" ? sequences : tables);
        }
        for (const sql::Row& row : connection.query("SHOW TRIGGERS FROM " + quoted))
            if (selection.has_table(database, row[2].value_or(""))) ++triggers;
        std::string of = " WHERE db=" + quote_text(database);
        out["function"] +=
            count(connection, "SELECT COUNT(*) FROM mysql.proc" + of + " AND type='FUNCTION'");
        out["procedure"] +=
            count(connection, "SELECT COUNT(*) FROM mysql.proc" + of + " AND type<>'FUNCTION'");
        out["event"] += count(connection, "SELECT COUNT(*) FROM mysql.event" + of);
    }
    return out;
}

}  // namespace sevenfold::database::mariadb
