// Writing events: what a server that replays an archive needs beside the stored ones.
#pragma once

#include "database/mariadb/binlog/event.h"

namespace sevenfold::database::mariadb {

// `header.size` is set from the body; `next_position` is taken as it is given.
Bytes build_event(EventHeader header, ByteView body, bool checksum);

// The same event for another place in a log: with another next position and, where there is one,
// a new checksum. `has_checksum` says whether the event has one (a format description always has).
Bytes restamp(ByteView event, uint32_t next_position, bool has_checksum);
// The same event with the checksum added or removed. Not for format descriptions.
Bytes with_checksum(ByteView event, bool has_checksum, bool wanted);
// A format description that says whether checksums follow, as of a file nobody writes.
Bytes describe_checksums(ByteView format_description, bool checksums);

// The artificial event that tells a replica which file comes: in no file, position 0, time 0.
Bytes make_fake_rotate(uint32_t server_id, const std::string& file, uint64_t position,
                       bool checksum);
Bytes make_gtid_event(const GtidEvent& gtid, uint32_t timestamp, uint32_t next_position,
                      bool checksum);
// The list is the position before the first transaction of a file.
Bytes make_gtid_list_event(const GtidList& list, uint32_t server_id, uint32_t timestamp,
                           uint32_t next_position, bool checksum);
// A statement without status variables: COMMIT, or one whose result depends on none.
Bytes make_query_event(std::string_view statement, const std::string& database, uint32_t server_id,
                       uint32_t timestamp, uint32_t next_position, bool checksum);
Bytes make_xid_event(uint64_t xid, uint32_t server_id, uint32_t timestamp, uint32_t next_position,
                     bool checksum);
// Tells a waiting replica that the connection lives.
Bytes make_heartbeat(uint32_t server_id, const std::string& file, uint32_t position, bool checksum);

}  // namespace sevenfold::database::mariadb
