#include "database/mariadb/dump/ranges.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <set>

namespace sevenfold::database::mariadb {
namespace {

using sql::quote_name;
using KeyColumn = TableInfo::KeyColumn;

constexpr size_t kMostPieces = 4096;
constexpr double kLeastOfStep = 0.25;  // of the wanted pieces; fewer: the keys are not spread

bool is_integer(const std::string& type) {
    static const std::set<std::string> kTypes = {"tinyint", "smallint", "mediumint", "int",
                                                 "bigint"};
    return kTypes.contains(type);
}
bool is_text(const std::string& type) { return type == "char" || type == "varchar"; }
bool is_bytes(const std::string& type) { return type == "binary" || type == "varbinary"; }

// Types whose values compare with a literal in the order of the index. Not so: ENUM and SET (by
// number there, by text here), FLOAT (not exact), keys on the first part of a column.
bool is_comparable(const KeyColumn& column) {
    static const std::set<std::string> kPlain = {"decimal", "date", "datetime", "timestamp",
                                                 "time"};
    if (column.prefix) return false;
    return is_integer(column.data_type) || is_text(column.data_type) ||
           is_bytes(column.data_type) || kPlain.contains(column.data_type);
}

// What to select of a key column, and how to write the value that came.
std::string selected(const KeyColumn& column) {
    std::string name = quote_name(column.name);
    return is_text(column.data_type) || is_bytes(column.data_type) ? "HEX(" + name + ")" : name;
}
std::string literal(const KeyColumn& column, const std::string& value) {
    if (is_text(column.data_type)) return fmt::format("_{} X'{}'", column.charset, value);
    if (is_bytes(column.data_type)) return "X'" + value + "'";
    if (is_integer(column.data_type) || column.data_type == "decimal") return value;
    return "'" + value + "'";
}

// "(a > 1 OR (a = 1 AND (b > 2 OR (b = 2 AND c >= 3))))": at or after a key. With `<` before it.
using Bound = std::vector<std::string>;  // a literal for each column, or for the first ones
std::string compare(const std::vector<KeyColumn>& key, const Bound& bound, bool before) {
    std::string out;
    for (size_t i = bound.size(); i-- > 0;) {
        std::string name = quote_name(key[i].name);
        if (i + 1 == bound.size())
            out = fmt::format("{} {} {}", name, before ? "<" : ">=", bound[i]);
        else
            out = fmt::format("({0} {1} {2} OR ({0} = {2} AND {3}))", name, before ? "<" : ">",
                              bound[i], out);
    }
    return out;
}

std::vector<std::string> conditions(const std::vector<KeyColumn>& key,
                                    const std::vector<Bound>& bounds) {
    if (bounds.empty()) return {""};
    std::vector<std::string> out = {compare(key, bounds.front(), true)};
    for (size_t i = 0; i + 1 < bounds.size(); ++i)
        out.push_back(compare(key, bounds[i], false) + " AND " + compare(key, bounds[i + 1], true));
    out.push_back(compare(key, bounds.back(), false));
    return out;
}

// Multiples of a power of two between the smallest and the greatest key.
std::vector<Bound> integer_bounds(const std::string& smallest, const std::string& greatest,
                                  double pieces) {
    using Wide = __int128;
    auto parse = [](const std::string& text) {
        return text.starts_with('-') ? Wide(std::strtoll(text.c_str(), nullptr, 10))
                                     : Wide(std::strtoull(text.c_str(), nullptr, 10));
    };
    Wide low = parse(smallest), high = parse(greatest);
    Wide step = 1;
    while (static_cast<double>(high - low) / static_cast<double>(step) > pieces) step *= 2;
    std::vector<Bound> out;
    Wide first = low >= 0 ? (low / step + 1) * step : -(-low / step) * step;
    if (first <= low) first += step;
    for (Wide at = first; at <= high && out.size() < kMostPieces; at += step)
        out.push_back({at < 0 ? fmt::format("{}", static_cast<int64_t>(at))
                              : fmt::format("{}", static_cast<uint64_t>(at))});
    return out;
}

// Keys whose checksum is a multiple of a power of two, about one in `rows_a_piece`.
std::vector<Bound> sampled_bounds(const TableInfo& table, double rows_a_piece, const Ask& ask) {
    uint64_t step = 1;
    while (static_cast<double>(step) < rows_a_piece) step *= 2;
    std::string columns, names, hash;
    for (const KeyColumn& column : table.primary_key) {
        const char* comma = names.empty() ? "" : ",";
        columns += comma + selected(column);
        names += comma + quote_name(column.name);
        std::string one = "CRC32(" + quote_name(column.name) + ")";
        hash = hash.empty() ? one : fmt::format("(31 * ({} & 0xFFFFFFFF) + {})", hash, one);
    }
    std::vector<Bound> out;
    for (const sql::Row& row : ask(fmt::format(
             "SELECT {} FROM {} WHERE {} & {} = 0 ORDER BY {} LIMIT {}", columns,
             quote_name(table.database, table.name), hash, step - 1, names, kMostPieces))) {
        Bound bound;
        for (size_t i = 0; i < row.size(); ++i)
            bound.push_back(literal(table.primary_key[i], row[i].value_or("")));
        out.push_back(std::move(bound));
    }
    return out;
}

}  // namespace

std::vector<std::string> cut_table(const TableInfo& table, uint64_t piece_bytes, const Ask& ask) {
    bool small = table.data_length <= piece_bytes;
    if (small || !table.transactional || table.primary_key.empty() || table.versioned) return {""};
    double pieces = static_cast<double>(table.data_length) / static_cast<double>(piece_bytes);
    pieces = std::min<double>(pieces, kMostPieces / 2.0);
    const KeyColumn& first = table.primary_key[0];
    if (is_integer(first.data_type)) {
        auto row = ask(fmt::format("SELECT MIN({0}), MAX({0}) FROM {1}", quote_name(first.name),
                                   quote_name(table.database, table.name)))
                       .at(0);
        if (!row[0] || !row[1]) return {""};
        auto bounds = integer_bounds(*row[0], *row[1], pieces);
        // A first column with few values (a tenant, a kind) leaves pieces that are too large.
        bool spread = static_cast<double>(bounds.size()) >= pieces * kLeastOfStep;
        if (spread || table.primary_key.size() == 1) return conditions(table.primary_key, bounds);
    }
    if (pieces < 2 || !std::ranges::all_of(table.primary_key, is_comparable)) return {""};
    double rows = static_cast<double>(std::max<uint64_t>(table.estimated_rows, 1));
    return conditions(table.primary_key, sampled_bounds(table, rows / pieces, ask));
}

}  // namespace sevenfold::database::mariadb
