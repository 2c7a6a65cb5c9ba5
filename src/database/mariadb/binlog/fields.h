// The integers of the binlog format, read through the bounds-checked cursor: little endian of any
// width, big endian of any width, and the client protocol's length-encoded integers.
#pragma once

#include "core/cursor.h"

namespace sevenfold::database::mariadb {

inline uint64_t little_endian(ByteView bytes) {
    uint64_t v = 0;
    for (size_t i = bytes.size(); i-- > 0;) v = v << 8 | bytes[i];
    return v;
}
inline uint64_t big_endian(ByteView bytes) {
    uint64_t v = 0;
    for (uint8_t b : bytes) v = v << 8 | b;
    return v;
}
// `width` is at most 8.
inline uint64_t little(Cursor& in, size_t width) { return little_endian(in.take(width)); }
inline uint64_t big(Cursor& in, size_t width) { return big_endian(in.take(width)); }

inline uint64_t length_encoded(Cursor& in) {
    uint8_t first = in.u8();
    switch (first) {
        case 251:
        case 255:
            throw Error(ErrorKind::corrupt, "not a length-encoded integer");
        case 252:
            return little(in, 2);
        case 253:
            return little(in, 3);
        case 254:
            return little(in, 8);
        default:
            return first;
    }
}
// What is left; in one piece.
inline ByteView rest(Cursor& in) { return in.take(in.remaining()); }
inline std::string take_text(Cursor& in, size_t size) {
    return std::string(as_text(in.take(size)));
}
inline std::string length_encoded_text(Cursor& in) {
    uint64_t size = length_encoded(in);
    if (size > in.remaining()) in.take(SIZE_MAX);  // throws, naming the object
    return take_text(in, size);
}

inline void append_little(Bytes& out, uint64_t v, size_t width) {
    for (size_t i = 0; i < width; ++i) out.push_back(static_cast<uint8_t>(v >> (8 * i)));
}

// Bits of a map, the first column in the lowest bit of the first byte.
inline bool bit(ByteView map, size_t at) {
    return at / 8 < map.size() && (map[at / 8] >> (at % 8) & 1) != 0;
}

}  // namespace sevenfold::database::mariadb
