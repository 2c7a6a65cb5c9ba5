#include "database/mariadb/binlog/statement.h"

#include <algorithm>
#include <array>
#include <cctype>
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

constexpr std::array<std::string_view, 9> kRowWords = {
    "INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "CALL", "WITH", "SELECT", "DO"};

}  // namespace

StatementKind statement_kind(std::string_view statement) {
    std::string word = take_word(statement);
    if (word == "BEGIN") return StatementKind::begin;
    if (word == "COMMIT") return StatementKind::commit;
    if (word == "SAVEPOINT" || word == "RELEASE") return StatementKind::savepoint;
    if (word == "ROLLBACK")
        return take_word(statement) == "TO" ? StatementKind::savepoint : StatementKind::rollback;
    if (word == "XA") return StatementKind::xa;
    bool rows = std::ranges::find(kRowWords, word) != kRowWords.end();
    return rows ? StatementKind::rows : StatementKind::other;
}

}  // namespace sevenfold::database::mariadb
