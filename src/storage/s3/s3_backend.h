// A repository in a bucket of an S3 server (AWS, Ceph, MinIO, …), laid out as restic does:
// prefix/config, prefix/keys/…, prefix/data/ab/ab….
//
// Several requests at once, each over a connection of its own. Durability is the server's: it
// answers a PUT once the object is kept as its storage class promises. Uploads carry SHA-256 and,
// where the system has it, MD5, which the server checks, and its ETag is compared with what was
// sent. Objects are created, not replaced, where the server can tell the difference; an existing
// one with the same content counts as stored, one with other content is replaced, except config,
// for which that is Error{exists}.
//
// The bucket must exist. In a bucket with versions, remove() and replacing keep the old version.
// With a lock, all but locks/ is stored locked; the bucket is asked before the first store whether
// it can do that, and the first locked object of each S3Backend whether it is.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>

#include "storage/backend.h"
#include "storage/s3/s3_client.h"
#include "storage/s3/storage_classes.h"
#include "storage/versions.h"

namespace sevenfold::storage {

struct S3BackendOptions {
    std::string location;  // for messages
    std::string prefix;    // without slashes at its ends; may be empty
    StorageClasses classes = {};
    std::optional<RetentionRule> lock = {};
    const Clock* clock = &Clock::system();
};

class S3Backend : public Backend, public Versions {
  public:
    S3Backend(S3ClientOptions client, S3BackendOptions options);

    std::string location() const override { return options_.location; }
    Capabilities capabilities() const override;
    // There is nothing to make; looks whether the bucket is there and has no repository yet.
    void create() override;
    void store(const FileName& name, ByteView body) override;
    Bytes load(const FileName& name, uint64_t offset, size_t length) override;
    Bytes load_all(const FileName& name, uint64_t limit = UINT64_MAX) override;
    uint64_t size(const FileName& name) override;
    // not_found when the bucket is missing.
    void list(FileType type, const std::function<void(const FileInfo&)>& each) override;
    // Two requests: S3 itself does not tell whether there was something to remove.
    void remove(const FileName& name) override;

    Versions* versions() override { return this; }
    void list_versions(FileType type, std::optional<uint8_t> pack_folder,
                       const std::function<void(const FileVersion&)>& each) override;
    Bytes load_version(const FileVersion& version, uint64_t offset, size_t length) override;
    Bytes load_whole_version(const FileVersion& version, uint64_t limit) override;
    void remove_version(const FileVersion& version) override;
    void bring_back(const FileVersion& version) override;
    std::optional<RetentionRule> retention_rule() const override { return options_.lock; }
    void check_can_lock() override;
    std::optional<Retention> retention(const FileVersion& version) override;
    bool retain(const FileVersion& version, const Time& at_least, const Time& until) override;

    S3Client& client() { return client_; }

  private:
    std::string key_of(const FileName& name) const;
    std::string folder_key(FileType type) const;
    std::string what(const FileName& name) const;
    std::optional<FileName> name_of(FileType type, std::string_view key) const;
    Bytes range(const FileName& name, const std::string& version, uint64_t offset, size_t length);
    Bytes whole(const FileName& name, const std::string& version, uint64_t limit);
    S3Client::PutOptions put_options(const FileName& name) const;
    void store_unlocked(const FileName& name, const S3Client::Body& body,
                        const S3Client::PutOptions& put);
    void store_config_safely(const S3Client::Body& body, S3Client::PutOptions put);
    bool extend(const std::string& key, const std::string& version, const std::string& object,
                const Time& at_least, const Time& until);
    void check_is_locked(const FileName& name, const Retention& wanted);

    const S3BackendOptions options_;
    S3Client client_;
    std::atomic<bool> can_lock_{false};  // the bucket has said so
    std::mutex checking_;
    std::atomic<bool> locks_{false};  // an object that was stored locked is locked
};

}  // namespace sevenfold::storage
