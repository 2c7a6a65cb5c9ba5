// Reading the XML of S3 servers, which write name spaces or leave them out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pugi {
class xml_node;
class xml_document;
}  // namespace pugi

namespace sevenfold::storage::internal {

// Views last as long as the document.
std::string_view local_name(const pugi::xml_node& node);
// The first child of that name; null when there is none.
pugi::xml_node child_of(const pugi::xml_node& parent, std::string_view name);
// Its text; empty when there is no such child.
std::string_view text_of(const pugi::xml_node& parent, std::string_view name);
// False when it is not XML.
bool load(pugi::xml_document& document, std::string_view xml);
std::optional<uint64_t> number(std::string_view text);
// What encoding-type=url has escaped; nothing when it is not escaped as it should be.
std::optional<std::string> plain_text(std::string_view text, bool escaped);

}  // namespace sevenfold::storage::internal
