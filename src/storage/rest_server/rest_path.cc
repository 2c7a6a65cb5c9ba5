#include "storage/rest_server/rest_path.h"

#include <algorithm>
#include <vector>

#include "net/http_client.h"

namespace sevenfold::storage {
namespace {

constexpr size_t kMostParts = 16, kLongestPart = 200, kLongestTarget = 2048;

std::optional<FileType> type_of(std::string_view name) {
    for (FileType type : kListedTypes)
        if (folder(type) == name) return type;
    return std::nullopt;
}

bool is_plain(std::string_view part) {
    return !part.empty() && part.size() <= kLongestPart && part[0] != '.' &&
           std::ranges::none_of(
               part, [](unsigned char c) { return c < ' ' || c == 0x7f || c == '/' || c == '\\'; });
}

// "/a/b%20c/": "a", "b c".
std::optional<std::vector<std::string>> parts_of(std::string_view target) {
    if (!target.starts_with('/') || target.size() > kLongestTarget) return std::nullopt;
    std::vector<std::string> parts;
    std::string_view rest = target.substr(1);
    while (!rest.empty()) {
        size_t slash = std::min(rest.find('/'), rest.size());
        auto part = net::percent_decode(rest.substr(0, slash));
        if (!part || !is_plain(*part) || parts.size() == kMostParts) return std::nullopt;
        parts.push_back(std::move(*part));
        rest.remove_prefix(std::min(slash + 1, rest.size()));
    }
    return parts;
}

}  // namespace

std::optional<RestPath> parse_repository_path(std::string_view target) {
    auto parts = parts_of(target);
    if (!parts) return std::nullopt;
    RestPath path;
    for (const std::string& part : *parts) path.repository += "/" + part;
    return path;
}

std::optional<RestPath> parse_rest_path(std::string_view target) {
    auto found = parts_of(target);
    if (!found) return std::nullopt;
    std::vector<std::string>& parts = *found;
    const bool ends_with_slash = target.ends_with('/');
    RestPath path;
    if (!ends_with_slash && parts.back() == "config") {
        path.what = RestPath::What::file;
        parts.pop_back();
    } else if (!ends_with_slash && parts.size() >= 2) {
        auto type = type_of(parts[parts.size() - 2]);
        auto id = Id::parse(parts.back());
        if (type && id) {
            path.what = RestPath::What::file;
            path.file = {*type, *id};
            parts.resize(parts.size() - 2);
        }
    } else if (ends_with_slash && !parts.empty()) {
        if (auto type = type_of(parts.back())) {
            path.what = RestPath::What::folder;
            path.file.type = *type;
            parts.pop_back();
        }
    }
    for (const std::string& part : parts) path.repository += "/" + part;
    return path;
}

bool is_below(std::string_view path, std::string_view prefix) {
    return path.starts_with(prefix) &&
           (path.size() == prefix.size() || path[prefix.size()] == '/' || prefix.empty());
}

}  // namespace sevenfold::storage
