#include "config/suggest.h"

#include <algorithm>
#include <vector>

namespace sevenfold::config {
namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    std::replace(out.begin(), out.end(), '-', '_');
    return out;
}

}  // namespace

// Optimal string alignment; words are short, so the whole matrix is kept.
size_t edit_distance(std::string_view a, std::string_view b) {
    const size_t columns = b.size() + 1;
    std::vector<size_t> cost((a.size() + 1) * columns);
    auto at = [&](size_t i, size_t j) -> size_t& { return cost[i * columns + j]; };
    for (size_t i = 0; i <= a.size(); ++i) at(i, 0) = i;
    for (size_t j = 0; j <= b.size(); ++j) at(0, j) = j;
    for (size_t i = 1; i <= a.size(); ++i)
        for (size_t j = 1; j <= b.size(); ++j) {
            size_t replace = at(i - 1, j - 1) + (a[i - 1] == b[j - 1] ? 0 : 1);
            at(i, j) = std::min({replace, at(i - 1, j) + 1, at(i, j - 1) + 1});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
        }
    return at(a.size(), b.size());
}

std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates) {
    if (word.empty() || word.size() > 64) return std::nullopt;
    const std::string wanted = lower(word);
    const std::string* best = nullptr;
    size_t best_distance = 0;
    for (const std::string& candidate : candidates) {
        const std::string known = lower(candidate);
        size_t distance = edit_distance(wanted, known);
        bool prefix = wanted.size() >= 3 && known.size() >= 3 &&
                      (known.starts_with(wanted) || wanted.starts_with(known));
        if (!prefix && distance > std::max<size_t>(1, std::max(wanted.size(), known.size()) / 3))
            continue;
        if (best == nullptr || distance < best_distance) {
            best = &candidate;
            best_distance = distance;
        }
    }
    return best == nullptr ? std::nullopt : std::optional(*best);
}

}  // namespace sevenfold::config
