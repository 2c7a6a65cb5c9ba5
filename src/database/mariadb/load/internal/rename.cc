#include "database/mariadb/load/internal/rename.h"

#include <strings.h>

#include <algorithm>
#include <string_view>

#include "database/mariadb/dump/internal/sql_text.h"
#include "sql/mariadb.h"

namespace sevenfold::database::mariadb {
namespace {

bool is_name_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || static_cast<uint8_t>(c) >= 0x80;
}

// Behind the comment that starts at `at`; `at` itself when none does. What the server executes in
// /*! … */ is no comment.
size_t skip_comment(std::string_view text, size_t at) {
    std::string_view rest = text.substr(at);
    bool line = rest.starts_with("#") || rest == "--" ||
                (rest.starts_with("--") && static_cast<uint8_t>(rest[2]) <= ' ');
    if (line) return std::min(text.find('\n', at), text.size());
    if (!rest.starts_with("/*") || rest.starts_with("/*!") || rest.starts_with("/*M!")) return at;
    size_t end = text.find("*/", at + 2);
    return end == text.npos ? text.size() : end + 2;
}

// In GRANT a database's name is a pattern: "my\_shop".
std::string without_escapes(const std::string& pattern) {
    std::string out;
    for (size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
        out += pattern[i];
    }
    return out;
}
std::string with_escapes(const std::string& name) {
    std::string out;
    for (char c : name) {
        if (c == '_' || c == '%' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

class Renamer {
  public:
    Renamer(std::string_view text, const DatabaseNames& names, bool ansi_quotes)
        : text_(text), names_(names), ansi_quotes_(ansi_quotes) {
        grant_ = text.starts_with("GRANT ");
    }

    std::string run() {
        while (at_ < text_.size()) {
            char c = text_[at_];
            size_t comment = skip_comment(text_, at_);
            if (comment != at_) {
                copy_to(comment);
            } else if (c == '\'' || (c == '"' && !ansi_quotes_)) {
                copy_to(skip_text(text_, at_));
            } else if (c == '`' || c == '"' || is_name_byte(c)) {
                name();
            } else {
                after_dot_ = c == '.';
                copy_to(at_ + 1);
            }
        }
        return std::move(out_);
    }

  private:
    void copy_to(size_t end) {
        out_ += text_.substr(at_, end - at_);
        at_ = end;
    }

    void name() {
        size_t end = at_;
        bool quoted = !is_name_byte(text_[at_]);
        std::string word;
        if (quoted) {
            word = read_quoted(text_, end);
        } else {
            while (end < text_.size() && is_name_byte(text_[end])) ++end;
            word = text_.substr(at_, end - at_);
        }
        bool before_dot = end < text_.size() && text_[end] == '.';
        // The rows of a trigger are no databases.
        bool row = !quoted &&
                   (strcasecmp(word.c_str(), "new") == 0 || strcasecmp(word.c_str(), "old") == 0);
        bool first = before_dot && !after_dot_ && !row;
        after_dot_ = false;
        auto found = first ? names_.find(grant_ ? without_escapes(word) : word) : names_.end();
        if (found == names_.end()) return copy_to(end);
        bool escaped = grant_ && found->first != word;
        out_ += sql::quote_name(escaped ? with_escapes(found->second) : found->second);
        at_ = end;
    }

    const std::string_view text_;
    const DatabaseNames& names_;
    const bool ansi_quotes_;
    bool grant_ = false, after_dot_ = false;
    size_t at_ = 0;
    std::string out_;
};

}  // namespace

std::string rename_databases(const std::string& statement, const DatabaseNames& names,
                             bool ansi_quotes) {
    if (names.empty()) return statement;
    for (std::string_view verb : {"USE ", "CREATE DATABASE ", "ALTER DATABASE "}) {
        if (!statement.starts_with(verb) || statement.size() <= verb.size()) continue;
        size_t at = verb.size();
        if (statement[at] != '`') continue;
        auto found = names.find(read_quoted(statement, at));
        if (found == names.end()) return statement;
        return std::string(verb) + sql::quote_name(found->second) + statement.substr(at);
    }
    return Renamer(statement, names, ansi_quotes).run();
}

}  // namespace sevenfold::database::mariadb
