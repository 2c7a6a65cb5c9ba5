// Foreign zstd frames: decompressed within the limit given, or Error{corrupt}; and our own frames
// always come back.
#include "core/check.h"
#include "core/error.h"
#include "repository/internal/compression.h"

using namespace sevenfold;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static repository::internal::Compressor compressor;
    constexpr size_t kLimit = 1 << 20;
    ByteView input(data, size);
    Bytes out;
    size_t length = 0;
    try {
        compressor.decompress_unknown(input, kLimit, out);
        CHECK(out.size() <= kLimit);
        length = out.size();
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::corrupt);
    }
    try {
        compressor.decompress(input, length, out);
        CHECK(out.size() == length);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::corrupt);
    }
    compressor.looks_incompressible(input);
    Bytes frame, back;
    if (compressor.compress(input, repository::internal::kDefaultLevel, size + 1024, frame)) {
        compressor.decompress(frame, size, back);
        CHECK(std::equal(back.begin(), back.end(), input.begin(), input.end()));
    }
    return 0;
}
