#include "crypto/kdf.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "core/error.h"

namespace sevenfold::crypto {
namespace {

constexpr uint64_t kMaxMemory = uint64_t{1} << 30;
// N·r·p of the default parameters is 2^18 and takes about 0.1 s: this is some minutes.
constexpr uint64_t kMaxWork = uint64_t{1} << 30;
constexpr uint32_t kMaxCalibratedP = 32;

struct KdfDeleter {
    void operator()(EVP_KDF* p) const { EVP_KDF_free(p); }
    void operator()(EVP_KDF_CTX* p) const { EVP_KDF_CTX_free(p); }
};

}  // namespace

bool ScryptParameters::valid() const {
    if (n < 2 || !std::has_single_bit(n) || r == 0 || p == 0) return false;
    // RFC 7914 section 2: N < 2^(128·r/8).
    if (r < 4 && n >= uint64_t{1} << (16 * r)) return false;
    // None of the products can overflow: each factor has passed a bound before.
    if (n > kMaxMemory / 128 || r > kMaxMemory / 128 / n || p > kMaxMemory / 128 / r) return false;
    return p <= kMaxWork / (n * r);
}

CipherKey derive_key(const Secret& password, ByteView salt, const ScryptParameters& parameters) {
    if (!parameters.valid())
        throw Error(ErrorKind::corrupt,
                    fmt::format("scrypt parameters N={} r={} p={} are not acceptable", parameters.n,
                                parameters.r, parameters.p));
    std::unique_ptr<EVP_KDF, KdfDeleter> kdf(EVP_KDF_fetch(nullptr, "SCRYPT", nullptr));
    std::unique_ptr<EVP_KDF_CTX, KdfDeleter> context(kdf ? EVP_KDF_CTX_new(kdf.get()) : nullptr);
    if (!context) throw Error(ErrorKind::internal, "scrypt is not available");

    uint64_t n = parameters.n, r = parameters.r, p = parameters.p;
    uint64_t max_memory = 128 * r * (n + p) + (uint64_t{1} << 20);
    std::string_view text = password.reveal();
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, const_cast<char*>(text.data()),
                                          text.size()),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, const_cast<uint8_t*>(salt.data()),
                                          salt.size()),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_R, &r),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_P, &p),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &max_memory),
        OSSL_PARAM_construct_end(),
    };
    std::array<uint8_t, 64> derived;
    if (EVP_KDF_derive(context.get(), derived.data(), derived.size(), params) != 1)
        throw Error(ErrorKind::internal, fmt::format("scrypt with N={} r={} p={} failed", n, r, p),
                    "It needs that much memory: 128 * N * r bytes.");
    CipherKey key;
    std::memcpy(key.encrypt.data(), derived.data(), 32);
    std::memcpy(key.mac_k.data(), derived.data() + 32, 16);
    std::memcpy(key.mac_r.data(), derived.data() + 48, 16);
    wipe(derived.data(), derived.size());
    return key;
}

ScryptParameters calibrate_scrypt(std::chrono::milliseconds target) {
    // N=32768, r=8 use 32 MiB; the next N would need 64. What is left to scale is p.
    ScryptParameters parameters;
    std::array<uint8_t, 64> salt{};
    auto start = std::chrono::steady_clock::now();
    derive_key(Secret("calibration"), salt, parameters);
    std::chrono::duration<double, std::milli> once = std::chrono::steady_clock::now() - start;
    double fits = static_cast<double>(target.count()) / std::max(once.count(), 1.0);
    parameters.p = static_cast<uint32_t>(std::clamp(fits, 1.0, double{kMaxCalibratedP}));
    return parameters;
}

}  // namespace sevenfold::crypto
