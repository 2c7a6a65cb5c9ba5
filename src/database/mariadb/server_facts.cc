#include "database/mariadb/server_facts.h"

#include <fmt/format.h>

namespace sevenfold::database::mariadb {

void describe_server(sql::MariadbConnection& server, std::span<const char* const> variables,
                     BaseManifest& base) {
    base.server_version = server.server_version();
    base.server_host = server.value("SELECT @@hostname").value_or("");
    base.server_id = server.number("SELECT @@global.server_id");
    for (const char* name : variables)
        base.server_variables[name] =
            server.value(fmt::format("SELECT @@global.{}", name)).value_or("");
}

database::Position binlog_place(sql::MariadbConnection& server) {
    database::Position place;
    for (const sql::Row& row : server.query("SHOW STATUS LIKE 'binlog_snapshot_%'")) {
        if (*row[0] == "Binlog_snapshot_file") place.file = row[1].value_or("");
        if (*row[0] == "Binlog_snapshot_position")
            place.offset = std::strtoull(row[1].value_or("0").c_str(), nullptr, 10);
    }
    if (!place.file.empty()) place.server = server.number("SELECT @@global.server_id");
    return place;
}

}  // namespace sevenfold::database::mariadb
