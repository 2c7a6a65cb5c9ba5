#include "database/mariadb/coverage.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "database/mariadb/binlog/reader.h"
#include "database/mariadb/stream/position.h"

namespace sevenfold::database::mariadb {
namespace {

// Why this incarnation does not lead there; nothing: it does.
std::optional<std::string> look_at(const LogArchive& archive, const std::vector<size_t>& files,
                                   const database::Position& from, const database::Position& to) {
    const auto& segments = archive.segments();
    auto named = [&](const std::string& name) {
        return std::ranges::find_if(files, [&](size_t i) { return segments[i].name == name; });
    };
    auto first = named(from.file), last = named(to.file);
    if (first == files.end()) return fmt::format("{} is missing", from.file);
    if (last == files.end()) return fmt::format("{} is missing", to.file);
    if (segments[*last].size < to.offset)
        return fmt::format("{} has only {} of {} bytes", to.file, segments[*last].size, to.offset);
    if (first == last ? from.offset > to.offset : first > last)
        return fmt::format("{} comes after {}", from.file, to.file);
    // Names repeat after RESET MASTER: the file must not begin after the position.
    auto begin = state_at_start(archive, *first);
    if (!begin || !parse_gtid_list(from.gtid).contains_all(*begin))
        return fmt::format("{} is another file of that name", from.file);
    for (auto file = first; file != last; ++file) {
        auto next = std::next(file);
        if (!follows(segments[*file].name, segments[*next].name))
            return fmt::format("what lies between {} and {} is missing", segments[*file].name,
                               segments[*next].name);
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::string> missing_between(const LogArchive& archive,
                                           const database::Position& from,
                                           const database::Position& to) {
    if (from.gtid == to.gtid) return std::nullopt;
    if (from.file.empty() || to.file.empty()) return "the server wrote no binlog";
    const auto& segments = archive.segments();
    std::optional<std::string> problem = "there is no binlog";
    for (size_t i = 0; i < segments.size();) {
        std::vector<size_t> files;
        const std::string& incarnation = segments[i].incarnation;
        for (; i < segments.size() && segments[i].incarnation == incarnation; ++i)
            files.push_back(i);
        auto why = look_at(archive, files, from, to);
        if (!why) return std::nullopt;
        problem = why;
    }
    return problem;
}

}  // namespace sevenfold::database::mariadb
