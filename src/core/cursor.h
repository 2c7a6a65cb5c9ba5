// The one bounds-checked reader of foreign binary bytes. Every read that would pass the end throws
// Error{corrupt} naming what was read.
#pragma once

#include <string_view>

#include "core/bytes.h"
#include "core/error.h"

namespace sevenfold {

class Cursor {
  public:
    // `what` names the object in errors and must outlive the cursor.
    Cursor(ByteView bytes, std::string_view what) : rest_(bytes), what_(what) {}

    size_t remaining() const { return rest_.size(); }
    bool done() const { return rest_.empty(); }
    ByteView take(size_t n) {
        if (n > rest_.size()) throw Error(ErrorKind::corrupt, std::string(what_) + ": truncated");
        ByteView out = rest_.first(n);
        rest_ = rest_.subspan(n);
        return out;
    }
    uint8_t u8() { return take(1)[0]; }
    uint32_t le32() { return get_le32(take(4).data()); }
    uint64_t le64() { return get_le64(take(8).data()); }
    uint32_t be32() { return __builtin_bswap32(le32()); }
    uint64_t be64() { return __builtin_bswap64(le64()); }
    // A big-endian 32-bit length and that many bytes (SSH's string).
    ByteView be_string() { return take(be32()); }

  private:
    ByteView rest_;
    std::string_view what_;
};

}  // namespace sevenfold
