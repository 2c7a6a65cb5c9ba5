#include "storage/s3/internal/xml.h"

#include <charconv>
#include <pugixml.hpp>

#include "net/http_client.h"

namespace sevenfold::storage::internal {

std::string_view local_name(const pugi::xml_node& node) {
    std::string_view name = node.name();
    size_t colon = name.find(':');
    return colon == name.npos ? name : name.substr(colon + 1);
}

pugi::xml_node child_of(const pugi::xml_node& parent, std::string_view name) {
    for (const pugi::xml_node& child : parent.children())
        if (local_name(child) == name) return child;
    return {};
}

std::string_view text_of(const pugi::xml_node& parent, std::string_view name) {
    return child_of(parent, name).text().get();
}

bool load(pugi::xml_document& document, std::string_view xml) {
    return document.load_buffer(xml.data(), xml.size(), pugi::parse_default, pugi::encoding_utf8)
               .status == pugi::status_ok;
}

std::optional<uint64_t> number(std::string_view text) {
    uint64_t value = 0;
    auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || failure != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

std::optional<std::string> plain_text(std::string_view text, bool escaped) {
    std::string out(text);
    if (!escaped) return out;
    for (char& c : out)
        if (c == '+') c = ' ';
    return net::percent_decode(out);
}

}  // namespace sevenfold::storage::internal
