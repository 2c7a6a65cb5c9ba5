#include "database/mariadb/source/internal/series.h"

#include <fmt/format.h>

#include <algorithm>

#include "database/mariadb/binlog/reader.h"

namespace sevenfold::database::mariadb::source {
namespace {

Position begin_of(const LogArchive& archive, size_t segment) {
    std::optional<GtidList> list = state_at_start(archive, segment);
    if (!list)
        throw Error(ErrorKind::corrupt,
                    fmt::format("log {}: no list of GTIDs", archive.segments()[segment].name),
                    "Only logs of MariaDB 10.0.2 and later can be replayed.");
    return Position(*list);
}

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

// The last file of a part that begins no later than the position; nothing: there is none.
std::optional<size_t> candidate(const Series& series, size_t part, const Position& position) {
    std::optional<size_t> found;
    for (size_t i = 0; i < series.size(); ++i)
        if (series[i].part == part && covers(position, series[i].begin)) found = i;
    return found;
}

// Is the position a point in the history of this part?
bool holds(const LogArchive& archive, const Series& series, size_t first,
           const Position& position) {
    Series part;
    for (size_t i = first; i < series.size() && series[i].part == series[first].part; ++i)
        part.push_back(series[i]);
    Walker walker(archive, part, 0, position);
    size_t unresolved = position.all().size() + 1;
    try {
        while (std::optional<Step> step = walker.next()) {
            unresolved = walker.unresolved();
            if (unresolved == 0) return true;
        }
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::refused) return false;
        throw;
    }
    return unresolved < position.all().size();  // the others are domains without transactions here
}

std::string name_of(const Position& position) {
    return position.empty() ? "the beginning" : position.display();
}

[[noreturn]] void refuse_stop(const PlanOptions& options, const Plan& plan) {
    throw Error(ErrorKind::refused,
                fmt::format("{} is not in the log between {} and {}", options.stop.gtid.display(),
                            name_of(plan.begin), name_of(plan.end)),
                "Choose a base that is older than it, or a transaction that is archived.");
}

// Is the start already what was asked for? `begin` is that of the file to start in.
bool stops_at_start(const PlanOptions& options, const Position& begin) {
    if (options.stop.where != Stop::Where::after) return false;
    const Gtid* have = options.start.find(options.stop.gtid.domain);
    const Gtid* before = begin.find(options.stop.gtid.domain);
    return have != nullptr && *have == options.stop.gtid && before != nullptr && *before == *have;
}

void check_edits(const PlanOptions& options, const Plan& plan) {
    auto check = [&](const Gtid& gtid) {
        const Gtid* begin = plan.begin.find(gtid.domain);
        bool past = options.resumed && begin != nullptr && gtid.sequence <= begin->sequence;
        if (!plan.edited.contains(gtid) && !past)
            throw Error(ErrorKind::refused,
                        fmt::format("{}, which is to be changed, is not between {} and {}",
                                    gtid.display(), name_of(plan.begin), name_of(plan.end)));
    };
    for (const Gtid& gtid : options.drop) check(gtid);
    for (const auto& [gtid, replacement] : options.replace) check(gtid);
}

void check_interrupt(const PlanOptions& options, uint64_t read) {
    if (options.progress) options.progress(read);
    if (options.cancel.stop_requested())
        throw Error(ErrorKind::interrupted, "reading the log was interrupted");
}

void count(Plan& plan, const Gtid& gtid, uint32_t time, uint64_t bytes) {
    ++plan.transactions;
    plan.bytes += bytes;
    plan.servers.insert(gtid.server_id);
    plan.last = Time{.seconds = time};
    plan.end.set(gtid);
}

void read_plan(const LogArchive& archive, const PlanOptions& options, Edits& edits, size_t first,
               PlannedSeries& out) {
    constexpr uint64_t kReport = 1 << 20;
    Plan& plan = out.plan;
    Walker walker(archive, out.files, first, options.start);
    const bool has_stop = options.stop.where != Stop::Where::end;
    const bool before = options.stop.where == Stop::Where::before;
    uint64_t read = 0, reported = 0, bytes = 0;
    while (std::optional<Step> step = walker.next()) {
        read += step->event.header.size;
        if (read - reported >= kReport) check_interrupt(options, reported = read);
        if (step->kind != Step::transaction) continue;
        const GtidEvent& transaction = *step->begin;
        bool is_stop = has_stop && transaction.gtid == options.stop.gtid;
        // What the start has already can only be the stop if nothing of its domain is beyond it.
        const Gtid* have = options.start.find(transaction.gtid.domain);
        if (is_stop && !step->wanted && (before || *have != transaction.gtid)) break;
        if (is_stop && before) return;
        if (step->wanted) {
            if (step->first) {
                bytes = 0;
                if (edits.of(transaction).kind != Edit::none) plan.edited.insert(transaction.gtid);
            }
            bytes += step->event.header.size;
            if (step->last) {
                count(plan, transaction.gtid, step->time, bytes);
                out.end = walker.place();
                plan.out_of_order = walker.out_of_order();
            }
        }
        if (is_stop && step->last) return;
    }
    if (has_stop) refuse_stop(options, plan);
    plan.unfinished_tail = walker.inside_transaction();
    out.torn = walker.torn();
}

}  // namespace

