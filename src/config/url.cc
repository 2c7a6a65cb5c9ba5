// The little of URLs that the configuration must know; storage/open.h understands the rest.
#include <algorithm>

#include "config/config.h"

namespace sevenfold::config {

std::optional<std::string> local_path(std::string_view url) {
    if (url.starts_with("local:")) return std::string(url.substr(6));
    size_t end = url.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789");
    bool scheme = end != url.npos && end >= 2 && url[end] == ':';
    return scheme ? std::nullopt : std::optional(std::string(url));
}

std::optional<std::string> bucket_path(std::string_view url) {
    if (!url.starts_with("s3:")) return std::nullopt;
    url.remove_prefix(3);
    for (std::string_view scheme : {"https://", "http://", "//"})
        if (url.starts_with(scheme)) {
            url.remove_prefix(scheme.size());
            break;
        }
    std::string out = "/s3:";
    for (bool first = true; !url.empty(); first = false) {
        std::string_view part = url.substr(0, url.find('/'));
        url.remove_prefix(std::min(url.size(), part.size() + 1));
        if (part.empty() || part == ".") continue;
        if (part == "..") return std::nullopt;
        if (!first) out += '/';
        out += part;
    }
    if (out.find('/', 1) == out.npos) return std::nullopt;
    return out;
}

std::string redacted(std::string_view url) {
    if (local_path(url)) return std::string(url);
    size_t start = url.find("://");
    start = start == url.npos ? url.find(':') + 1 : start + 3;
    // Up to the last @: the password may hold one, and too little shown does no harm.
    size_t colon = url.find(':', start), first_at = url.find('@', start), at = url.rfind('@');
    if (first_at == url.npos || colon > first_at) return std::string(url);
    return std::string(url.substr(0, colon + 1)) + "***" + std::string(url.substr(at));
}

std::string password_variable(std::string_view place_name) {
    std::string out = "SEVENFOLD_PASSWORD_";
    for (char c : place_name) {
        if (c >= 'a' && c <= 'z')
            out += static_cast<char>(c - ('a' - 'A'));
        else if ((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
            out += c;
        else
            out += '_';
    }
    return out;
}

}  // namespace sevenfold::config
