// CRC-32 as zlib, gzip and MariaDB have it (reflected polynomial 0xEDB88320). Against accidents
// only, never against somebody.
#pragma once

#include "core/bytes.h"

namespace sevenfold {

// Continues from `crc`, which is 0 at the beginning.
uint32_t crc32(ByteView bytes, uint32_t crc = 0);

}  // namespace sevenfold
