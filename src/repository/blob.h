// A blob: a piece of a file (data) or the JSON of a directory (tree), named by its plaintext's
// SHA-256.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/id.h"

namespace sevenfold::repository {

enum class BlobType : uint8_t { data, tree };
inline std::string_view name(BlobType type) { return type == BlobType::data ? "data" : "tree"; }

struct BlobHandle {
    BlobType type = BlobType::data;
    Id id;
    auto operator<=>(const BlobHandle&) const = default;
};

struct BlobHandleHash {
    size_t operator()(const BlobHandle& h) const noexcept {
        return IdHash{}(h.id) ^ static_cast<size_t>(h.type);
    }
};

// Where a blob lies inside a pack.
struct PackedBlob {
    BlobHandle handle;
    uint32_t offset = 0;               // in the pack file
    uint32_t length = 0;               // of the envelope in the pack
    uint32_t uncompressed_length = 0;  // 0: stored raw
    bool compressed() const { return uncompressed_length != 0; }
    uint32_t plaintext_length() const { return compressed() ? uncompressed_length : length - 32; }
    bool operator==(const PackedBlob&) const = default;
};

struct BlobLocation {
    Id pack;
    PackedBlob blob;
};

}  // namespace sevenfold::repository
