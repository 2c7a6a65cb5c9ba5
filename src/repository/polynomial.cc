#include <fmt/format.h>

#include <bit>
#include <charconv>

#include "core/error.h"
#include "crypto/random.h"
#include "repository/chunker.h"

namespace sevenfold::repository {
namespace {

constexpr int kDegree = 53;

Polynomial remainder(Polynomial a, Polynomial modulus) {
    int d = degree(modulus);
    for (int shift = degree(a) - d; shift >= 0; shift = degree(a) - d) a ^= modulus << shift;
    return a;
}

// a·b mod modulus, for a of a lower degree than the modulus.
Polynomial multiply(Polynomial a, Polynomial b, Polynomial modulus) {
    Polynomial top = Polynomial{1} << degree(modulus);
    Polynomial product = 0;
    for (; b != 0; b >>= 1) {
        if (b & 1) product ^= a;
        a <<= 1;
        if (a & top) a ^= modulus;
    }
    return product;
}

Polynomial gcd(Polynomial a, Polynomial b) {
    while (b != 0) {
        Polynomial r = remainder(a, b);
        a = b;
        b = r;
    }
    return a;
}

}  // namespace

int degree(Polynomial p) { return 63 - std::countl_zero(p); }

// Ben-Or's test: a reducible polynomial of degree d has an irreducible factor of some degree
// i <= d/2, which divides x^(2^i) - x.
bool is_irreducible(Polynomial p) {
    int d = degree(p);
    if (d < 1) return false;
    if (d == 1) return true;
    // Squaring shifts left by one bit within 64: the degree must leave room for it.
    if (d > 62) return false;
    constexpr Polynomial kX = 2;
    Polynomial power = kX;
    for (int i = 1; i <= d / 2; ++i) {
        power = multiply(power, power, p);
        if (gcd(p, power ^ kX) != 1) return false;
    }
    return true;
}

Polynomial random_polynomial() {
    for (;;) {
        Polynomial p = crypto::random_u64() & ((Polynomial{1} << (kDegree + 1)) - 1);
        p |= Polynomial{1} << kDegree | 1;
        if (is_irreducible(p)) return p;
    }
}

Polynomial parse_polynomial(std::string_view hex) {
    Polynomial p = 0;
    auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), p, 16);
    bool parsed = error == std::errc() && end == hex.data() + hex.size() && hex.front() != '0';
    if (!parsed || degree(p) != kDegree || !is_irreducible(p))
        throw Error(ErrorKind::corrupt,
                    fmt::format("chunker polynomial \"{}\" is not an irreducible one of degree {}",
                                hex.substr(0, 32), kDegree),
                    "The repository's config is damaged: restore it from a second place.");
    return p;
}

}  // namespace sevenfold::repository
