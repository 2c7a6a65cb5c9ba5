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
#pragma once

#include <string>

#include "storage/backend.h"
#include "storage/s3/s3_client.h"

namespace sevenfold::storage {

struct S3BackendOptions {
    std::string location;       // for messages
    std::string prefix;         // without slashes at its ends; may be empty
    std::string storage_class;  // of packs only: the rest is small, and read often
};

// Throws Error{config} for classes from which objects cannot be read at once.
void check_storage_class(const std::string& storage_class);

class S3Backend : public Backend {
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

    S3Client& client() { return client_; }

  private:
    std::string key_of(const FileName& name) const;
    std::string folder_key(FileType type) const;
    std::string what(const FileName& name) const;
    void store_config_safely(const S3Client::Body& body);

    const S3BackendOptions options_;
    S3Client client_;
};

}  // namespace sevenfold::storage