Series make_series(const LogArchive& archive, const std::vector<SeriesPart>& parts) {
    const std::vector<LogSegment>& segments = archive.segments();
    std::vector<SeriesPart> wanted = parts;
    if (wanted.empty())
        for (const LogSegment& segment : segments)
            if (wanted.empty() || wanted.back().incarnation != segment.incarnation)
                wanted.push_back({segment.incarnation, {}});
    Series series;
    for (size_t part = 0; part < wanted.size(); ++part) {
        std::vector<size_t> numbers;
        for (size_t i = 0; i < segments.size(); ++i)
            if (segments[i].incarnation == wanted[part].incarnation && segments[i].size > 0)
                numbers.push_back(i);
        if (numbers.empty())
            throw Error(ErrorKind::not_found, fmt::format("incarnation {} is not in the archive",
                                                          wanted[part].incarnation));
        std::sort(numbers.begin(), numbers.end(),
                  [&](size_t a, size_t b) { return before(segments[a], segments[b]); });
        for (size_t number : numbers) {
            SeriesFile file;
            file.segment = number;
            file.part = part;
            file.wire_name = fmt::format("{:04}-{}", part + 1, segments[number].name);
            bool newest = number == numbers.back();
            try {
                file.begin = begin_of(archive, number);
            } catch (const Error&) {
                if (!newest || segments[number].size > 4096) throw;
                continue;  // was only just created
            }
            file.until = wanted[part].last;
            series.push_back(std::move(file));
        }
    }
    if (series.empty()) throw Error(ErrorKind::not_found, "the archive holds no logs");
    return series;
}

size_t find_start(const LogArchive& archive, const Series& series, const Position& position) {
    size_t parts = series.back().part + 1;
    if (position.empty()) {
        if (series[0].begin.empty()) return 0;
        throw Error(
            ErrorKind::refused,
            fmt::format("log {} begins after {}, and nothing before it is archived",
                        archive.segments()[series[0].segment].name, series[0].begin.display()),
            "An empty server can only be filled from a log that begins with its first "
            "transaction; restore a base.");
    }
    for (size_t part = parts; part-- > 0;) {
        std::optional<size_t> first = candidate(series, part, position);
        if (first && holds(archive, series, *first, position)) return *first;
    }
    throw Error(
        ErrorKind::refused,
        fmt::format("the archived logs do not hold {}: they begin after {}", position.display(),
                    series[0].begin.empty() ? "nothing" : series[0].begin.display()),
        "Replay needs an unbroken log from the base on; choose another base.");
}

PlannedSeries plan_series(const LogArchive& archive, const PlanOptions& options, Edits& edits) {
    PlannedSeries out;
    out.files = make_series(archive, options.series);
    Plan& plan = out.plan;
    plan.begin = plan.end = options.start;
    size_t first = find_start(archive, out.files, options.start);
    out.end = {first, 0};
    if (!stops_at_start(options, out.files[first].begin))
        read_plan(archive, options, edits, first, out);
    check_edits(options, plan);
    return out;
}

}  // namespace sevenfold::database::mariadb::source
