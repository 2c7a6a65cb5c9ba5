// What S3Backend does with versions and Object Lock.
#include <fmt/format.h>

#include "core/check.h"
#include "core/error.h"
#include "storage/s3/s3_backend.h"

namespace sevenfold::storage {
namespace {

// A right that is missing is a matter of the set-up: RetryBackend takes a refused store for one
// whose answer was lost.
template <class Ask>
auto needing(const char* right, Ask ask) {
    try {
        return ask();
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::permission) throw;
        throw Error(ErrorKind::config, error.message(),
                    fmt::format("For lock, the key also needs {}.", right));
    }
}

}  // namespace

void S3Backend::check_can_lock() {
    if (can_lock_) return;
    S3BucketProtection bucket =
        needing("s3:GetBucketVersioning and s3:GetBucketObjectLockConfiguration on the bucket",
                [&] { return client_.bucket_protection(options_.location); });
    if (!bucket.object_lock)
        throw Error(
            ErrorKind::config,
            fmt::format("{}: lock is set, but the bucket has no Object Lock", options_.location),
            "Switch Object Lock on with your vendor's tools (most can do that only when "
            "the bucket is created), or remove lock.");
    if (!bucket.versions)
        throw Error(
            ErrorKind::config,
            fmt::format("{}: lock is set, but the bucket keeps no versions", options_.location),
            "Enable versioning on the bucket: without it, locks protect nothing.");
    can_lock_ = true;
}

// A server that does not know the headers stores the object all the same.
void S3Backend::check_is_locked(const FileName& name, const Retention& wanted) {
    std::lock_guard lock(checking_);
    if (locks_) return;
    const std::string object = what(name);
    auto has = needing("s3:GetObjectRetention on its objects",
                       [&] { return client_.retention(key_of(name), "", object); });
    // Somebody else's may be longer; fractions of a second are not kept.
    bool good = has && has->until.plus(std::chrono::seconds(2)) >= wanted.until &&
                (has->mode == RetentionMode::compliance || wanted.mode == has->mode);
    if (!good)
        throw Error(ErrorKind::unsupported,
                    fmt::format("{}: stored, but the server did not lock it{}", object,
                                has ? " for as long as it was told to" : ""),
                    "Use a server that knows Object Lock, or remove lock from this place.");
    locks_ = true;
}

// True when there was something to do.
bool S3Backend::extend(const std::string& key, const std::string& version,
                       const std::string& object, const Time& at_least, const Time& until) {
    CHECK(options_.lock);
    Retention wanted{.mode = options_.lock->mode, .until = until};
    auto has = needing("s3:GetObjectRetention on its objects",
                       [&] { return client_.retention(key, version, object); });
    bool weaker = !has || (has->mode == RetentionMode::governance &&
                           wanted.mode == RetentionMode::compliance);
    if (!weaker && has->until >= at_least) return false;
    if (has && has->mode == RetentionMode::compliance) wanted.mode = has->mode;
    if (has && has->until > wanted.until) wanted.until = has->until;
    needing("s3:PutObjectRetention on its objects",
            [&] { client_.set_retention(key, version, wanted, object); });
    return true;
}

bool S3Backend::retain(const FileVersion& version, const Time& at_least, const Time& until) {
    CHECK(!version.deletion);
    return extend(key_of(version.name), version.version, what(version.name), at_least, until);
}

std::optional<Retention> S3Backend::retention(const FileVersion& version) {
    return client_.retention(key_of(version.name), version.version, what(version.name));
}

void S3Backend::list_versions(FileType type, std::optional<uint8_t> pack_folder,
                              const std::function<void(const FileVersion&)>& each) {
    std::string prefix = folder_key(type);
    if (type != FileType::config) prefix += "/";
    if (type == FileType::pack && pack_folder) prefix += fmt::format("{:02x}/", *pack_folder);
    for (S3Version& version : client_.list_versions(
             prefix, fmt::format("{}: versions of {}", options_.location, folder(type)))) {
        auto name = name_of(type, version.key);
        if (!name) continue;
        each({.name = *name,
              .version = std::move(version.version),
              .stored = version.stored,
              .size = version.size,
              .digest = std::move(version.etag),
              .deletion = version.deletion,
              .current = version.latest});
    }
}

Bytes S3Backend::load_version(const FileVersion& version, uint64_t offset, size_t length) {
    return range(version.name, version.version, offset, length);
}

Bytes S3Backend::load_whole_version(const FileVersion& version, uint64_t limit) {
    return whole(version.name, version.version, limit);
}

void S3Backend::remove_version(const FileVersion& version) {
    client_.remove_version(key_of(version.name), version.version, what(version.name));
}

void S3Backend::bring_back(const FileVersion& version) {
    client_.copy_version(key_of(version.name), version.version, put_options(version.name),
                         what(version.name));
}

}  // namespace sevenfold::storage
