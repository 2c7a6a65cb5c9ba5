#include "database/mariadb/source/internal/edits.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace sevenfold::database::source {
namespace {

std::string first_word(std::string_view statement) {
    size_t begin = 0;
    for (;;) {
        begin = statement.find_first_not_of(" \t\r\n(;", begin);
        if (begin == statement.npos) return {};
        if (statement.substr(begin, 2) != "/*" || statement.substr(begin, 3) == "/*!") break;
        begin = statement.find("*/", begin);
        if (begin == statement.npos) return {};
        begin += 2;
    }
    std::string word;
    for (char c : statement.substr(begin)) {
        if (!std::isalpha(static_cast<unsigned char>(c))) break;
        word += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    return word;
}

template <size_t n>
bool contains(const std::array<std::string_view, n>& words, const std::string& word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

void check(const Gtid& gtid, const Replacement& replacement) {
    constexpr std::array<std::string_view, 9> kRefused = {
        "BEGIN", "COMMIT", "ROLLBACK", "START", "XA", "USE", "SET", "SAVEPOINT", "RELEASE"};
    auto fail = [&](const std::string& what) {
        throw Error(ErrorKind::usage, fmt::format("replacement of {}: {}", gtid.display(), what),
                    "Give statements that change rows, or one statement that changes a table.");
    };
    if (replacement.statements.empty()) fail("no statement");
    for (const std::string& statement : replacement.statements) {
        std::string word = first_word(statement);
        if (word.empty()) fail("not a statement: " + statement.substr(0, 80));
        if (contains(kRefused, word)) fail(word + " is not possible here");
        if (replacement.statements.size() > 1 && commits_itself(statement))
            fail(word + " commits by itself and must be the only statement");
    }
}

}  // namespace

bool commits_itself(std::string_view statement) {
    constexpr std::array<std::string_view, 15> kWords = {
        "ALTER",  "ANALYZE", "CHECK",    "CREATE", "DROP",   "FLUSH",    "GRANT",  "LOCK",
        "RENAME", "REPAIR",  "OPTIMIZE", "REVOKE", "UNLOCK", "TRUNCATE", "INSTALL"};
    return contains(kWords, first_word(statement));
}

Edits::Edits(const PlanOptions& options) : drop_(options.drop), replace_(options.replace) {
    for (const auto& [gtid, replacement] : replace_) {
        check(gtid, replacement);
        if (drop_.contains(gtid))
            throw Error(ErrorKind::usage, gtid.display() + " is both dropped and replaced");
    }
}

void Edits::drop(const Gtid& gtid) {
    std::lock_guard lock(mutex_);
    drop_.insert(gtid);
}

Edit Edits::of(const GtidEvent& transaction) {
    std::lock_guard lock(mutex_);
    const auto replacement = replace_.find(transaction.gtid);
    bool drop = drop_.contains(transaction.gtid);
    bool touched = drop || replacement != replace_.end();
    if (touched && transaction.two_phase_alter)
        throw Error(
            ErrorKind::unsupported,
            fmt::format("{} is half of an ALTER TABLE in two phases, which cannot be edited",
                        transaction.gtid.display()));
    bool prepared = transaction.flags & GtidEvent::prepared_xa;
    bool completed = transaction.flags & GtidEvent::completed_xa;
    if (completed && dropped_xa_.contains(transaction.xid) && replacement == replace_.end())
        return {Edit::empty, nullptr};
    if (prepared) {
        if (touched)
            dropped_xa_.insert(transaction.xid);
        else
            dropped_xa_.erase(transaction.xid);  // the name is used again
    }
    if (replacement != replace_.end()) return {Edit::statements, &replacement->second};
    if (!drop) return {};
    return {completed ? Edit::roll_back_xa : Edit::empty, nullptr};
}

}  // namespace sevenfold::database::source
