#include "database/mariadb/binlog/inflate.h"

#include <zlib.h>

#include "database/mariadb/binlog/fields.h"

namespace sevenfold::database::mariadb {
namespace {

// `window_bits` negative: a bare deflate stream without zlib's header.
Bytes inflate_exactly(ByteView packed, uint64_t size, int window_bits) {
    // zlib packs at most 1032 to 1: a length beyond that is damage, and must not cost memory.
    if (size > kMaxUnpacked || size > (packed.size() + 16) * 1040)
        throw Error(ErrorKind::corrupt, "compressed data: impossible length");
    Bytes out(size);
    z_stream stream{};
    if (inflateInit2(&stream, window_bits) != Z_OK)
        throw Error(ErrorKind::internal, "zlib does not start");
    uint8_t none = 0;
    stream.next_in = const_cast<uint8_t*>(packed.data());
    stream.avail_in = static_cast<uInt>(packed.size());
    stream.next_out = size == 0 ? &none : out.data();
    stream.avail_out = static_cast<uInt>(size);
    int code = inflate(&stream, Z_FINISH);
    uint64_t made = stream.total_out;
    inflateEnd(&stream);
    if (code != Z_STREAM_END || made != size)
        throw Error(ErrorKind::corrupt, "compressed data is damaged");
    return out;
}

}  // namespace

Bytes inflate_record(ByteView record) {
    Cursor in(record, "compressed data");
    uint8_t head = in.u8();
    size_t width = head & 0x07;
    if ((head & 0xe0) != 0x80 || width == 0 || width > 4)
        throw Error(ErrorKind::corrupt, "compressed data: unknown method");
    uint64_t size = big(in, width);
    return inflate_exactly(rest(in), size, MAX_WBITS);
}

Bytes inflate_column(ByteView value) {
    if (value.empty()) return {};
    Cursor in(value, "compressed column");
    uint8_t head = in.u8();
    switch (head >> 4) {
        case 0:
            return to_bytes(rest(in));
        case 8: {
            size_t width = head & 0x07;
            uint64_t size = big(in, width);
            return inflate_exactly(rest(in), size, (head & 8) != 0 ? -MAX_WBITS : MAX_WBITS);
        }
        default:
            throw Error(ErrorKind::corrupt, "compressed column: unknown method");
    }
}

}  // namespace sevenfold::database::mariadb
