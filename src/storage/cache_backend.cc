#include "storage/cache_backend.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "core/error.h"
#include "core/log.h"
#include "crypto/sha256.h"
#include "os/file.h"

namespace sevenfold::storage {

namespace fs = std::filesystem;

namespace {

constexpr FileType kCachedTypes[] = {FileType::snapshot, FileType::index, FileType::pack};
// https://bford.info/cachedir/: backup programs leave such folders out.
constexpr std::string_view kCacheTag =
    "Signature: 8a477f597d28d172789f06886806bc55\n# A cache; it may be removed at any time.\n";
// A pack is in memory as a whole while it is fetched; restic makes none above 128 MiB.
constexpr uint64_t kMaxPack = 256 << 20;

// The files of a cache folder whose names are ids.
std::vector<std::pair<Id, fs::directory_entry>> entries(const std::string& path) {
    std::vector<std::pair<Id, fs::directory_entry>> out;
    std::error_code failure;
    for (fs::directory_iterator it(path, failure), end; !failure && it != end;
         it.increment(failure))
        if (auto id = Id::parse(it->path().filename().string())) out.emplace_back(*id, *it);
    return out;
}

}  // namespace

CacheBackend::CacheBackend(std::unique_ptr<Backend> inner, CacheOptions options)
    : ForwardingBackend(std::move(inner)), options_(std::move(options)) {
    try {
        for (FileType type : kCachedTypes)
            os::make_dirs(fmt::format("{}/{}", options_.folder, folder(type)));
        if (!os::path_exists(options_.folder + "/CACHEDIR.TAG"))
            os::write_file_atomically(options_.folder + "/CACHEDIR.TAG", as_bytes(kCacheTag));
        find_packs();
        usable_ = true;
    } catch (const Error& error) {
        log_warning("cache: {}; going on without", error.message());
    }
}

std::string CacheBackend::path_of(const FileName& name) const {
    return fmt::format("{}/{}/{}", options_.folder, folder(name.type), name.id.hex());
}

// Takes up the packs of earlier runs, oldest use first.
void CacheBackend::find_packs() {
    std::vector<std::pair<fs::file_time_type, std::pair<Id, uint64_t>>> found;
    for (const auto& [id, entry] : entries(fmt::format("{}/data", options_.folder))) {
        std::error_code failure;
        auto time = entry.last_write_time(failure);
        uint64_t size = failure ? 0 : entry.file_size(failure);
        if (!failure) found.push_back({time, {id, size}});
    }
    std::ranges::sort(found);
    for (const auto& [time, pack] : found) {
        packs_[pack.first] = {.size = pack.second, .last_use = ++uses_};
        bytes_ += pack.second;
    }
    make_room(0);
}

void CacheBackend::make_room(uint64_t bytes) {
    while (!packs_.empty() && bytes_ + bytes > options_.max_bytes) {
        auto oldest = std::ranges::min_element(
            packs_, {}, [](const auto& entry) { return entry.second.last_use; });
        ::unlink(path_of({FileType::pack, oldest->first}).c_str());
        bytes_ -= oldest->second.size;
        packs_.erase(oldest);
    }
}

void CacheBackend::forget(const FileName& name) {
    if (!usable_) return;
    ::unlink(path_of(name).c_str());
    if (name.type != FileType::pack) return;
    std::lock_guard lock(mutex_);
    auto it = packs_.find(name.id);
    if (it == packs_.end()) return;
    bytes_ -= it->second.size;
    packs_.erase(it);
}

std::optional<Bytes> CacheBackend::verified_copy(const FileName& name) {
    try {
        Bytes copy = os::read_file(path_of(name));
        if (crypto::sha256(copy) == name.id) return copy;
        log_info("cache: the copy of {} is damaged; fetching it again", name.display());
        forget(name);
    } catch (const Error&) {  // not there, or not readable: the same to us
    }
    return std::nullopt;
}

bool CacheBackend::keep(const FileName& name, ByteView body) try {
    if (crypto::sha256(body) != name.id) return false;
    if (name.type == FileType::pack) {
        if (body.size() > options_.max_bytes) return false;
        std::lock_guard lock(mutex_);
        make_room(body.size());
    }
    os::AtomicFile file(path_of(name));
    file.write(body);
    file.commit(0600, /*durable=*/false);
    if (name.type != FileType::pack) return true;
    std::lock_guard lock(mutex_);
    auto [it, added] = packs_.try_emplace(name.id);
    if (added) bytes_ += body.size();
    it->second = {.size = body.size(), .last_use = ++uses_, .verified = true};
    return true;
} catch (const Error& error) {
    log_debug("cache: {}", error.message());
    return false;
}

void CacheBackend::store(const FileName& name, ByteView body) {
    inner().store(name, body);
    if (usable_ && kept_whole(name.type)) keep(name, body);
}

// True when a verified copy of the whole pack lies in the cache, fetching it if needed.
bool CacheBackend::ready_pack(const FileName& name) {
    std::lock_guard one_fetch(fetching_[name.id.bytes[0] % 16]);
    bool known = false;
    {
        std::lock_guard lock(mutex_);
        if (refused_.contains(name.id)) return false;
        if (auto it = packs_.find(name.id); it != packs_.end()) {
            it->second.last_use = ++uses_;
            if (it->second.verified) return true;
            known = true;
        }
    }
    if (known && verified_copy(name)) {
        ::utimensat(AT_FDCWD, path_of(name).c_str(), nullptr, 0);  // used now, for later runs
        std::lock_guard lock(mutex_);
        packs_[name.id].verified = true;
        return true;
    }
    ++misses_;
    if (fetch_pack(name)) return true;
    std::lock_guard lock(mutex_);
    refused_.insert(name.id);
    return false;
}

// False when the pack cannot be kept: too large, not what its name says, or no room on the disk.
bool CacheBackend::fetch_pack(const FileName& name) try {
    return keep(name, inner().load_all(name, std::min(options_.max_bytes, kMaxPack)));
} catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) throw;
    log_debug("cache: {}", error.message());
    return false;
}

