#include "repository/internal/compression.h"

#include <fmt/format.h>
#include <zstd.h>

#include "core/check.h"
#include "core/error.h"

namespace sevenfold::repository::internal {
namespace {

constexpr size_t kSample = 8 << 10;
constexpr size_t kSamples = 4;
constexpr size_t kSampleFrom = 128 << 10;  // below this, trying costs less than guessing

struct FreeCompressor {
    void operator()(ZSTD_CCtx* c) const { ZSTD_freeCCtx(c); }
};
struct FreeDecompressor {
    void operator()(ZSTD_DCtx* d) const { ZSTD_freeDCtx(d); }
};

Error corrupt(const std::string& why) { return Error(ErrorKind::corrupt, "zstd: " + why); }

}  // namespace

struct Compressor::Impl {
    std::unique_ptr<ZSTD_CCtx, FreeCompressor> c{ZSTD_createCCtx()};
    std::unique_ptr<ZSTD_DCtx, FreeDecompressor> d{ZSTD_createDCtx()};
    Bytes again, sample;
};

Compressor::Compressor() : impl_(std::make_unique<Impl>()) {}
Compressor::~Compressor() = default;
Compressor::Compressor(Compressor&&) noexcept = default;

bool Compressor::compress(ByteView plaintext, int level, size_t limit, Bytes& out) {
    out.resize(std::min(limit, ZSTD_compressBound(plaintext.size())));
    size_t n = ZSTD_compressCCtx(impl_->c.get(), out.data(), out.size(), plaintext.data(),
                                 plaintext.size(), level);
    if (ZSTD_isError(n)) return false;  // with these arguments only: does not fit
    out.resize(n);
    impl_->again.resize(plaintext.size());
    size_t back = ZSTD_decompressDCtx(impl_->d.get(), impl_->again.data(), impl_->again.size(),
                                      out.data(), out.size());
    if (back != plaintext.size() ||
        (back != 0 && std::memcmp(impl_->again.data(), plaintext.data(), back) != 0))
        throw Error(ErrorKind::internal,
                    "what was compressed does not decompress to the same bytes",
                    "This machine's memory or processor may be faulty; nothing wrong was stored.");
    return true;
}

void Compressor::decompress(ByteView frame, size_t size, Bytes& out) {
    out.resize(size);
    size_t n = ZSTD_decompressDCtx(impl_->d.get(), out.data(), size, frame.data(), frame.size());
    if (ZSTD_isError(n)) throw corrupt(ZSTD_getErrorName(n));
    if (n != size) throw corrupt(fmt::format("{} bytes where {} were expected", n, size));
}

void Compressor::decompress_unknown(ByteView frame, size_t limit, Bytes& out) {
    out.clear();
    ZSTD_DCtx_reset(impl_->d.get(), ZSTD_reset_session_only);
    ZSTD_inBuffer in{frame.data(), frame.size(), 0};
    for (size_t hint = 1; hint != 0;) {
        size_t old = out.size();
        if (old >= limit) throw corrupt(fmt::format("more than {} bytes", limit));
        out.resize(std::min(limit, std::max<size_t>(old * 2, 4 * frame.size() + (64 << 10))));
        ZSTD_outBuffer to{out.data() + old, out.size() - old, 0};
        hint = ZSTD_decompressStream(impl_->d.get(), &to, &in);
        if (ZSTD_isError(hint)) throw corrupt(ZSTD_getErrorName(hint));
        out.resize(old + to.pos);
        if (hint != 0 && to.pos == 0 && in.pos == in.size) throw corrupt("truncated");
    }
    if (in.pos != in.size) throw corrupt("trailing bytes");
}

bool Compressor::looks_incompressible(ByteView plaintext) {
    if (plaintext.size() < kSampleFrom) return false;
    impl_->sample.resize(ZSTD_compressBound(kSample));
    size_t total = 0;
    for (size_t i = 0; i < kSamples; ++i) {
        size_t at = (plaintext.size() - kSample) / (kSamples - 1) * i;
        size_t n = ZSTD_compressCCtx(impl_->c.get(), impl_->sample.data(), impl_->sample.size(),
                                     plaintext.data() + at, kSample, 1);
        total += ZSTD_isError(n) ? kSample : n;
    }
    return total > kSample * kSamples * 97 / 100;
}

}  // namespace sevenfold::repository::internal
