#include "crypto/random.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/error.h"
#include "core/secret.h"

namespace sevenfold::crypto {

// The kernel's generator (getrandom(2)): no state in the process that a fork could duplicate, and
// for 16 bytes it takes half the time of OpenSSL's.
void random_bytes(MutableByteView out) {
    while (!out.empty()) {
        ssize_t n = getrandom(out.data(), std::min<size_t>(out.size(), 1 << 20), 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) throw Error(ErrorKind::internal, errno_error("get random bytes").message());
        out = out.subspan(static_cast<size_t>(n));
    }
}

Id random_id() {
    Id id;
    random_bytes(id.bytes);
    return id;
}

uint64_t random_u64() {
    std::array<uint8_t, 8> bytes;
    random_bytes(bytes);
    return get_le64(bytes.data());
}

std::string random_password(size_t length) {
    static constexpr std::string_view kLetters =
        "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    // Bytes beyond the largest multiple of the alphabet are thrown away: no letter is favoured.
    static constexpr size_t kFair = 256 / kLetters.size() * kLetters.size();
    std::array<uint8_t, 64> pool;
    std::string password;
    password.reserve(length);
    while (password.size() < length) {
        random_bytes(pool);
        for (uint8_t byte : pool)
            if (byte < kFair && password.size() < length)
                password += kLetters[byte % kLetters.size()];
    }
    wipe(pool.data(), pool.size());
    return password;
}

}  // namespace sevenfold::crypto
