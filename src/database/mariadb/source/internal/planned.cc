#include "database/mariadb/source/internal/planned.h"

#include <fmt/format.h>

#include <algorithm>

namespace sevenfold::database::mariadb::source {
namespace {

// Is the position a point in the history of this part?
bool holds(const LogArchive& archive, const Series& series, size_t first,
           const Position& position) {
    Walker walker(archive, series, first, position);
    size_t unresolved = position.all().size();
    try {
        while (std::optional<Step> step = walker.next()) {
            if (series[step->place.file].part != series[first].part) break;
            unresolved = walker.unresolved();
            if (unresolved == 0) return true;
        }
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::refused) return false;
        throw;
    }
    return unresolved < position.all().size();  // the others have no transactions here
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

size_t find_start(const LogArchive& archive, const Series& series, const Position& position) {
    if (position.empty()) {
        if (series.begin(0).empty()) return 0;
        throw Error(ErrorKind::refused,
                    fmt::format("log {} begins after {}, and nothing before it is archived",
                                series.segment(0).name, series.begin(0).display()),
                    "An empty server can only be filled from a log that begins with its first "
                    "transaction; restore a base.");
    }
    std::vector<size_t> parts;
    for (size_t file = 0; file < series.size(); file = series.next_part(file))
        parts.push_back(file);
    for (; !parts.empty(); parts.pop_back()) {
        std::optional<size_t> first = series.last_begun(parts.back(), position);
        if (first && holds(archive, series, *first, position)) return *first;
    }
    throw Error(ErrorKind::refused,
                fmt::format("the archived logs do not hold {}: they begin {}", position.display(),
                            series.begin(0).empty() ? "with the first transaction"
                                                    : "after " + series.begin(0).display()),
                "Replay needs an unbroken log from the base on; choose another base.");
}

PlannedSeries plan_series(const LogArchive& archive, const PlanOptions& options, Edits& edits) {
    PlannedSeries out{.files = Series(archive, options.series)};
    Plan& plan = out.plan;
    plan.begin = plan.end = options.start;
    size_t first = find_start(archive, out.files, options.start);
    out.end = {first, 0};
    if (!stops_at_start(options, out.files.begin(first)))
        read_plan(archive, options, edits, first, out);
    check_edits(options, plan);
    return out;
}

}  // namespace sevenfold::database::mariadb::source
