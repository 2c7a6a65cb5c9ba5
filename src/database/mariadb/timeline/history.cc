#include "database/mariadb/timeline/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace sevenfold::database::mariadb {
namespace {

using Kind = Value::Kind;

bool one_of(std::string_view word, std::initializer_list<std::string_view> words) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

Kind kind_of(const ColumnSchema& column) {
    const std::string& type = column.data_type;
    if (type.ends_with("int")) return column.is_unsigned() ? Kind::natural : Kind::integer;
    static constexpr std::array<std::pair<std::string_view, Kind>, 12> kKinds = {{
        {"float", Kind::real32},
        {"double", Kind::real64},
        {"decimal", Kind::decimal},
        {"enum", Kind::enumeration},
        {"set", Kind::set},
        {"bit", Kind::bits},
        {"year", Kind::year},
        {"date", Kind::date},
        {"time", Kind::time},
        {"datetime", Kind::datetime},
        {"timestamp", Kind::timestamp},
        {"geometry", Kind::geometry},
    }};
    for (const auto& [name, kind] : kKinds)
        if (name == type) return kind;
    if (one_of(type, {"point", "linestring", "polygon", "multipoint", "multilinestring",
                      "multipolygon", "geometrycollection"}))
        return Kind::geometry;
    return column.character_set.empty() ? Kind::binary : Kind::text;
}

// What reads the column without loss: bytes in its own character set, numbers as text.
std::string expression(const ColumnSchema& column) {
    std::string name = sql::quote_name(column.name);
    switch (kind_of(column)) {
        case Kind::enumeration:
        case Kind::set:
        case Kind::bits:
        case Kind::year:
            return name + "+0";
        case Kind::real32:  // its exact value: a FLOAT is shown with six digits
            return name + "+0e0";
        case Kind::text:
            return fmt::format("CAST({} AS BINARY)", name);
        case Kind::geometry:
            return fmt::format("UNHEX(HEX({}))", name);
        case Kind::binary:
            if (column.data_type == "uuid") return fmt::format("UNHEX(REPLACE({}, '-', ''))", name);
            if (column.data_type.starts_with("inet")) return fmt::format("INET6_ATON({})", name);
            return name;
        default:
            return name;
    }
}

Value value_of(const ColumnSchema& column, const std::optional<std::string>& field) {
    Value value;
    if (!field) return value;
    value.kind = kind_of(column);
    switch (value.kind) {
        case Kind::integer:
            value.number = static_cast<uint64_t>(std::strtoll(field->c_str(), nullptr, 10));
            break;
        case Kind::natural:
        case Kind::enumeration:
        case Kind::set:
        case Kind::bits:
        case Kind::year:
            value.number = std::strtoull(field->c_str(), nullptr, 10);
            break;
        case Kind::real32:
        case Kind::real64:
            value.real = std::strtod(field->c_str(), nullptr);
            break;
        default:
            value.bytes = *field;
            if (value.kind == Kind::text) value.collation = collation_of(column.character_set);
            break;
    }
    return value;
}

}  // namespace

std::vector<RowImage> ServerHistory::rows(const TableSchema& table,
                                          const std::vector<std::string>& columns,
                                          const std::vector<Value>& values) {
    std::string fields, condition;
    for (const ColumnSchema& column : table.columns)
        if (!column.generated) fields += (fields.empty() ? "" : ", ") + expression(column);
    for (size_t i = 0; i < columns.size(); ++i)
        condition += fmt::format("{}{} <=> {}", i == 0 ? "" : " AND ", sql::quote_name(columns[i]),
                                 sql_literal(values.at(i)));
    std::vector<RowImage> images;
    for (const sql::Row& row :
         connection_.query(fmt::format("SELECT {} FROM {} WHERE {}", fields,
                                       sql::quote_name(table.database, table.name), condition))) {
        RowImage image;
        size_t at = 0;
        for (const ColumnSchema& column : table.columns) {
            image.emplace_back();
            if (!column.generated) image.back() = value_of(column, row.at(at++));
        }
        images.push_back(std::move(image));
    }
    return images;
}

}  // namespace sevenfold::database::mariadb
