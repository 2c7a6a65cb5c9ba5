#include "storage/backend.h"

#include <fmt/format.h>

#include "core/error.h"

namespace sevenfold::storage {

std::string_view folder(FileType type) {
    switch (type) {
        case FileType::config:
            return "config";
        case FileType::key:
            return "keys";
        case FileType::lock:
            return "locks";
        case FileType::snapshot:
            return "snapshots";
        case FileType::index:
            return "index";
        case FileType::pack:
            return "data";
    }
    return "?";
}

std::string FileName::display() const {
    if (type == FileType::config) return "config";
    return fmt::format("{}/{}", folder(type), id.hex());
}

Bytes Backend::load_all(const FileName& name, uint64_t limit) {
    uint64_t bytes = size(name);
    if (bytes > limit)
        throw Error(ErrorKind::corrupt,
                    fmt::format("{}: {} bytes, more than the {} a valid file can have",
                                name.display(), bytes, limit));
    return load(name, 0, bytes);
}

bool Backend::exists(const FileName& name) {
    try {
        size(name);
        return true;
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::not_found) return false;
        throw;
    }
}

std::vector<FileInfo> Backend::list_all(FileType type) {
    std::vector<FileInfo> files;
    list(type, [&](const FileInfo& info) { files.push_back(info); });
    return files;
}

}  // namespace sevenfold::storage
