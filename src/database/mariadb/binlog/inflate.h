// What MariaDB compresses with zlib inside of events: statements, rows, and compressed columns.
#pragma once

#include "core/bytes.h"

namespace sevenfold::database::mariadb {

// The most that one event may hold when it is unpacked: the server's own limit of a packet.
constexpr uint64_t kMaxUnpacked = uint64_t{1} << 30;

// A record of log_bin_compress: a header byte (0x80 | width), the length in `width` bytes, big
// endian, a zlib stream. Throws Error{corrupt}.
Bytes inflate_record(ByteView record);
// The value of a COMPRESSED column. Throws Error{corrupt}.
Bytes inflate_column(ByteView value);

}  // namespace sevenfold::database::mariadb
