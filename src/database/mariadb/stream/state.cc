#include "database/mariadb/stream/state.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/log.h"
#include "os/file.h"

namespace sevenfold::database::mariadb {
namespace {

using Json = nlohmann::ordered_json;
constexpr size_t kMaxGaps = 100;

Json to_json(const LogPosition& p) {
    return {{"incarnation", p.incarnation}, {"file", p.file}, {"offset", p.offset}};
}
LogPosition position_of(const Json& json) {
    return {json.at("incarnation").get<std::string>(), json.at("file").get<std::string>(),
            json.at("offset").get<uint64_t>()};
}
Json to_json(const StreamGap& gap) {
    return {{"time", to_rfc3339(gap.time)},   {"reason", gap.reason},
            {"from", to_json(gap.from)},      {"from_gtid", gap.from_gtid},
            {"incarnation", gap.incarnation}, {"to_gtid", gap.to_gtid}};
}
StreamGap gap_of(const Json& json) {
    return {.time = parse_rfc3339(json.at("time").get<std::string>()),
            .reason = json.at("reason").get<std::string>(),
            .from = position_of(json.at("from")),
            .from_gtid = json.at("from_gtid").get<std::string>(),
            .incarnation = json.at("incarnation").get<std::string>(),
            .to_gtid = json.at("to_gtid").get<std::string>()};
}
Protection protection_of(const std::string& text) {
    for (Protection p : {Protection::broken, Protection::degraded, Protection::armed})
        if (name(p) == text) return p;
    throw Error(ErrorKind::corrupt, "state.json: unknown protection");
}
std::string path_of(const std::string& spool) { return spool + "/state.json"; }

}  // namespace

std::string_view name(Protection protection) {
    switch (protection) {
        case Protection::broken:
            return "broken";
        case Protection::degraded:
            return "degraded";
        case Protection::armed:
            return "armed";
    }
    return "broken";
}

std::string encode_state(const StreamState& s) {
    Json json = {{"format", 1},
                 {"protection", name(s.protection)},
                 {"reason", s.reason},
                 {"since", to_rfc3339(s.since)},
                 {"position", to_json(s.position)},
                 {"gtid", s.gtid},
                 {"transactions", s.transactions},
                 {"acknowledged", s.acknowledged},
                 {"unprotected_transactions", s.unprotected_transactions},
                 {"unprotected_seconds", s.unprotected_seconds},
                 {"bytes", s.bytes},
                 {"last_received", to_rfc3339(s.last_received)},
                 {"server_id", s.server_id},
                 {"server_version", s.server_version}};
    if (s.second) json["second"] = to_json(*s.second);
    if (!s.joining.empty()) json["joining"] = s.joining;
    Json& gaps = json["gaps"] = Json::array();
    size_t first = s.gaps.size() > kMaxGaps ? s.gaps.size() - kMaxGaps : 0;
    for (size_t i = first; i < s.gaps.size(); ++i) gaps.push_back(to_json(s.gaps[i]));
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

StreamState decode_state(ByteView text) {
    try {
        Json json = Json::parse(text.begin(), text.end());
        StreamState s;
        s.protection = protection_of(json.at("protection").get<std::string>());
        s.reason = json.at("reason").get<std::string>();
        s.since = parse_rfc3339(json.at("since").get<std::string>());
        s.position = position_of(json.at("position"));
        s.gtid = json.at("gtid").get<std::string>();
        s.transactions = json.at("transactions").get<uint64_t>();
        s.acknowledged = json.at("acknowledged").get<uint64_t>();
        s.unprotected_transactions = json.at("unprotected_transactions").get<uint64_t>();
        s.unprotected_seconds = json.at("unprotected_seconds").get<double>();
        s.bytes = json.at("bytes").get<uint64_t>();
        s.last_received = parse_rfc3339(json.at("last_received").get<std::string>());
        s.server_id = json.at("server_id").get<uint32_t>();
        s.server_version = json.at("server_version").get<std::string>();
        if (json.contains("second")) s.second = position_of(json.at("second"));
        s.joining = json.value("joining", "");
        for (const Json& gap : json.at("gaps")) s.gaps.push_back(gap_of(gap));
        return s;
    } catch (const nlohmann::json::exception& error) {
        throw Error(ErrorKind::corrupt, std::string("state.json: ") + error.what());
    }
}

std::optional<StreamState> load_state(const std::string& spool) {
    if (!os::path_exists(path_of(spool))) return std::nullopt;
    try {
        return decode_state(os::read_file(path_of(spool), 16 << 20));
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt) throw;
        log_warning("{}: {}; its counts begin anew", path_of(spool), error.message());
        return std::nullopt;
    }
}

void save_state(const std::string& spool, const StreamState& state) {
    os::write_file_atomically(path_of(spool), as_bytes(encode_state(state)), 0600);
}

}  // namespace sevenfold::database::mariadb
