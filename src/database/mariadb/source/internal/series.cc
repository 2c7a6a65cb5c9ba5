#include "database/mariadb/source/internal/series.h"

#include <fmt/format.h>

#include <algorithm>

#include "database/mariadb/binlog/reader.h"

namespace sevenfold::database::mariadb::source {
namespace {

// "bin.000017" before "bin.1000000".
bool before(const LogSegment& a, const LogSegment& b) {
    if (a.name.size() != b.name.size()) return a.name.size() < b.name.size();
    return a.name < b.name;
}

bool covers(const Position& position, const Position& begin) {
    return std::all_of(begin.all().begin(), begin.all().end(), [&](const auto& entry) {
        const Gtid* have = position.find(entry.first);
        return have != nullptr && entry.second.sequence <= have->sequence;
    });
}

std::vector<SeriesPart> all_parts(const LogArchive& archive) {
    std::vector<SeriesPart> parts;
    for (const LogSegment& segment : archive.segments())
        if (parts.empty() || parts.back().incarnation != segment.incarnation)
            parts.push_back({segment.incarnation, {}});
    return parts;
}

}  // namespace

Series::Series(const LogArchive& archive, const std::vector<SeriesPart>& parts)
    : archive_(&archive) {
    constexpr uint64_t kJustCreated = 4096;
    const std::vector<LogSegment>& segments = archive.segments();
    size_t part = 0;
    for (const SeriesPart& wanted : parts.empty() ? all_parts(archive) : parts) {
        std::vector<size_t> numbers;
        for (size_t i = 0; i < segments.size(); ++i)
            if (segments[i].incarnation == wanted.incarnation && segments[i].size > 0)
                numbers.push_back(i);
        std::sort(numbers.begin(), numbers.end(),
                  [&](size_t a, size_t b) { return before(segments[a], segments[b]); });
        // The newest one may lack even its head.
        if (!numbers.empty() && segments[numbers.back()].size < kJustCreated &&
            !state_at_start(archive, numbers.back()))
            numbers.pop_back();
        if (numbers.empty())
            throw Error(ErrorKind::not_found,
                        fmt::format("incarnation {} is not in the archive", wanted.incarnation));
        for (size_t number : numbers)
            files_.push_back({number, part,
                              fmt::format("{:04}-{}", part + 1, segments[number].name),
                              wanted.last});
        ++part;
    }
    if (files_.empty()) throw Error(ErrorKind::not_found, "the archive holds no logs");
    begins_->known.resize(files_.size());
}

const Position& Series::begin(size_t number) const {
    std::lock_guard lock(begins_->mutex);
    std::unique_ptr<const Position>& known = begins_->known[number];
    if (!known) {
        std::optional<GtidList> list = state_at_start(*archive_, files_[number].segment);
        if (!list)
            throw Error(ErrorKind::corrupt,
                        fmt::format("log {}/{}: no list of GTIDs", segment(number).incarnation,
                                    segment(number).name),
                        "Only logs of MariaDB 10.0.2 and later can be replayed.");
        known = std::make_unique<const Position>(*list);
    }
    return *known;
}

size_t Series::next_part(size_t number) const {
    size_t next = number;
    while (next < files_.size() && files_[next].part == files_[number].part) ++next;
    return next;
}

// Positions grow from file to file.
std::optional<size_t> Series::last_begun(size_t first, const Position& position) const {
    size_t low = first, high = next_part(first);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (covers(position, begin(middle)))
            low = middle + 1;
        else
            high = middle;
    }
    return low == first ? std::nullopt : std::optional(low - 1);
}

}  // namespace sevenfold::database::mariadb::source
