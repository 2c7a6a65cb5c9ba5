#include "core/crc32.h"

#include <zlib.h>

namespace sevenfold {

uint32_t crc32(ByteView bytes, uint32_t crc) {
    // Without bytes a null pointer would ask for the initial value.
    return bytes.empty() ? crc : static_cast<uint32_t>(crc32_z(crc, bytes.data(), bytes.size()));
}

}  // namespace sevenfold
