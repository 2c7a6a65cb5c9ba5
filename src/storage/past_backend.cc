#include "storage/past_backend.h"

#include <fmt/format.h>

#include "core/error.h"

namespace sevenfold::storage {
namespace {

Versions& versions_of(Backend& backend) {
    if (Versions* versions = backend.versions()) return *versions;
    throw Error(ErrorKind::config,
                fmt::format("{}: only places in S3 buckets keep versions", backend.location()),
                "Leave out --place-as-of.");
}

}  // namespace

PastBackend::PastBackend(std::unique_ptr<Backend> inner_backend, const Time& as_of)
    : ForwardingBackend(std::move(inner_backend)), versions_(versions_of(inner())), as_of_(as_of) {}

void PastBackend::refuse() const {
    throw Error(
        ErrorKind::refused, fmt::format("{}: the past can only be read", inner().location()),
        "To work on the place again, bring it back with `sevenfold repo recover-versions`.");
}

Error PastBackend::missing(const FileName& name) const {
    return Error(ErrorKind::not_found,
                 fmt::format("{}: {}: there was no such file at {}", inner().location(),
                             name.display(), to_display(as_of_)));
}

const PastBackend::Files& PastBackend::files(FileType type, std::optional<uint8_t> pack_folder) {
    std::pair<FileType, int> key{type, pack_folder ? *pack_folder : -1};
    if (auto it = seen_.find(key); it != seen_.end()) return it->second;
    Files found;
    std::optional<Id> decided;  // about this file; versions come together, the newest first
    versions_.list_versions(type, pack_folder, [&](const FileVersion& version) {
        if (decided == version.name.id || version.stored > as_of_) return;
        decided = version.name.id;
        if (!version.deletion) found.emplace(version.name.id, version);
    });
    return seen_.emplace(key, std::move(found)).first->second;
}

const FileVersion& PastBackend::find(const FileName& name) {
    std::lock_guard lock(mutex_);
    bool pack = name.type == FileType::pack;
    const Files& there = files(name.type, pack ? std::optional(name.id.bytes[0]) : std::nullopt);
    auto it = name.type == FileType::config ? there.begin() : there.find(name.id);
    if (it == there.end()) throw missing(name);
    return it->second;
}

void PastBackend::create() { refuse(); }

void PastBackend::store(const FileName& name, ByteView body) {
    if (name.type != FileType::lock) refuse();
    std::lock_guard lock(mutex_);
    locks_[name.id] = Bytes(body.begin(), body.end());
}

Bytes PastBackend::load(const FileName& name, uint64_t offset, size_t length) {
    if (name.type != FileType::lock) return versions_.load_version(find(name), offset, length);
    Bytes whole = load_all(name);
    if (offset > whole.size() || length > whole.size() - offset)
        throw Error(ErrorKind::io, fmt::format("{}: short read", name.display()));
    return Bytes(whole.begin() + static_cast<ptrdiff_t>(offset),
                 whole.begin() + static_cast<ptrdiff_t>(offset + length));
}

Bytes PastBackend::load_all(const FileName& name, uint64_t limit) {
    if (name.type != FileType::lock) return versions_.load_whole_version(find(name), limit);
    std::lock_guard lock(mutex_);
    auto it = locks_.find(name.id);
    if (it == locks_.end()) throw missing(name);
    return it->second;
}

uint64_t PastBackend::size(const FileName& name) {
    if (name.type == FileType::lock) return load_all(name).size();
    return find(name).size;
}

void PastBackend::list(FileType type, const std::function<void(const FileInfo&)>& each) {
    std::vector<FileInfo> found;
    {
        std::lock_guard lock(mutex_);
        if (type == FileType::lock) {
            for (const auto& [id, body] : locks_) found.push_back({id, body.size()});
        } else {
            for (const auto& [id, version] : files(type, std::nullopt))
                found.push_back({id, version.size});
        }
    }
    for (const FileInfo& info : found) each(info);
}

void PastBackend::remove(const FileName& name) {
    if (name.type != FileType::lock) refuse();
    std::lock_guard lock(mutex_);
    if (locks_.erase(name.id) == 0) throw missing(name);
}

}  // namespace sevenfold::storage
