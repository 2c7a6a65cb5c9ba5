// A plan with what serving it needs: the files, and where to stop in them.
#pragma once

#include "database/mariadb/source/internal/edits.h"
#include "database/mariadb/source/internal/walker.h"

namespace sevenfold::database::mariadb::source {

// Where to begin to walk for this position. Throws Error{refused} when no part holds it.
size_t find_start(const LogArchive& archive, const Series& series, const Position& position);

struct PlannedSeries {
    Plan plan;
    Series files;
    SeriesPlace end;             // behind the last transaction
    std::set<SeriesPlace> torn;  // transactions that never happened
};
PlannedSeries plan_series(const LogArchive& archive, const PlanOptions& options, Edits& edits);

}  // namespace sevenfold::database::mariadb::source
