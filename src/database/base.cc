#include "database/base.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace sevenfold::database {
namespace {

using Json = nlohmann::ordered_json;
constexpr int kFormat = 1;

Json to_json(const Position& position) {
    Json json = {{"gtid", position.gtid}, {"file", position.file}, {"offset", position.offset}};
    if (position.server != 0) json["server"] = position.server;
    return json;
}

Position position_of(const Json& json) {
    return {json.at("gtid").get<std::string>(), json.at("file").get<std::string>(),
            json.at("offset").get<uint64_t>(), json.value("server", uint64_t{0})};
}

TableContent table_of(const Json& json) {
    TableContent table;
    table.database = json.at("database").get<std::string>();
    table.name = json.at("name").get<std::string>();
    table.engine = json.at("engine").get<std::string>();
    table.versioned = json.value("versioned", false);
    table.rows = json.at("rows").get<uint64_t>();
    table.checksum = json.at("checksum").get<uint64_t>();
    table.files = json.at("files").get<std::vector<std::string>>();
    table.columns = json.at("columns").get<std::vector<std::string>>();
    return table;
}

// Runs `read` on the parsed text; whatever does not fit becomes Error{corrupt}.
template <class Read>
auto parsed(ByteView text, const char* what, Read read) {
    try {
        Json json = Json::parse(text.begin(), text.end());
        if (json.at("format").get<int>() != kFormat)
            throw Error(ErrorKind::unsupported,
                        fmt::format("{} is of format {}", what, json.at("format").get<int>()),
                        "A newer version wrote it; use that version.");
        return read(json);
    } catch (const nlohmann::json::exception& error) {
        throw Error(ErrorKind::corrupt, fmt::format("{}: {}", what, error.what()));
    }
}

std::string dump(const Json& json) {
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string encode_base(const BaseManifest& base) {
    Json json = {{"format", base.format},
                 {"method", base.method},
                 {"driver", base.driver},
                 {"server_version", base.server_version},
                 {"tool_version", base.tool_version},
                 {"server_host", base.server_host},
                 {"server_id", base.server_id},
                 {"started", to_rfc3339(base.started)},
                 {"consistent_at", to_rfc3339(base.consistent_at)},
                 {"ended", to_rfc3339(base.ended)},
                 {"position", to_json(base.position)}};
    if (base.method == "logical") {
        json["data_format"] = base.data_format;
        json["schema_files"] = base.schema_files;
        Json& tables = json["tables"] = Json::array();
        for (const TableContent& table : base.tables)
            tables.push_back({{"database", table.database},
                              {"name", table.name},
                              {"engine", table.engine},
                              {"versioned", table.versioned},
                              {"rows", table.rows},
                              {"checksum", table.checksum},
                              {"columns", table.columns},
                              {"files", table.files}});
    } else {
        json["from_lsn"] = base.from_lsn;
        json["to_lsn"] = base.to_lsn;
        json["prepared"] = base.prepared;
        json["data_folder"] = base.data_folder;
    }
    json["objects"] = base.objects;
    json["server_variables"] = base.server_variables;
    return dump(json);
}

BaseManifest decode_base(ByteView text) {
    return parsed(text, "base.json", [](const Json& json) {
        BaseManifest base;
        base.method = json.at("method").get<std::string>();
        base.driver = json.at("driver").get<std::string>();
        base.server_version = json.at("server_version").get<std::string>();
        base.tool_version = json.at("tool_version").get<std::string>();
        base.server_host = json.at("server_host").get<std::string>();
        base.server_id = json.at("server_id").get<uint64_t>();
        base.started = parse_rfc3339(json.at("started").get<std::string>());
        base.consistent_at = parse_rfc3339(json.at("consistent_at").get<std::string>());
        base.ended = parse_rfc3339(json.at("ended").get<std::string>());
        base.position = position_of(json.at("position"));
        base.data_format = json.value("data_format", "");
        base.schema_files = json.value("schema_files", std::vector<std::string>());
        if (json.contains("tables"))
            for (const Json& table : json["tables"]) base.tables.push_back(table_of(table));
        base.objects = json.value("objects", ObjectCounts());
        base.server_variables =
            json.value("server_variables", std::map<std::string, std::string>());
        base.from_lsn = json.value("from_lsn", uint64_t{0});
        base.to_lsn = json.value("to_lsn", uint64_t{0});
        base.prepared = json.value("prepared", false);
        base.data_folder = json.value("data_folder", "");
        return base;
    });
}

std::string encode_point(const PointManifest& point) {
    return dump({{"format", kFormat},
                 {"time", to_rfc3339(point.time)},
                 {"position", to_json(point.position)},
                 {"base", point.base},
                 {"incarnation", point.incarnation}});
}

PointManifest decode_point(ByteView text) {
    return parsed(text, "point.json", [](const Json& json) {
        return PointManifest{parse_rfc3339(json.at("time").get<std::string>()),
                             position_of(json.at("position")), json.at("base").get<std::string>(),
                             json.at("incarnation").get<std::string>()};
    });
}

}  // namespace sevenfold::database
