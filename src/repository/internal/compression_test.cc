#include "repository/internal/compression.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include "core/error.h"

namespace sevenfold::repository::internal {
namespace {

// As restic writes them: streamed, with a checksum, and with or without the size.
Bytes frame_of(ByteView plaintext, bool with_size) {
    std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(), ZSTD_freeCCtx);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_contentSizeFlag, with_size ? 1 : 0);
    Bytes out(ZSTD_compressBound(plaintext.size()));
    size_t n =
        ZSTD_compress2(context.get(), out.data(), out.size(), plaintext.data(), plaintext.size());
    EXPECT_FALSE(ZSTD_isError(n));
    out.resize(n);
    return out;
}

TEST(Compression, LimitsAreExact) {
    Compressor compressor;
    for (size_t size : {size_t{1}, size_t{65536}, size_t{131072}, size_t{3'000'001}})
        for (bool with_size : {true, false}) {
            Bytes plaintext(size, uint8_t{'a'}), out;
            Bytes frame = frame_of(plaintext, with_size);
            compressor.decompress_unknown(frame, size, out);
            EXPECT_EQ(out, plaintext);
            compressor.decompress(frame, size, out);
            EXPECT_EQ(out, plaintext);
            EXPECT_THROW(compressor.decompress_unknown(frame, size - 1, out), Error) << size;
            EXPECT_THROW(compressor.decompress(frame, size - 1, out), Error) << size;
            EXPECT_THROW(compressor.decompress(frame, size + 1, out), Error) << size;
        }
}

TEST(Compression, WhatIsNotOneWholeFrameIsRefused) {
    Compressor compressor;
    Bytes out, frame = frame_of(Bytes(1000, uint8_t{'a'}), true), two = frame;
    append(two, frame);
    for (ByteView bad : {ByteView(), ByteView(frame).first(frame.size() - 1), ByteView(two),
                         as_bytes("no frame")}) {
        EXPECT_THROW(compressor.decompress_unknown(bad, 1 << 20, out), Error);
        EXPECT_THROW(compressor.decompress(bad, 1000, out), Error);
    }
}

}  // namespace
}  // namespace sevenfold::repository::internal
