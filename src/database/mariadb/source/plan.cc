#include "database/mariadb/source/plan.h"

#include "database/mariadb/source/internal/series.h"

namespace sevenfold::database::mariadb::source {

Plan make_plan(const LogArchive& archive, const PlanOptions& options) {
    Edits edits(options);
    return plan_series(archive, options, edits).plan;
}

std::optional<Gtid> transaction_after(const LogArchive& archive, const PlanOptions& options,
                                      const Position& position) {
    Series series = make_series(archive, options.series);
    Walker walker(archive, series, find_start(archive, series, position), position);
    while (std::optional<Step> step = walker.next())
        if (step->kind == Step::transaction && step->wanted) return step->begin->gtid;
    return {};
}

PositionAtTime position_at(const LogArchive& archive, const PlanOptions& from, const Time& time) {
    Series series = make_series(archive, from.series);
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
