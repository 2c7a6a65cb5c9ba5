#include "storage/versions.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "core/units.h"

namespace sevenfold::storage {

std::string_view name(RetentionMode mode) {
    return mode == RetentionMode::compliance ? "compliance" : "governance";
}

RetentionRule parse_retention_rule(std::string_view text) {
    size_t colon = std::min(text.find(':'), text.size());
    RetentionRule rule;
    std::optional<std::chrono::nanoseconds> period;
    if (colon < text.size()) period = parse_duration(text.substr(colon + 1));
    bool known = true;
    if (text.substr(0, colon) == "compliance")
        rule.mode = RetentionMode::compliance;
    else
        known = text.substr(0, colon) == "governance";
    constexpr std::chrono::hours kDay{24};
    if (!known || !period || *period < kDay || *period > 3660 * kDay)
        throw Error(ErrorKind::config, fmt::format("lock \"{}\" is not valid", printable(text)),
                    "Write compliance:30d or governance:30d, from 1d to ten years.");
    rule.period = std::chrono::duration_cast<std::chrono::seconds>(*period);
    return rule;
}

void list_by_file(Versions& place, FileType type,
                  const std::function<void(std::vector<FileVersion>)>& each) {
    std::vector<FileVersion> one;
    place.list_versions(type, std::nullopt, [&](const FileVersion& version) {
        if (!one.empty() && !(one[0].name == version.name)) each(std::exchange(one, {}));
        one.push_back(version);
    });
    if (!one.empty()) each(std::move(one));
}

}  // namespace sevenfold::storage
