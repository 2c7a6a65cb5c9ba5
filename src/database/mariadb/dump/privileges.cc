#include "database/mariadb/dump/privileges.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace sevenfold::database::mariadb {
namespace {

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

// Where a quoted or bare word of a GRANT statement ends.
size_t word_end(const std::string& text, size_t at) {
    if (at >= text.size() || text[at] != '`') return at < text.size() ? at + 1 : at;
    for (++at; at < text.size(); ++at)
        if (text[at] == '`') {
            if (at + 1 < text.size() && text[at + 1] == '`')
                ++at;
            else
                return at + 1;
        }
    return at;
}

// The place of " ON " outside of quotes and parentheses.
size_t find_on(const std::string& text) {
    int depth = 0;
    for (size_t at = 0; at < text.size();) {
        if (text[at] == '`') {
            at = word_end(text, at);
            continue;
        }
        depth += text[at] == '(' ? 1 : text[at] == ')' ? -1 : 0;
        if (depth == 0 && text.compare(at, 4, " ON ") == 0) return at;
        ++at;
    }
    return text.npos;
}

// Lines of SHOW GRANTS that are about everything or about a whole database.
struct GrantLine {
    std::string privileges, database, grantee;  // database: "*" or a quoted pattern
    bool with_grant_option = false;
};
std::optional<GrantLine> parse_grant(const std::string& line) {
    constexpr std::string_view kGrant = "GRANT ";
    size_t on = line.starts_with(kGrant) ? find_on(line) : line.npos;
    if (on == line.npos) return std::nullopt;
    size_t object = on + 4;
    if (object >= line.size() || (line[object] != '*' && line[object] != '`')) return std::nullopt;
    size_t dot = word_end(line, object);
    if (line.compare(dot, 6, ".* TO ") != 0) return std::nullopt;
    GrantLine out;
    out.privileges = line.substr(kGrant.size(), on - kGrant.size());
    out.database = line.substr(object, dot - object);
    std::string rest = line.substr(dot + 6);
    size_t end = word_end(rest, 0);
    if (end < rest.size() && rest[end] == '@') end = word_end(rest, end + 1);
    out.grantee = rest.substr(0, end);
    out.with_grant_option = rest.find("WITH GRANT OPTION", end) != rest.npos;
    return out;
}

}  // namespace

Privileges::Privileges(sql::MariadbConnection& connection) {
    for (const sql::Row& row : connection.query("SHOW GRANTS")) add(row[0].value_or(""));
}

Privileges::Privileges(const std::vector<std::string>& grants) {
    for (const std::string& line : grants) add(line);
}

void Privileges::add(const std::string& line) {
    auto grant = parse_grant(line);
    if (!grant) return;
    std::set<std::string> privileges = split_privileges(grant->privileges);
    if (grant->database == "*") {
        global_.merge(privileges);
        grant_option_ = grant_option_ || grant->with_grant_option;
    } else {
        databases_[grant->grantee].emplace_back(unquoted(grant->database), std::move(privileges));
    }
}

bool Privileges::has(const std::string& privilege) const {
    return global_.contains(privilege) || all();
}

bool Privileges::has(const std::string& privilege, const std::string& database) const {
    if (has(privilege)) return true;
    // Of several patterns that match, the server takes one for each account and role, the most
    // precise: what all of them give is given for certain.
    for (const auto& [grantee, patterns] : databases_) {
        bool matched = false, given = true;
        for (const auto& [pattern, privileges] : patterns) {
            if (!like(pattern, database)) continue;
            matched = true;
            given =
                given && (privileges.contains(privilege) || privileges.contains("ALL PRIVILEGES"));
        }
        if (matched && given) return true;
    }
    return false;
}

void require_dump_privileges(sql::MariadbConnection& connection, const Selection& selection,
                             const std::vector<std::string>& databases, bool users) {
    Privileges privileges(connection);
    std::vector<std::string> missing;
    // A database on which it has no right at all is invisible to an account.
    if (selection.is_open() && !privileges.has("SELECT") && !privileges.has("SHOW DATABASES"))
        missing.push_back("SHOW DATABASES on *.*");
    for (const std::string& database : selection.databases)
        if (!selection.is_open() && std::ranges::find(databases, database) == databases.end())
            missing.push_back(fmt::format("database {} (or it does not exist)", database));
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

}  // namespace sevenfold::database::mariadb
