// Names and texts inside of statements.
#pragma once

#include <string>
#include <string_view>

namespace sevenfold::database::mariadb {

// The name in backticks (or other quotes, which are doubled within) at `at`; moves `at` behind it.
inline std::string read_quoted(std::string_view text, size_t& at) {
    const char quote = text[at];
    std::string out;
    for (++at; at < text.size(); ++at) {
        if (text[at] == quote) {
            ++at;
            if (at >= text.size() || text[at] != quote) return out;
        }
        out += text[at];
    }
    return out;
}

// Behind the text in quotes that starts at `at`.
inline size_t skip_text(std::string_view text, size_t at) {
    char quote = text[at];
    for (++at; at < text.size(); ++at) {
        if (text[at] == '\\') {
            ++at;
        } else if (text[at] == quote) {
            if (at + 1 >= text.size() || text[at + 1] != quote) return at + 1;
            ++at;
        }
    }
    return text.size();
}

// Calls `each` with the pairs `a`.`b` of a statement as the server prints it, unquoted, with the
// place of the first of the two names; those inside of texts are not seen. Of `a`.`b`.`c` it is the
// first pair.
template <class F>
void for_each_qualified(std::string_view statement, F&& each) {
    for (size_t at = 0; at < statement.size();) {
        if (statement[at] == '\'' || statement[at] == '"') {
            at = skip_text(statement, at);
        } else if (statement[at] != '`') {
            ++at;
        } else {
            size_t start = at;
            std::string first = read_quoted(statement, at);
            if (at + 1 >= statement.size() || statement[at] != '.' || statement[at + 1] != '`')
                continue;
            std::string second = read_quoted(statement, ++at);
            each(first, second, start);
            if (at + 1 < statement.size() && statement[at] == '.' && statement[at + 1] == '`')
                read_quoted(statement, ++at);
        }
    }
}

}  // namespace sevenfold::database::mariadb
