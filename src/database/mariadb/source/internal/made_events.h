// Binlog events that are not in the archive: how a dump begins, and transactions that were changed.
#pragma once

#include <vector>

#include "database/mariadb/binlog/encode.h"
#include "database/mariadb/source/internal/edits.h"
#include "database/mariadb/source/internal/walker.h"

namespace sevenfold::database::mariadb::source {

// The archived one, as a server sends it: not in use, and, for a replica that resumes in the middle
// of a file, without the news that the server was started (which drops temporary tables).
Bytes sent_description(const Event& archived, bool resumed);
// All events of a changed transaction; `begin` is its first step.
std::vector<Bytes> make_transaction(const Step& begin, const Edit& edit);

}  // namespace sevenfold::database::mariadb::source
