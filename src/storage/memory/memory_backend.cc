#include "storage/memory/memory_backend.h"

#include <fmt/format.h>

#include "core/error.h"

namespace sevenfold::storage {
namespace {

std::pair<FileType, Id> key_of(const FileName& name) {
    return {name.type, name.type == FileType::config ? Id{} : name.id};
}

const Bytes& find(const MemoryBackend::Files& files, const FileName& name) {
    auto it = files.find(key_of(name));
    if (it == files.end()) throw Error(ErrorKind::not_found, name.display() + ": no such file");
    return it->second;
}

}  // namespace

void MemoryBackend::create() {
    if (exists({FileType::config}))
        throw Error(ErrorKind::exists, "memory: a repository is there already");
}

void MemoryBackend::store(const FileName& name, ByteView body) {
    std::lock_guard lock(mutex_);
    files_[key_of(name)] = to_bytes(body);
}

Bytes MemoryBackend::load(const FileName& name, uint64_t offset, size_t length) {
    std::lock_guard lock(mutex_);
    const Bytes& file = find(files_, name);
    if (offset > file.size() || length > file.size() - offset)
        throw Error(ErrorKind::io, fmt::format("{}: short read: {} bytes at {}, the file has {}",
                                               name.display(), length, offset, file.size()));
    return to_bytes(ByteView(file).subspan(offset, length));
}

uint64_t MemoryBackend::size(const FileName& name) {
    std::lock_guard lock(mutex_);
    return find(files_, name).size();
}

void MemoryBackend::list(FileType type, const std::function<void(const FileInfo&)>& each) {
    std::vector<FileInfo> found;
    {
        std::lock_guard lock(mutex_);
        for (const auto& [key, body] : files_)
            if (key.first == type && type != FileType::config)
                found.push_back({key.second, body.size()});
    }
    for (const FileInfo& info : found) each(info);  // unlocked: `each` may use the backend
}

void MemoryBackend::remove(const FileName& name) {
    std::lock_guard lock(mutex_);
    find(files_, name);
    files_.erase(key_of(name));
}

MemoryBackend::Files MemoryBackend::files() const {
    std::lock_guard lock(mutex_);
    return files_;
}

void MemoryBackend::set_files(Files files) {
    std::lock_guard lock(mutex_);
    files_ = std::move(files);
}

}  // namespace sevenfold::storage
