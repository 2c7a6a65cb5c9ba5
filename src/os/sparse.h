// Holes: parts of a file that read as zeros and take no space.
#pragma once

#include <cstdint>
#include <optional>

#include "core/bytes.h"

namespace sevenfold::os {

bool is_zero(ByteView data);

// The next part of a file of `size` bytes, at or after `from`, that may hold data; nothing when
// only a hole is left. One lseek or two; file systems that know no holes say that everything is
// data. Moves the descriptor's position.
struct Extent {
    uint64_t begin, end;
};
std::optional<Extent> next_data(int fd, uint64_t from, uint64_t size);

// Makes a part of a file a hole; false where the file system cannot.
bool punch_hole(int fd, uint64_t offset, uint64_t length);

}  // namespace sevenfold::os
