#include "config/internal/checks.h"

#include <algorithm>
#include <set>

namespace sevenfold::config::internal {

namespace fs = std::filesystem;

bool is_good_name(std::string_view name) {
    constexpr std::string_view kLetters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return !name.empty() && name.size() <= 64 && name[0] != '-' && name[0] != '.' &&
           name.find_first_not_of(kLetters) == name.npos;
}

bool is_span(std::string_view text) {
    std::string_view units = "ymdh";
    std::set<char> seen;
    size_t digits = 0;
    for (char c : text) {
        if (c >= '0' && c <= '9') {
            ++digits;
        } else if (digits == 0 || digits > 6 || units.find(c) == units.npos ||
                   !seen.insert(c).second) {
            return false;
        } else {
            digits = 0;
        }
    }
    return digits == 0 && !seen.empty();
}

bool is_inside(const fs::path& inner, const fs::path& outer) {
    auto [o, i] = std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end());
    return o == outer.end() || (std::next(o) == outer.end() && o->empty());
}

fs::path resolved(const std::string& path) {
    std::error_code error;
    fs::path real = fs::weakly_canonical(path, error);
    if (error) real = fs::path(path).lexically_normal();
    if (real.filename().empty() && real.has_relative_path()) real = real.parent_path();
    return real;
}

}  // namespace sevenfold::config::internal
