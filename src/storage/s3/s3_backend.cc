#include "storage/s3/s3_backend.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "crypto/hmac.h"
#include "crypto/sha256.h"
#include "storage/layout.h"

namespace sevenfold::storage {

S3Backend::S3Backend(S3ClientOptions client, S3BackendOptions options)
    : options_(std::move(options)), client_(std::move(client)) {}

Capabilities S3Backend::capabilities() const { return {.connections = 5, .remote = true}; }

std::string S3Backend::folder_key(FileType type) const {
    return fmt::format("{}{}{}", options_.prefix, options_.prefix.empty() ? "" : "/", folder(type));
}

std::string S3Backend::key_of(const FileName& name) const {
    std::string key = folder_key(name.type);
    if (name.type == FileType::config) return key;
    std::string hex = name.id.hex();
    if (name.type == FileType::pack) key += "/" + hex.substr(0, 2);
    return key + "/" + hex;
}

std::string S3Backend::what(const FileName& name) const {
    return fmt::format("{}: {}", options_.location, name.display());
}

void S3Backend::create() {
    if (options_.lock) check_can_lock();
    // A listing says what a question for the object alone would not: that there is no bucket.
    FileName config{FileType::config, {}};
    bool present = false;
    if (client_.any(key_of(config), options_.location)) {
        try {
            client_.head(key_of(config), what(config));  // not one that only begins like it
            present = true;
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::not_found) throw;
        }
    }
    if (present)
        throw Error(ErrorKind::exists,
                    fmt::format("{}: a repository is there already", options_.location),
                    "Use it as it is, or choose another prefix.");
}

S3Client::PutOptions S3Backend::put_options(const FileName& name) const {
    S3Client::PutOptions put{.create_only = true, .storage_class = options_.classes.of(name)};
    if (options_.lock && name.type != FileType::lock)
        put.retention = Retention{.mode = options_.lock->mode,
                                  .until = options_.clock->now().plus(options_.lock->period)};
    return put;
}

void S3Backend::store(const FileName& name, ByteView bytes) {
    if (options_.lock) check_can_lock();
    S3Client::Body body{.bytes = bytes, .sha256_hex = crypto::sha256(bytes).hex(), .md5_hex = ""};
    if (auto md5 = crypto::md5(bytes)) body.md5_hex = to_hex(*md5);
    const S3Client::PutOptions put = put_options(name);
    if (name.type == FileType::config)
        store_config_safely(body, put);
    else
        store_unlocked(name, body, put);
    if (put.retention && !locks_) check_is_locked(name, *put.retention);
}

void S3Backend::store_unlocked(const FileName& name, const S3Client::Body& body,
                               const S3Client::PutOptions& options) {
    S3Client::PutOptions put = options;
    const std::string key = key_of(name), object = what(name);
    if (client_.put(key, body, put, object)) return;
    // It is there: what an earlier try stored, whose answer was lost, or something else.
    S3Client::Attributes present = client_.head(key, object);
    if (present.size == body.bytes.size() && present.etag == body.md5_hex) {
        if (put.retention) extend(key, "", object, put.retention->until, put.retention->until);
        return;
    }
    put.create_only = false;
    client_.put(key, body, put, object);
}

// Of two runs that make a repository at the same moment only one may win, also where the server
// does not know create_only: then both look at what is there afterwards.
void S3Backend::store_config_safely(const S3Client::Body& body, S3Client::PutOptions put) {
    FileName name{FileType::config, {}};
    const std::string key = key_of(name), object = what(name);
    Error lost(ErrorKind::exists, fmt::format("{}: another one is there already", object),
               "Somebody else has made a repository at this place.");
    auto same = [&] {
        S3Client::Whole stored = client_.get(key, body.bytes.size(), object);
        return !stored.cut && std::ranges::equal(stored.bytes, body.bytes);
    };
    client_.put(key, body, put, object);
    if (!same()) throw lost;  // the same: ours, perhaps of an earlier try whose answer was lost
}

Bytes S3Backend::range(const FileName& name, const std::string& version, uint64_t offset,
                       size_t length) {
    const std::string object = what(name);
    if (length > 0) return client_.get_range(key_of(name), offset, length, object, version);
    if (offset > client_.head(key_of(name), object, version).size)
        throw Error(ErrorKind::io, fmt::format("{}: short read", object));
    return {};
}

Bytes S3Backend::whole(const FileName& name, const std::string& version, uint64_t limit) {
    const std::string object = what(name);
    S3Client::Whole whole = client_.get(key_of(name), limit, object, version);
    if (whole.cut)
        throw Error(ErrorKind::corrupt,
                    fmt::format("{}: {} bytes, more than the {} a valid file can have", object,
                                whole.size.value_or(0), limit));
    return std::move(whole.bytes);
}

Bytes S3Backend::load(const FileName& name, uint64_t offset, size_t length) {
    return range(name, "", offset, length);
}

Bytes S3Backend::load_all(const FileName& name, uint64_t limit) { return whole(name, "", limit); }

uint64_t S3Backend::size(const FileName& name) {
    return client_.head(key_of(name), what(name)).size;
}

// Nothing for what load() would not find there.
std::optional<FileName> S3Backend::name_of(FileType type, std::string_view key) const {
    const std::string prefix = folder_key(type);
    std::string_view rest = key.substr(std::min(prefix.size(), key.size()));
    if (type == FileType::config)
        return key == prefix ? std::optional(FileName{type, {}}) : std::nullopt;
    if (!rest.starts_with('/')) return std::nullopt;
    rest.remove_prefix(1);
    std::optional<uint8_t> first;
    if (type == FileType::pack) {
        if (rest.size() < 3 || rest[2] != '/') return std::nullopt;
        first = pack_folder(rest.substr(0, 2));
        rest.remove_prefix(3);
    }
    auto id = Id::parse(rest);
    if (!id || (type == FileType::pack && (!first || *first != id->bytes[0]))) return std::nullopt;
    return FileName{type, *id};
}

void S3Backend::list(FileType type, const std::function<void(const FileInfo&)>& each) {
    const std::string prefix = folder_key(type) + "/";
    std::vector<FileInfo> found;
    for (const S3Object& object :
         client_.list(prefix, fmt::format("{}: {}", options_.location, folder(type)))) {
        if (auto name = name_of(type, object.key)) found.push_back({name->id, object.size});
    }
    for (const FileInfo& info : found) each(info);
}

void S3Backend::remove(const FileName& name) {
    const std::string key = key_of(name), object = what(name);
    client_.head(key, object);
    client_.remove(key, object);
}

}  // namespace sevenfold::storage
