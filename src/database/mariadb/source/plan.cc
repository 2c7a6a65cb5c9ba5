#include "database/mariadb/source/plan.h"

#include "database/mariadb/source/internal/planned.h"

namespace sevenfold::database::mariadb::source {

Plan make_plan(const LogArchive& archive, const PlanOptions& options) {
    Edits edits(options);
    return plan_series(archive, options, edits).plan;
}

std::vector<NextTransaction> next_transactions(const LogArchive& archive,
                                               const PlanOptions& options, const Position& position,
                                               const Position& end) {
    Series series(archive, options.series);
    Walker walker(archive, series, find_start(archive, series, position), position);
    std::map<uint32_t, bool> missing;  // domain -> its transaction was found
    for (const auto& [domain, gtid] : end.all()) {
        const Gtid* have = position.find(domain);
        if (have == nullptr || *have != gtid) missing[domain] = false;
    }
    std::vector<NextTransaction> out;
    uint64_t begin = 0;
    while (out.size() < missing.size()) {
        std::optional<Step> step = walker.next();
        if (!step) break;
        if (step->kind != Step::transaction || !step->wanted) continue;
        if (step->first) begin = step->place.offset;
        auto domain = missing.find(step->begin->gtid.domain);
        if (!step->last || domain == missing.end() || domain->second) continue;
        domain->second = true;
        out.push_back(
            {step->begin->gtid, series[step->place.file].wire_name, begin, walker.place().offset});
    }
    return out;
}

PositionAtTime position_at(const LogArchive& archive, const PlanOptions& from, const Time& time) {
    Series series(archive, from.series);
    Walker walker(archive, series, find_start(archive, series, from.start), from.start);
    PositionAtTime out{.position = from.start};
    bool later = false;
    while (std::optional<Step> step = walker.next()) {
        if (step->kind != Step::transaction || !step->wanted) continue;
        if (step->first && step->time > time.seconds) later = true;
        if (!step->last) continue;
        if (!later) {
            out.position = walker.position();
            out.last = step->begin->gtid;
        } else if (step->time <= time.seconds) {
            ++out.late;
        }
    }
    return out;
}

}  // namespace sevenfold::database::mariadb::source
