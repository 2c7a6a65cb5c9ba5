#include "database/mariadb/dump/ranges.h"

#include <fmt/format.h>

#include <cstdlib>

namespace sevenfold::database::mariadb {
namespace {

constexpr size_t kMostPieces = 4096;

bool is_integer(const std::string& type) {
    return type == "tinyint" || type == "smallint" || type == "mediumint" || type == "int" ||
           type == "bigint";
}

// Keys that are spread over 16 or more leading digits: UUIDs, hashes, random bytes.
std::vector<std::string> by_leading_digit(const TableInfo::KeyColumn& column) {
    std::vector<std::string> bounds;
    for (char digit : std::string("123456789abcdef"))
        if (column.data_type == "binary" || column.data_type == "varbinary")
            bounds.push_back(fmt::format("X'{}0'", digit));
        else
            bounds.push_back(fmt::format("'{}'", digit));
    return bounds;
}

std::vector<std::string> conditions(const std::string& name,
                                    const std::vector<std::string>& bounds) {
    if (bounds.empty()) return {""};
    std::string column = sql::quote_name(name);
    std::vector<std::string> out = {fmt::format("{} < {}", column, bounds.front())};
    for (size_t i = 0; i + 1 < bounds.size(); ++i)
        out.push_back(
            fmt::format("{} >= {} AND {} < {}", column, bounds[i], column, bounds[i + 1]));
    out.push_back(fmt::format("{} >= {}", column, bounds.back()));
    return out;
}

// Multiples of a power of two between the smallest and the greatest key.
std::vector<std::string> integer_bounds(const std::string& smallest, const std::string& greatest,
                                        double pieces) {
    using Wide = __int128;
    auto parse = [](const std::string& text) {
        return text.starts_with('-') ? Wide(std::strtoll(text.c_str(), nullptr, 10))
                                     : Wide(std::strtoull(text.c_str(), nullptr, 10));
    };
    Wide low = parse(smallest), high = parse(greatest);
    Wide step = 1;
    while (static_cast<double>(high - low) / static_cast<double>(step) > pieces) step *= 2;
    std::vector<std::string> out;
    Wide first = low >= 0 ? (low / step + 1) * step : -(-low / step) * step;
    if (first <= low) first += step;
    for (Wide at = first; at <= high && out.size() < kMostPieces; at += step)
        out.push_back(at < 0 ? fmt::format("{}", static_cast<int64_t>(at))
                             : fmt::format("{}", static_cast<uint64_t>(at)));
    return out;
}

}  // namespace

std::vector<std::string> cut_table(
    const TableInfo& table, uint64_t piece_bytes,
    const std::function<std::optional<std::string>(const std::string& expression)>& extreme) {
    bool small = table.data_length <= piece_bytes;
    if (small || !table.transactional || table.primary_key.empty() || table.versioned) return {""};
    const TableInfo::KeyColumn& column = table.primary_key[0];
    double pieces = static_cast<double>(table.data_length) / static_cast<double>(piece_bytes);
    if (is_integer(column.data_type)) {
        auto low = extreme(fmt::format("MIN({})", sql::quote_name(column.name)));
        auto high = extreme(fmt::format("MAX({})", sql::quote_name(column.name)));
        if (!low || !high) return {""};
        return conditions(column.name,
                          integer_bounds(*low, *high, std::min<double>(pieces, kMostPieces / 2.0)));
    }
    bool spread = column.data_type == "binary" || column.data_type == "varbinary" ||
                  column.data_type == "char" || column.data_type == "varchar" ||
                  column.data_type == "uuid";
    if (!spread || pieces < 4 || column.data_type == "uuid") return {""};
    return conditions(column.name, by_leading_digit(column));
}

}  // namespace sevenfold::database::mariadb
