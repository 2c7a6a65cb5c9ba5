// Which storage class each kind of file gets.
#pragma once

#include <string>
#include <string_view>

#include "storage/backend.h"

namespace sevenfold::storage {

// Empty: the bucket's own class.
struct StorageClasses {
    std::string data, trees;  // packs
    std::string index, snapshots;
    std::string keys;  // and config
    // Of locks none: they are replaced every few minutes.
    const std::string& of(const FileName& name) const;
};

// "STANDARD_IA" (of all packs), or "data=STANDARD_IA,trees=STANDARD". Throws Error{config} for what
// is neither, and for classes from which objects cannot be read at once.
StorageClasses parse_storage_classes(std::string_view text);

}  // namespace sevenfold::storage
