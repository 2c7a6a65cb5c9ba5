#include "database/mariadb/log_weight.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/log.h"
#include "database/mariadb/binlog/reader.h"
#include "database/mariadb/stream/position.h"

namespace sevenfold::database::mariadb {
namespace {

// Where a position is in an archive: the newest file of that name which does not begin after it.
std::optional<size_t> locate(const LogArchive& archive, const database::Position& position) {
    const auto& segments = archive.segments();
    for (size_t i = segments.size(); i-- > 0;) {
        if (segments[i].name != position.file || segments[i].size < position.offset) continue;
        auto begin = state_at_start(archive, i);
        if (begin && parse_gtid_list(position.gtid).contains_all(*begin)) return i;
    }
    return std::nullopt;
}

// The first words of a statement, in capitals, one space apart; comments before it left out.
std::string first_words(std::string_view statement) {
    std::string out;
    for (size_t i = 0; i < statement.size() && out.size() < 40;) {
        if (statement.substr(i).starts_with("/*")) {
            size_t end = statement.find("*/", i);
            i = end == statement.npos ? statement.size() : end + 2;
            continue;
        }
        auto c = static_cast<unsigned char>(statement[i++]);
        if (c > ' ')
            out += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
        else if (!out.empty() && out.back() != ' ')
            out += ' ';
    }
    return out;
}

bool rebuilds_a_table(std::string_view statement) {
    constexpr std::array<std::string_view, 12> kRisky = {"ALTER TABLE",
                                                         "ALTER ONLINE TABLE",
                                                         "ALTER IGNORE TABLE",
                                                         "CREATE INDEX",
                                                         "CREATE UNIQUE INDEX",
                                                         "CREATE FULLTEXT INDEX",
                                                         "CREATE SPATIAL INDEX",
                                                         "CREATE OR REPLACE INDEX",
                                                         "DROP INDEX",
                                                         "OPTIMIZE ",
                                                         "REPAIR ",
                                                         "ALTER DATABASE"};
    std::string words = first_words(statement);
    return std::ranges::any_of(kRisky,
                               [&](std::string_view risky) { return words.starts_with(risky); });
}

}  // namespace

uint64_t log_bytes(const LogArchive& archive, const database::Position& from,
                   const database::Position& to) {
    auto first = locate(archive, from), last = locate(archive, to);
    if (!first || !last || *last < *first) return 0;
    uint64_t bytes = 0;
    for (size_t i = *first; i < *last; ++i) bytes += archive.segments()[i].size;
    bytes += to.offset;
    return bytes > from.offset ? bytes - from.offset : 0;
}

std::optional<std::string> replay_risk(const LogArchive& archive, const database::Position& from,
                                       const database::Position& to) {
    auto first = locate(archive, from), last = locate(archive, to);
    if (!first || !last || *last < *first) return std::nullopt;
    const auto& segments = archive.segments();
    TransactionReader reader(archive, {.incarnation = segments[*first].incarnation,
                                       .file = segments[*first].name,
                                       .offset = std::max<uint64_t>(from.offset, 4),
                                       .count_rows = false});
    Transaction transaction;
    while (reader.next(transaction)) {
        bool beyond = transaction.segment > *last ||
                      (transaction.segment == *last && transaction.end > to.offset);
        if (beyond) break;
        if (transaction.statement_format)
            return fmt::format(
                "transaction {} changed rows by a statement, whose effect is not in "
                "the log",
                transaction.gtid.display());
        if (transaction.ddl && rebuilds_a_table(transaction.text))
            return fmt::format("{} changed a table's form: {}", transaction.gtid.display(),
                               printable(transaction.text.substr(0, 80)));
    }
    return std::nullopt;
}

}  // namespace sevenfold::database::mariadb
