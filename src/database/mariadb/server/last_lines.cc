#include "database/mariadb/server/last_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "core/log.h"

namespace sevenfold::database::mariadb {
namespace {

// "2026-11-25  8:34:04 0 [ERROR] …", "[00] 2026-11-25 08:07:59 …" (the tool's thread first).
std::string_view without_time(std::string_view line) {
    if (line.starts_with('[') && line.size() > 5 && line[4] == ' ') line.remove_prefix(4);
    size_t mark = line.find_first_not_of("0123456789-: ");
    return mark == line.npos || mark < 18 ? line : line.substr(mark);
}

}  // namespace

std::string last_lines(std::string_view text, size_t count) {
    std::vector<std::string_view> all, errors;
    while (!text.empty()) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        if (line.find_first_not_of(" \t\r") == line.npos) continue;
        line = without_time(line);
        all.push_back(line);
        if (line.find("[ERROR]") != line.npos || line.find("Error") != line.npos ||
            line.find("ERROR") != line.npos || line.find("ailed") != line.npos)
            errors.push_back(line);
    }
    const std::vector<std::string_view>& chosen = errors.empty() ? all : errors;
    std::string out;
    for (size_t i = chosen.size() - std::min(count, chosen.size()); i < chosen.size(); ++i)
        out += (out.empty() ? "" : " | ") + printable(chosen[i].substr(0, 500));
    return out.empty() ? "it said nothing" : out;
}

}  // namespace sevenfold::database::mariadb
