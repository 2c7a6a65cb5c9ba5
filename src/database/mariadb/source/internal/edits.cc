#include "database/mariadb/source/internal/edits.h"

#include <fmt/format.h>

#include "database/mariadb/binlog/statement.h"

namespace sevenfold::database::mariadb::source {
namespace {

constexpr size_t kLongestStatement = 16 << 20;

}  // namespace

void check_replacement(const Gtid& gtid, const Replacement& replacement) {
    auto fail = [&](const std::string& what) {
        throw Error(ErrorKind::usage, fmt::format("replacement of {}: {}", gtid.display(), what),
                    "Give statements that change rows, or one statement that changes a table.");
    };
    if (replacement.statements.empty()) fail("no statement");
    if (replacement.database.size() > 255) fail("the database's name is too long");
    for (const std::string& statement : replacement.statements) {
        std::string start = statement.substr(0, 80);
        if (statement.size() > kLongestStatement) fail("longer than 16 MiB: " + start);
        StatementKind kind = statement_kind(statement);
        if (kind != StatementKind::rows && kind != StatementKind::other)
            fail("this statement is part of a transaction: " + start);
        if (replacement.statements.size() > 1 && commits_itself(statement))
            fail("commits by itself and must be the only statement: " + start);
    }
}

Replacement parse_replacement(const std::vector<std::string>& texts, const std::string& database) {
    Replacement out{{}, database};
    for (const std::string& text : texts)
        for (std::string& statement : statements_of(text)) {
            std::string used = used_database(statement);
            if (!used.empty() && out.statements.empty())
                out.database = used;
            else
                out.statements.push_back(std::move(statement));
        }
    return out;
}

bool commits_itself(std::string_view statement) {
    return statement_kind(statement) == StatementKind::other;
}

Edits::Edits(const PlanOptions& options) : drop_(options.drop), replace_(options.replace) {
    for (const auto& [gtid, replacement] : replace_) {
        check_replacement(gtid, replacement);
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
    if (touched && transaction.split_alter)
        throw Error(
            ErrorKind::unsupported,
            fmt::format("{} is half of an ALTER TABLE in two phases, which cannot be edited",
                        transaction.gtid.display()));
    bool prepared = transaction.has(GtidEvent::kPreparedXa);
    bool completed = transaction.has(GtidEvent::kCompletedXa);
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

}  // namespace sevenfold::database::mariadb::source
