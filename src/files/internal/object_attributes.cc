#include "files/internal/object_attributes.h"

#include <algorithm>

#include "files/bucket_contents.h"

namespace sevenfold::files::internal {
namespace {

using repository::ExtendedAttribute;
using repository::Node;
using storage::ObjectHeaders;

// "x-amz-storage-class" is kept as "storage-class".
std::string_view attribute_of(std::string_view header) {
    constexpr std::string_view kVendor = "x-amz-";
    return header.starts_with(kVendor) ? header.substr(kVendor.size()) : header;
}

}  // namespace

void set_attribute(Node& node, std::string_view name, std::string_view value) {
    if (value.empty()) return;
    std::string full = std::string(kS3Attribute).append(name);
    std::erase_if(node.extended_attributes, [&](auto& a) { return a.name == full; });
    node.extended_attributes.push_back({std::move(full), to_bytes(value)});
}

void sort_attributes(Node& node) {
    std::ranges::sort(node.extended_attributes, {}, &ExtendedAttribute::name);
}

std::string_view get_attribute(const Node& node, std::string_view name) {
    for (const ExtendedAttribute& attribute : node.extended_attributes)
        if (attribute.name.starts_with(kS3Attribute) &&
            std::string_view(attribute.name).substr(kS3Attribute.size()) == name)
            return as_text(attribute.value);
    return {};
}

void set_headers(Node& node, const ObjectHeaders& headers) {
    for (auto [name, member] : storage::kObjectHeaders)
        set_attribute(node, attribute_of(name), headers.*member);
    std::string metadata;
    for (const auto& [name, value] : headers.metadata) metadata += name + ": " + value + "\n";
    set_attribute(node, "metadata", metadata);
}

ObjectHeaders get_headers(const Node& node) {
    ObjectHeaders headers;
    for (auto [name, member] : storage::kObjectHeaders)
        headers.*member = get_attribute(node, attribute_of(name));
    std::string_view metadata = get_attribute(node, "metadata");
    while (!metadata.empty()) {
        size_t end = std::min(metadata.find('\n'), metadata.size());
        std::string_view line = metadata.substr(0, end);
        metadata.remove_prefix(std::min(end + 1, metadata.size()));
        if (size_t colon = line.find(": "); colon != line.npos && colon > 0)
            headers.metadata.emplace(line.substr(0, colon), line.substr(colon + 2));
    }
    return headers;
}

bool was_object(const Node& node) {
    return std::ranges::any_of(node.extended_attributes,
                               [](auto& a) { return a.name.starts_with(kS3Attribute); });
}

}  // namespace sevenfold::files::internal
