#include "database/mariadb/binlog/statement.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <initializer_list>
#include <string>

namespace sevenfold::database::mariadb {
namespace {

bool space_or_bracket(char c) { return isspace(static_cast<unsigned char>(c)) != 0 || c == '('; }

// Passes over what may stand before a word. The content of /*! … */ and /*M! … */ is executed: only
// its head is passed over.
void skip_to_word(std::string_view& text) {
    for (;;) {
        while (!text.empty() && space_or_bracket(text.front())) text.remove_prefix(1);
        size_t size = 0;
        if (text.starts_with("/*!") || text.starts_with("/*M!")) {
            size = text.find('!') + 1;
            while (size < text.size() && isdigit(static_cast<unsigned char>(text[size])) != 0)
                ++size;
        } else if (text.starts_with("/*")) {
            size_t end = text.find("*/");
            size = end == std::string_view::npos ? text.size() : end + 2;
        } else if (text.starts_with('#') || text.starts_with("-- ")) {
            size_t end = text.find('\n');
            size = end == std::string_view::npos ? text.size() : end + 1;
        } else {
            return;
        }
        text.remove_prefix(size);
    }
}

std::string take_word(std::string_view& text) {
    skip_to_word(text);
    std::string word;
    while (!text.empty() && isalpha(static_cast<unsigned char>(text.front())) != 0) {
        word += static_cast<char>(toupper(static_cast<unsigned char>(text.front())));
        text.remove_prefix(1);
    }
    return word;
}

// What SET STATEMENT … FOR stands before.
std::string_view after_for(std::string_view text) {
    for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(1))
        if (isspace(static_cast<unsigned char>(rest.front())) != 0) {
            std::string_view tail = rest.substr(1);
            if (take_word(tail) == "FOR") return tail;
        }
    return {};
}

constexpr std::array<std::string_view, 9> kRowWords = {
    "INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "CALL", "WITH", "SELECT", "DO"};

// A name with or without backticks; empty when there is none.
std::string take_name(std::string_view& text) {
    while (!text.empty() && isspace(static_cast<unsigned char>(text.front())) != 0)
        text.remove_prefix(1);
    std::string name;
    if (!text.starts_with('`')) {
        while (!text.empty() &&
               (isalnum(static_cast<unsigned char>(text.front())) != 0 || text.front() == '_' ||
                text.front() == '$' || (static_cast<unsigned char>(text.front()) & 0x80) != 0)) {
            name += text.front();
            text.remove_prefix(1);
        }
        return name;
    }
    text.remove_prefix(1);
    while (!text.empty()) {
        if (text.starts_with("``"))
            text.remove_prefix(1);
        else if (text.front() == '`')
            break;
        name += text.front();
        text.remove_prefix(1);
    }
    if (!text.empty()) text.remove_prefix(1);
    return name;
}

// Takes `sign` when it is next.
bool take_sign(std::string_view& text, char sign) {
    while (!text.empty() && isspace(static_cast<unsigned char>(text.front())) != 0)
        text.remove_prefix(1);
    if (!text.starts_with(sign)) return false;
    text.remove_prefix(1);
    return true;
}

// Takes the words when they are next.
bool take_words(std::string_view& text, std::initializer_list<std::string_view> words) {
    std::string_view rest = text;
    for (std::string_view word : words)
        if (take_word(rest) != word) return false;
    text = rest;
    return true;
}

// What begins here and may hold semicolons: a quoted text or a comment; 0: nothing of the kind.
size_t opaque_size(std::string_view text) {
    auto until = [&](std::string_view end, size_t from) {
        size_t at = text.find(end, from);
        return at == text.npos ? text.size() : at + end.size();
    };
    const char quote = text.front();
    if (quote == '\'' || quote == '"' || quote == '`') {
        for (size_t at = 1; at < text.size(); ++at) {
            if (text[at] == '\\' && quote != '`')
                ++at;
            else if (text[at] == quote)  // doubled: another text follows at once
                return at + 1;
        }
        return text.size();
    }
    bool dashes =
        text.starts_with("--") && (text.size() == 2 || static_cast<unsigned char>(text[2]) <= ' ');
    if (quote == '#' || dashes) return until("\n", 1);
    // What the server runs of a comment may be quoted, too.
    if (text.starts_with("/*") && !text.starts_with("/*!") && !text.starts_with("/*M!"))
        return until("*/", 2);
    return 0;
}

}  // namespace

std::vector<std::string> statements_of(std::string_view text) {
    std::vector<std::string> out;
    size_t from = 0;
    auto take = [&](size_t to) {
        std::string_view statement = text.substr(from, to - from), content = statement;
        skip_to_word(content);
        if (!content.empty()) {
            size_t first = statement.find_first_not_of(" \t\r\n");
            size_t last = statement.find_last_not_of(" \t\r\n");
            out.emplace_back(statement.substr(first, last - first + 1));
        }
        from = to + 1;
    };
    for (size_t at = 0; at < text.size();) {
        size_t size = opaque_size(text.substr(at));
        if (size == 0 && text[at] == ';') take(at);
        at += std::max<size_t>(size, 1);
    }
    if (from < text.size()) take(text.size());
    return out;
}

std::string used_database(std::string_view statement) {
    return take_words(statement, {"USE"}) ? take_name(statement) : std::string();
}

StatementKind statement_kind(std::string_view statement) {
    std::string word = take_word(statement);
    if (word == "BEGIN") return StatementKind::begin;
    if (word == "COMMIT") return StatementKind::commit;
    if (word == "SAVEPOINT" || word == "RELEASE") return StatementKind::savepoint;
    if (word == "ROLLBACK")
        return take_word(statement) == "TO" ? StatementKind::savepoint : StatementKind::rollback;
    if (word == "XA") return StatementKind::xa;
    if (word == "SET" && take_word(statement) == "STATEMENT")
        return statement_kind(after_for(statement));
    bool rows = std::ranges::find(kRowWords, word) != kRowWords.end();
    return rows ? StatementKind::rows : StatementKind::other;
}

std::vector<std::pair<std::string, std::string>> named_tables(std::string_view statement,
                                                              const std::string& database) {
    std::vector<std::pair<std::string, std::string>> out;
    std::string verb = take_word(statement);
    bool known = verb == "CREATE" || verb == "ALTER" || verb == "DROP" || verb == "TRUNCATE" ||
                 verb == "RENAME";
    if (!known) return out;
    take_words(statement, {"OR", "REPLACE"});
    for (const char* word : {"ONLINE", "IGNORE", "TEMPORARY"}) take_words(statement, {word});
    if (!take_words(statement, {"TABLE"}) && verb != "TRUNCATE") return out;
    if (!take_words(statement, {"IF", "NOT", "EXISTS"})) take_words(statement, {"IF", "EXISTS"});
    for (;;) {
        skip_to_word(statement);
        std::string table = take_name(statement), schema = database;
        if (take_sign(statement, '.')) schema = std::exchange(table, take_name(statement));
        if (table.empty()) return out;
        out.emplace_back(schema, table);
        bool list = verb == "DROP" || verb == "RENAME";
        bool more = list && (take_sign(statement, ',') || take_words(statement, {"TO"}));
        if (!more) return out;
    }
}

std::string valid_utf8(std::string_view text) {
    std::string out;
    for (size_t at = 0; at < text.size();) {
        auto lead = static_cast<unsigned char>(text[at]);
        size_t size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        bool valid = size != 0 && lead <= 0xf4 && at + size <= text.size();
        for (size_t i = 1; valid && i < size; ++i)
            valid = (static_cast<unsigned char>(text[at + i]) & 0xc0) == 0x80;
        auto second = size > 1 && valid ? static_cast<unsigned char>(text[at + 1]) : 0;
        // Overlong forms, surrogates, and beyond U+10FFFF.
        if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
            (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f))
            valid = false;
        out += valid ? text.substr(at, size) : "\xef\xbf\xbd";
        at += valid ? size : 1;
    }
    return out;
}

}  // namespace sevenfold::database::mariadb
