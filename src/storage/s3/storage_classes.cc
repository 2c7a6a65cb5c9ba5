#include "storage/s3/storage_classes.h"

#include <fmt/format.h>

#include "core/error.h"

namespace sevenfold::storage {
namespace {

std::string checked(std::string_view word) {
    if (word == "GLACIER" || word == "DEEP_ARCHIVE")
        throw Error(ErrorKind::config,
                    fmt::format("storage class {}: repositories cannot lie in an archive", word),
                    "Use a class that is read at once, like STANDARD_IA or GLACIER_IR.");
    constexpr std::string_view kLetters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    if (word.find_first_not_of(kLetters) != word.npos)
        throw Error(ErrorKind::config, "the storage class is not valid",
                    "It is a word like STANDARD_IA, or { data = \"STANDARD_IA\" }.");
    return std::string(word);
}

std::string* member(StorageClasses& classes, std::string_view kind) {
    if (kind == "data") return &classes.data;
    if (kind == "trees") return &classes.trees;
    if (kind == "index") return &classes.index;
    if (kind == "snapshots") return &classes.snapshots;
    if (kind == "keys") return &classes.keys;
    return nullptr;
}

}  // namespace

const std::string& StorageClasses::of(const FileName& name) const {
    static const std::string kNone;
    switch (name.type) {
        case FileType::pack:
            return name.holds_trees ? trees : data;
        case FileType::index:
            return index;
        case FileType::snapshot:
            return snapshots;
        case FileType::key:
        case FileType::config:
            return keys;
        case FileType::lock:
            return kNone;
    }
    return kNone;
}

StorageClasses parse_storage_classes(std::string_view text) {
    StorageClasses out;
    if (text.find('=') == text.npos) {
        out.data = out.trees = checked(text);
        return out;
    }
    while (!text.empty()) {
        size_t comma = std::min(text.find(','), text.size());
        std::string_view part = text.substr(0, comma);
        text.remove_prefix(std::min(comma + 1, text.size()));
        size_t equals = std::min(part.find('='), part.size());
        std::string* into = member(out, part.substr(0, equals));
        if (into == nullptr || equals == part.size())
            throw Error(ErrorKind::config, "the storage class is of no kind of file",
                        "Kinds are data, trees, index, snapshots and keys.");
        *into = checked(part.substr(equals + 1));
    }
    return out;
}

}  // namespace sevenfold::storage
