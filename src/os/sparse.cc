#include "os/sparse.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace sevenfold::os {

bool is_zero(ByteView data) {
    // The first bytes by hand, then every byte is compared with the one 16 before it.
    constexpr size_t kStart = 16;
    ByteView start = data.first(std::min(data.size(), kStart));
    if (!std::ranges::all_of(start, [](uint8_t b) { return b == 0; })) return false;
    return data.size() <= kStart ||
           std::memcmp(data.data(), data.data() + kStart, data.size() - kStart) == 0;
}

std::optional<Extent> next_data(int fd, uint64_t from, uint64_t size) {
    if (from >= size) return std::nullopt;
    off_t begin = ::lseek(fd, static_cast<off_t>(from), SEEK_DATA);
    if (begin < 0) {
        if (errno == ENXIO) return std::nullopt;
        return Extent{from, size};
    }
    if (static_cast<uint64_t>(begin) >= size) return std::nullopt;
    off_t end = ::lseek(fd, begin, SEEK_HOLE);
    if (end <= begin) return Extent{static_cast<uint64_t>(begin), size};
    return Extent{static_cast<uint64_t>(begin), std::min(static_cast<uint64_t>(end), size)};
}

bool punch_hole(int fd, uint64_t offset, uint64_t length) {
    return ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                       static_cast<off_t>(length)) == 0;
}

}  // namespace sevenfold::os
