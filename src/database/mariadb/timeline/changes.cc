#include "database/mariadb/timeline/changes.h"

#include <fmt/format.h>

#include <map>

#include "database/mariadb/binlog/statement.h"

namespace sevenfold::database::mariadb {
namespace {

void complete_column(Column& column, const ColumnSchema& schema) {
    column.name = schema.name;
    if (column.numeric()) column.is_unsigned = schema.is_unsigned();
    if (!column.collation && (column.character() || column.has_members()))
        column.collation = collation_of(schema.character_set);
    if (column.has_members() && column.members.empty())
        column.members = parse_members(schema.column_type);
}

// MariaDB's own formats of times with fractions say nothing of their decimals in any log.
void complete_decimals(Column& column, const ColumnSchema& schema) {
    bool old = column.type == ColumnType::time || column.type == ColumnType::datetime ||
               column.type == ColumnType::timestamp;
    if (old && schema.decimals <= 6) column.scale = static_cast<uint8_t>(schema.decimals);
}

}  // namespace

std::vector<std::string> parse_members(std::string_view column_type) {
    std::vector<std::string> members;
    size_t at = column_type.find('(');
    while (at != std::string_view::npos && ++at < column_type.size() && column_type[at] == '\'') {
        std::string member;
        for (++at; at < column_type.size(); ++at) {
            if (column_type[at] == '\'' && ++at < column_type.size() && column_type[at] != '\'')
                break;
            if (at < column_type.size()) member += column_type[at];
        }
        members.push_back(std::move(member));
        if (at >= column_type.size() || column_type[at] != ',') break;
    }
    return members;
}

void complete(TableMap& map, const TableSchema* schema) {
    bool named = map.named();
    bool fits = schema != nullptr && schema->columns.size() == map.columns.size();
    for (size_t i = 0; i < map.columns.size(); ++i) {
        if (fits && !named) complete_column(map.columns[i], schema->columns[i]);
        if (fits) complete_decimals(map.columns[i], schema->columns[i]);
        if (map.columns[i].name.empty()) map.columns[i].name = fmt::format("@{}", i + 1);
    }
}

void visit_changes(const LogArchive& archive, const Transaction& transaction, SchemaSource* schemas,
                   const std::function<bool(const ChangedRow&)>& visit) {
    struct Known {
        TableMap map;
        const TableSchema* schema;
    };
    std::map<uint64_t, Known> tables;
    std::string statement;
    visit_events(
        archive, transaction, [&](const Event& event, const Format& format, uint64_t offset) {
            if (event.header.type == EventType::annotate_rows) {
                statement = valid_utf8(decode_annotate_rows(event));
            } else if (event.header.type == EventType::table_map) {
                Known known{decode_table_map(event, format), nullptr};
                if (schemas != nullptr)
                    known.schema = schemas->find(known.map.database, known.map.table);
                complete(known.map, known.schema);
                tables.insert_or_assign(known.map.id, std::move(known));
            } else if (is_rows(event.header.type)) {
                RowsEvent rows = decode_rows(event, format);
                auto table = tables.find(rows.table_id);
                if (table == tables.end())
                    throw Error(ErrorKind::corrupt, "rows of a table that was not described");
                RowReader reader(rows, table->second.map);
                RowChange row;
                while (reader.next(row))
                    if (!visit({table->second.map, table->second.schema, row, statement, rows.flags,
                                offset}))
                        return false;
                if ((rows.flags & RowsEvent::kStatementEnd) != 0) {
                    tables.clear();
                    statement.clear();
                }
            }
            return true;
        });
}

std::optional<size_t> column_at(const TableMap& map, const std::string& name) {
    for (size_t i = 0; i < map.columns.size(); ++i)
        if (map.columns[i].name == name) return i;
    return std::nullopt;
}

std::optional<std::vector<size_t>> columns_at(const TableMap& map,
                                              const std::vector<std::string>& names) {
    std::vector<size_t> out;
    for (const std::string& name : names) {
        auto at = column_at(map, name);
        if (!at) return std::nullopt;
        out.push_back(*at);
    }
    return out;
}

std::vector<size_t> primary_key_of(const TableMap& map, const TableSchema* schema) {
    if (!map.primary_key.empty()) return map.primary_key;
    if (schema == nullptr) return {};
    return columns_at(map, schema->primary_key).value_or(std::vector<size_t>());
}

std::string value_key(const Value& value, bool folded) {
    using Kind = Value::Kind;
    switch (value.kind) {
        case Kind::null:
            return "N";
        case Kind::integer:
            return fmt::format("{}", value.integer());
        case Kind::natural:
        case Kind::bits:
        case Kind::year:
        case Kind::enumeration:
        case Kind::set:
            return fmt::format("{}", value.number);
        case Kind::real32:
        case Kind::real64:
            return fmt::format("{}", value.real);
        case Kind::text: {
            std::string text = value.bytes;
            if (!folded) return text;
            while (text.ends_with(' ')) text.pop_back();
            for (char& c : text)
                if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
            return text;
        }
        default:
            return value.bytes;
    }
}

std::optional<std::string> row_key(const RowImage& image, const std::vector<size_t>& columns,
                                   bool folded) {
    std::string key;
    for (size_t column : columns) {
        if (column >= image.size() || !image[column] || image[column]->null()) return std::nullopt;
        std::string part = value_key(*image[column], folded);
        key += fmt::format("{}:{}", part.size(), part);
    }
    return key;
}

std::string display_columns(const TableMap& map, const RowImage& image,
                            const std::vector<size_t>& columns) {
    std::string out;
    for (size_t column : columns) {
        if (column >= image.size() || !image[column]) continue;
        out += fmt::format("{}{}={}", out.empty() ? "" : ", ", map.columns[column].name,
                           display(*image[column], 60));
    }
    return out;
}

}  // namespace sevenfold::database::mariadb
