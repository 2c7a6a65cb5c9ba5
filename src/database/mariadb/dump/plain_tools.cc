#include "database/mariadb/dump/plain_tools.h"

#include <fmt/format.h>

namespace sevenfold::database::mariadb {

std::string table_file(const std::string& database, const std::string& table) {
    return fmt::format("30-tables/{}/{}.sql", file_name(database), file_name(table));
}

std::string load_statement(const std::string& database, const TableContent& table,
                           const std::string& local_name) {
    std::vector<std::string> columns;
    for (const std::string& column : table.columns) columns.push_back(sql::quote_name(column));
    return fmt::format(
        "LOAD DATA LOCAL INFILE {} INTO TABLE {} CHARACTER SET binary FIELDS "
        "TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' ({})",
        sql::quote_text(local_name), sql::quote_name(database, table.name),
        fmt::join(columns, ","));
}

std::string load_script(const BaseManifest& base) {
    std::string out =
        "-- Loads this base into an empty server. In this folder:\n"
        "--   mariadb --comments --local-infile=1 --max-allowed-packet=1G < load.sql\n";
    auto source = [&](const std::string& file) { out += fmt::format("source {}\n", file); };
    bool tables_done = false;
    for (const std::string& file : base.schema_files) {
        if (file.starts_with("65-")) continue;  // would end the script: see README
        if (file.starts_with("30-tables/")) {
            source(file);
            continue;
        }
        // The first file after the tables: the data goes before it.
        if (!tables_done && file.starts_with("50-")) {
            tables_done = true;
            out +=
                "SET SESSION foreign_key_checks=0, unique_checks=0, check_constraint_checks=0, "
                "sql_mode='NO_AUTO_VALUE_ON_ZERO', time_zone='+00:00';\n";
            for (const TableContent& table : base.tables) {
                if (table.versioned) out += "SET SESSION system_versioning_insert_history=1;\n";
                if (base.data_format == "sql")
                    for (const std::string& data : table.files) source(data);
                else
                    for (const std::string& data : table.files)
                        out += load_statement(table.database, table, data) + ";\n";
            }
        }
        source(file);
    }
    return out;
}

std::string readme(const BaseManifest& base) {
    return fmt::format(
        "A logical base of a MariaDB server ({}), as of\n"
        "GTID {} (binlog {} {}).\n\n"
        "Load all of it into an empty server of the same or a newer version, in this folder:\n\n"
        "    mariadb --comments --local-infile=1 --max-allowed-packet=1G < load.sql\n\n"
        "10- to 90- are read in this order, the rows (data/) after the tables. Every .sql file is\n"
        "for the mariadb client: its first line sets a delimiter. Rows are tab-separated, in the\n"
        "bytes of each column's own character set: load them with CHARACTER SET binary.\n"
        "65-broken-views.sql, if it is there, has views that the server itself could not read.\n"
        "base.json says what there is: row counts, checksums, the position in the binlog.\n",
        base.server_version, base.position.gtid.empty() ? "(none)" : base.position.gtid,
        base.position.file, base.position.offset);
}

}  // namespace sevenfold::database::mariadb
