// Index files (format A.5).
#include <fmt/format.h>

#include "core/error.h"
#include "repository/index.h"
#include "repository/internal/json_reader.h"

namespace sevenfold::repository {
namespace {

void append_blob(std::string& out, const PackedBlob& blob) {
    fmt::format_to(std::back_inserter(out), R"({{"id":"{}","type":"{}","offset":{},"length":{})",
                   blob.handle.id.hex(), name(blob.handle.type), blob.offset, blob.length);
    if (blob.compressed())
        fmt::format_to(std::back_inserter(out), R"(,"uncompressed_length":{})",
                       blob.uncompressed_length);
    out += '}';
}

PackedBlob read_blob(JsonReader& json) {
    PackedBlob blob;
    bool has_id = false, has_type = false, has_offset = false, has_length = false;
    json.begin_object();
    while (json.next_key()) {
        std::string_view key = json.key();
        if (key == "id") {
            blob.handle.id = json.id();
            has_id = true;
        } else if (key == "type") {
            std::string_view type = json.string();
            if (type != "data" && type != "tree") json.fail("unknown blob type");
            blob.handle.type = type == "tree" ? BlobType::tree : BlobType::data;
            has_type = true;
        } else if (key == "offset") {
            blob.offset = json.u32();
            has_offset = true;
        } else if (key == "length") {
            blob.length = json.u32();
            has_length = true;
        } else if (key == "uncompressed_length") {
            blob.uncompressed_length = json.u32();
        } else {
            json.skip();
        }
    }
    if (!has_id || !has_type || !has_offset || !has_length || blob.length < 32)
        json.fail("incomplete blob");
    return blob;
}

IndexedPack read_pack(JsonReader& json) {
    IndexedPack pack;
    bool has_id = false;
    json.begin_object();
    while (json.next_key()) {
        if (json.key() == "id") {
            pack.pack = json.id();
            has_id = true;
        } else if (json.key() == "blobs") {
            json.begin_array();
            while (json.next_element()) pack.blobs.push_back(read_blob(json));
        } else {
            json.skip();
        }
    }
    if (!has_id) json.fail("pack without id");
    return pack;
}

}  // namespace

std::string encode_index(std::span<const IndexedPack> packs) {
    std::string out = R"({"packs":[)";
    for (size_t p = 0; p < packs.size(); ++p) {
        if (p != 0) out += ',';
        out += R"({"id":")" + packs[p].pack.hex() + R"(","blobs":[)";
        for (size_t b = 0; b < packs[p].blobs.size(); ++b) {
            if (b != 0) out += ',';
            append_blob(out, packs[p].blobs[b]);
        }
        out += "]}";
    }
    out += "]}\n";
    return out;
}

void decode_index(ByteView bytes, const std::function<void(IndexedPack&&)>& each) {
    JsonReader json(bytes, "index");
    json.begin_object();
    while (json.next_key()) {
        if (json.key() != "packs" || json.null()) {
            if (json.key() != "packs") json.skip();
            continue;
        }
        json.begin_array();
        while (json.next_element()) each(read_pack(json));
    }
    json.end();
}

}  // namespace sevenfold::repository
