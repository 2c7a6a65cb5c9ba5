// Binlog events that are not in the archive: what a dump begins and idles with, and transactions
// that were changed.
#pragma once

#include <vector>

#include "database/mariadb/source/internal/edits.h"

namespace sevenfold::database::source {

// Sets size and, if wanted, the checksum.
Bytes make_event(EventHeader header, ByteView body, bool checksum);

// "What follows is file `name` from `position` on."
Bytes make_rotate(uint32_t server_id, std::string_view name, uint64_t position, bool checksum);
Bytes make_heartbeat(uint32_t server_id, std::string_view name, uint32_t position, bool checksum);
// The archived one, as a server sends it: not in use, and, for a replica that resumes in the middle
// of a file, without the news that the server was started (which drops temporary tables).
Bytes make_format_description(const Event& archived, bool resumed);
// The whole group of events of a changed transaction; `begin` is its archived GTID event.
std::vector<Bytes> make_transaction(const Event& begin, const GtidEvent& gtid, const Edit& edit);

}  // namespace sevenfold::database::source
