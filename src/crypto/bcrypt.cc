#include "crypto/bcrypt.h"

#include <crypt.h>
#include <openssl/crypto.h>

#include <memory>

#include "core/bytes.h"
#include "core/check.h"
#include "core/error.h"
#include "core/secret.h"
#include "crypto/random.h"

namespace sevenfold::crypto {
namespace {

constexpr size_t kHashLength = 60;  // "$2y$", two digits of cost, "$", 22 of salt, 31 of hash
constexpr int kMostCost = 16;
constexpr std::string_view kLetters =
    "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

// 32 KiB with the password's traces: not on the stack, and wiped.
struct Scratch {
    crypt_data data{};
    ~Scratch() { wipe(&data, sizeof data); }
};

std::string run_crypt(std::string_view password, const std::string& setting) {
    Secret copy(password);
    auto scratch = std::make_unique<Scratch>();
    // A string_view of a Secret is a whole std::string: it ends with a zero byte.
    const char* out = ::crypt_r(copy.reveal().data(), setting.c_str(), &scratch->data);
    return out == nullptr ? "" : out;
}

}  // namespace

bool is_bcrypt_hash(std::string_view hash) {
    if (hash.size() != kHashLength || hash.substr(0, 2) != "$2" || hash[3] != '$' || hash[6] != '$')
        return false;
    if (hash[2] != 'a' && hash[2] != 'b' && hash[2] != 'y') return false;
    if (hash[4] < '0' || hash[4] > '9' || hash[5] < '0' || hash[5] > '9') return false;
    int cost = (hash[4] - '0') * 10 + (hash[5] - '0');
    return cost >= 4 && cost <= kMostCost &&
           hash.substr(7).find_first_not_of(kLetters) == hash.npos;
}

bool bcrypt_matches(std::string_view password, const std::string& hash) {
    if (!is_bcrypt_hash(hash) || password.find('\0') != password.npos) return false;
    std::string computed = run_crypt(password, hash);
    return computed.size() == hash.size() &&
           CRYPTO_memcmp(computed.data(), hash.data(), hash.size()) == 0;
}

std::string bcrypt_hash(std::string_view password, unsigned cost) {
    CHECK(cost >= 4 && cost <= kMostCost);
    char salt[16], setting[CRYPT_GENSALT_OUTPUT_SIZE];
    random_bytes({reinterpret_cast<uint8_t*>(salt), sizeof salt});
    if (::crypt_gensalt_rn("$2y$", cost, salt, sizeof salt, setting, sizeof setting) == nullptr)
        throw Error(ErrorKind::internal, "libcrypt knows no bcrypt");
    std::string hash = run_crypt(password, setting);
    if (!is_bcrypt_hash(hash)) throw Error(ErrorKind::internal, "libcrypt knows no bcrypt");
    return hash;
}

}  // namespace sevenfold::crypto
