// The files of a series in the order of history.
#pragma once

#include "database/mariadb/source/internal/edits.h"
#include "database/mariadb/source/internal/walker.h"

namespace sevenfold::database::mariadb::source {

// Throws Error{not_found} when a part is not in the archive.
Series make_series(const LogArchive& archive, const std::vector<SeriesPart>& parts);
// Where to begin to walk for this state. Throws Error{refused} when no part holds it.
size_t find_start(const LogArchive& archive, const Series& series, const Position& position);

struct PlannedSeries {
    Plan plan;
    Series files;
    SeriesPlace end;             // behind the last transaction
    std::set<SeriesPlace> torn;  // transactions that never happened
};
PlannedSeries plan_series(const LogArchive& archive, const PlanOptions& options, Edits& edits);

}  // namespace sevenfold::database::mariadb::source
