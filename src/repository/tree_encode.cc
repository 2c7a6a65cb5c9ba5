// The JSON of nodes and trees, byte for byte as restic writes it (format A.7). Keys come in the
// order of restic's Node structure; those marked "omitempty" there are left out when empty.
#include "core/check.h"
#include "repository/internal/json_writer.h"
#include "repository/internal/utf8.h"
#include "repository/node.h"

namespace sevenfold::repository {
namespace {

void write_text(JsonWriter& json, std::string_view key, std::string_view value) {
    if (value.empty()) return;
    json.raw(key);
    json.string(value);
}

void write_number(JsonWriter& json, std::string_view key, uint64_t value) {
    if (value == 0) return;
    json.raw(key);
    json.u64(value);
}

void write_link_target(JsonWriter& json, std::string_view target) {
    write_text(json, ",\"linktarget\":", target);
    if (is_valid_utf8(target)) return;
    // JSON cannot hold the target: readers since restic 0.16 take it from here.
    json.raw(",\"linktarget_raw\":");
    json.base64(as_bytes(target));
}

void write_attributes(JsonWriter& json, const std::vector<ExtendedAttribute>& attributes) {
    if (attributes.empty()) return;
    std::string_view separator = ",\"extended_attributes\":[";
    for (const ExtendedAttribute& attribute : attributes) {
        json.raw(separator);
        json.raw("{\"name\":");
        json.string(attribute.name);
        json.raw(",\"value\":");
        json.base64(attribute.value);
        json.raw("}");
        separator = ",";
    }
    json.raw("]");
}

// Never omitted, and null for all but files.
void write_content(JsonWriter& json, const Node& node) {
    json.raw(",\"content\":");
    if (!node.is_file()) return json.raw("null");
    json.raw("[");
    for (size_t i = 0; i < node.content.size(); ++i) {
        if (i > 0) json.raw(",");
        json.id(node.content[i]);
    }
    json.raw("]");
}

void write_node(JsonWriter& json, const Node& node) {
    json.raw("{\"name\":");
    json.name(node.name);
    json.raw(",\"type\":\"");
    json.raw(name(node.type));
    json.raw("\"");
    write_number(json, ",\"mode\":", node.mode);
    json.raw(",\"mtime\":");
    json.time(node.mtime);
    json.raw(",\"atime\":");
    json.time(node.atime);
    json.raw(",\"ctime\":");
    json.time(node.ctime);
    json.raw(",\"uid\":");
    json.u64(node.uid);
    json.raw(",\"gid\":");
    json.u64(node.gid);
    write_text(json, ",\"user\":", node.user);
    write_text(json, ",\"group\":", node.group);
    write_number(json, ",\"inode\":", node.inode);
    write_number(json, ",\"device_id\":", node.device_id);
    write_number(json, ",\"size\":", node.size);
    write_number(json, ",\"links\":", node.links);
    write_link_target(json, node.link_target);
    write_attributes(json, node.extended_attributes);
    if (!node.generic_attributes.empty()) {
        json.raw(",\"generic_attributes\":");
        json.raw(node.generic_attributes);
    }
    write_number(json, ",\"device\":", node.device);
    write_content(json, node);
    if (node.subtree) {
        json.raw(",\"subtree\":");
        json.id(*node.subtree);
    }
    write_text(json, ",\"error\":", node.error);
    json.raw("}");
}

}  // namespace

void encode_node(Bytes& out, const Node& node) {
    JsonWriter json(out);
    write_node(json, node);
}

Bytes encode_tree(std::span<const Node> nodes) {
    Bytes out;
    out.reserve(64 + nodes.size() * 400);
    JsonWriter json(out);
    json.raw("{\"nodes\":[");
    for (size_t i = 0; i < nodes.size(); ++i) {
        if (i > 0) {
            CHECK(nodes[i - 1].name < nodes[i].name);
            json.raw(",");
        }
        write_node(json, nodes[i]);
    }
    json.raw("]}\n");
    json.finish();
    return out;
}

}  // namespace sevenfold::repository
