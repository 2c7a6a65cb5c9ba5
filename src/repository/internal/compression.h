// zstd as the format uses it: one frame a blob, sizes known from outside, bombs refused.
#pragma once

#include <memory>

#include "core/bytes.h"

namespace sevenfold::repository::internal {

inline constexpr int kDefaultLevel = 1;

// Contexts for one thread at a time.
class Compressor {
  public:
    Compressor();
    ~Compressor();
    Compressor(Compressor&&) noexcept;

    // One frame of `plaintext` into `out` (resized); false, and `out` is unspecified, when the
    // frame would not be smaller than limit bytes. What it made has been decompressed and compared.
    [[nodiscard]] bool compress(ByteView plaintext, int level, size_t limit, Bytes& out);
    // Throws Error{corrupt} unless `frame` decompresses to exactly `size` bytes.
    void decompress(ByteView frame, size_t size, Bytes& out);
    // As decompress, but the size is only bounded; for unpacked files.
    void decompress_unknown(ByteView frame, size_t limit, Bytes& out);
    // A cheap guess from samples: would compressing gain next to nothing?
    bool looks_incompressible(ByteView plaintext);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sevenfold::repository::internal