Bytes CacheBackend::load(const FileName& name, uint64_t offset, size_t length) {
    if (!usable_ || name.type != FileType::pack || !cacheable_ || !cacheable_(name.id))
        return inner().load(name, offset, length);
    if (ready_pack(name)) {
        try {
            os::UniqueFd fd = os::open_file(path_of(name), O_RDONLY);
            struct stat st {};
            if (::fstat(fd.get(), &st) == 0) {
                uint64_t size = static_cast<uint64_t>(st.st_size);
                if (offset <= size && length <= size - offset) {
                    Bytes out(length);
                    if (os::pread_all(fd.get(), out, offset, "cache") == length) {
                        ++hits_;
                        return out;
                    }
                }
            }
        } catch (const Error&) {  // another process may have made room
        }
        forget(name);
    }
    return inner().load(name, offset, length);
}

Bytes CacheBackend::load_all(const FileName& name, uint64_t limit) {
    if (!usable_ || !kept_whole(name.type)) return inner().load_all(name, limit);
    if (auto copy = verified_copy(name); copy && copy->size() <= limit) {
        ++hits_;
        return std::move(*copy);
    }
    ++misses_;
    Bytes body = inner().load_all(name, limit);
    keep(name, body);
    return body;
}

void CacheBackend::list(FileType type, const std::function<void(const FileInfo&)>& each) {
    auto found = inner().list_all(type);
    if (usable_ && (kept_whole(type) || type == FileType::pack)) {
        std::set<Id> present;
        for (const FileInfo& info : found) present.insert(info.id);
        for (const auto& [id, entry] : entries(fmt::format("{}/{}", options_.folder, folder(type))))
            if (!present.contains(id)) forget({type, id});
    }
    for (const FileInfo& info : found) each(info);
}

void CacheBackend::remove(const FileName& name) {
    if (name.type == FileType::pack || kept_whole(name.type)) forget(name);
    inner().remove(name);
}

}  // namespace sevenfold::storage
