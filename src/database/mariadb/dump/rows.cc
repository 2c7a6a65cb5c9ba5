#include "database/mariadb/dump/rows.h"

#include <fmt/format.h>

namespace sevenfold::database::mariadb {
namespace {

using sql::quote_name;

constexpr size_t kFlush = 256 << 10;    // rows are handed on in buffers of about this size
constexpr size_t kStatement = 1 << 20;  // an INSERT statement is about this long

std::string select_statement(const TableInfo& table, const std::string& condition) {
    bool ordered = table.transactional && !table.primary_key.empty();
    std::string text = fmt::format("SELECT SQL_NO_CACHE {} FROM {}", fmt::join(table.selects, ","),
                                   quote_name(table.database, table.name));
    if (table.versioned) text += " FOR SYSTEM_TIME ALL";
    // Otherwise a covering secondary index and a sort could look cheaper than they are.
    if (ordered) text += " FORCE INDEX (PRIMARY)";
    if (!condition.empty()) text += " WHERE " + condition;
    // Tables without transactions are locked while they are read: no time for sorting.
    if (!ordered) return text;
    text += " ORDER BY ";
    for (size_t i = 0; i < table.primary_key.size(); ++i)
        text += (i ? "," : "") + quote_name(table.primary_key[i].name);
    return text;
}

std::string insert_head(const TableInfo& table) {
    std::vector<std::string> names;
    for (const RowColumn& column : table.columns) names.push_back(quote_name(column.name));
    return fmt::format("INSERT INTO {} ({}) VALUES\n", quote_name(table.database, table.name),
                       fmt::join(names, ","));
}

}  // namespace

void prepare_for_rows(sql::MariadbConnection& session) {
    // The server's own setting could end a long SELECT, and sort long keys by their beginning.
    session.execute(
        "SET SESSION character_set_results=NULL, max_statement_time=0, max_sort_length=8192");
}

uint64_t read_rows(sql::MariadbConnection& session, const TableInfo& table,
                   const std::string& condition, RowFormat format, uint64_t& checksum,
                   const std::function<void(ByteView)>& sink) {
    Bytes buffer, lines;
    buffer.reserve(kFlush + (64 << 10));
    std::vector<size_t> ends;  // of the rows in `lines`, or in `buffer` when that is TSV
    uint64_t rows = 0;
    size_t statement = 0;  // bytes of the open INSERT
    const std::string head = format == RowFormat::sql ? insert_head(table) : "";
    Bytes& hashed = format == RowFormat::tsv ? buffer : lines;
    auto hash_rows = [&] {
        RowChecksum sum;
        size_t start = 0;
        for (size_t end : ends) {
            sum.add(ByteView(hashed).subspan(start, end - start));
            start = end;
        }
        checksum += sum.sum();
        ends.clear();
    };
    session.stream(select_statement(table, condition), [&](const sql::RowView& row) {
        ++rows;
        append_tsv_row(hashed, row);
        ends.push_back(hashed.size());
        if (format == RowFormat::sql) {
            append(buffer, as_bytes(statement == 0 ? head : ",\n"));
            size_t start = buffer.size();
            append_sql_row(buffer, row, table.columns);
            statement += buffer.size() - start;
            if (statement >= kStatement) {
                append(buffer, as_bytes(";\n"));
                statement = 0;
            }
        }
        if (buffer.size() < kFlush) return;
        hash_rows();
        sink(buffer);
        buffer.clear();
        lines.clear();
    });
    hash_rows();
    if (statement != 0) append(buffer, as_bytes(";\n"));
    if (!buffer.empty()) sink(buffer);
    return rows;
}

}  // namespace sevenfold::database::mariadb
