#include "database/mariadb/physical/internal/checkpoints.h"

#include <fmt/format.h>

#include <charconv>

#include "core/error.h"
#include "core/log.h"

namespace sevenfold::database::mariadb::internal {
namespace {

uint64_t number(const std::map<std::string, std::string>& settings, const std::string& key) {
    auto found = settings.find(key);
    if (found != settings.end()) {
        const std::string& text = found->second;
        uint64_t value = 0;
        auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (failure == std::errc() && end == text.data() + text.size()) return value;
    }
    throw Error(ErrorKind::corrupt, fmt::format("mariadb-backup: its checkpoints lack {}", key));
}

}  // namespace

Checkpoints parse_checkpoints(std::string_view text) {
    std::map<std::string, std::string> settings;
    while (!text.empty()) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        size_t equals = line.find(" = ");
        if (equals != line.npos)
            settings[std::string(line.substr(0, equals))] = line.substr(equals + 3);
    }
    if (!settings.contains("backup_type"))
        throw Error(ErrorKind::corrupt, "mariadb-backup: its checkpoints lack backup_type");
    return {settings["backup_type"], number(settings, "from_lsn"), number(settings, "to_lsn"),
            number(settings, "last_lsn")};
}

}  // namespace sevenfold::database::mariadb::internal
