// One bucket of an S3 server: signed requests, and what their answers mean.
//
// Sizes are bytes, keys are what the server calls them, unescaped. Every call is one request, or
// two when the server first tells its region or that credentials have expired. Errors name `what`
// and are told apart as s3_error.h does; net's come through. Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "net/http_client.h"
#include "storage/s3/credentials.h"
#include "storage/s3/s3_versions_xml.h"
#include "storage/s3/s3_xml.h"
#include "storage/s3/sigv4.h"

namespace sevenfold::storage {

// How a bucket is addressed: by the path (host/bucket/key), or as part of the host's name
// (bucket.host/key). automatic: as AWS wants it on AWS, else by the path.
enum class BucketStyle { automatic, path, host };

struct S3ClientOptions {
    std::string host;   // an IPv6 address without brackets
    uint16_t port = 0;  // 0: the scheme's own
    bool tls = true;
    std::string bucket;
    BucketStyle style = BucketStyle::automatic;
    std::string region;  // empty: from the host's name, the environment, the server's answers
    S3CredentialOptions credentials = {};
    net::HttpOptions http = {};
    const Clock* clock = &Clock::system();
};

class S3Client {
  public:
    explicit S3Client(S3ClientOptions options);

    struct Attributes {
        uint64_t size = 0;
        std::string etag;  // without quotes; the MD5 in hex when it is one
    };
    // not_found when there is no such object.
    // `version` here and below: empty for the current one.
    Attributes head(const std::string& key, const std::string& what,
                    const std::string& version = {});
    // At most `limit` bytes: `cut` when there are more.
    struct Whole {
        Bytes bytes;
        bool cut = false;
        std::optional<uint64_t> size;  // as the server says
    };
    Whole get(const std::string& key, uint64_t limit, const std::string& what,
              const std::string& version = {});
    // Exactly `length` (> 0) bytes from `offset`; Error{io} ("short read") when the object ends
    // before, without fetching what there is.
    Bytes get_range(const std::string& key, uint64_t offset, size_t length, const std::string& what,
                    const std::string& version = {});

    struct Body {
        ByteView bytes;          // stays valid during the call, which may send it more than once
        std::string sha256_hex;  // the server checks both
        std::string md5_hex;     // empty: not to be had
    };
    struct PutOptions {
        bool create_only = false;
        std::string storage_class;  // empty: the bucket's own
        std::optional<Retention> retention = {};
    };
    // Stores an object; durable on return as far as the server keeps its word, and checked against
    // its ETag. With create_only: false when there is one already. A server that does not know
    // create_only replaces it; knows_create_only() tells as far as is known.
    bool put(const std::string& key, const Body& body, const PutOptions& options,
             const std::string& what);
    bool knows_create_only() const { return !create_only_refused_; }

    // Succeeds also when there is no such object.
    void remove(const std::string& key, const std::string& what);

    // Everything whose key begins with `prefix`, in the server's order. All or an error.
    std::vector<S3Object> list(const std::string& prefix, const std::string& what);
    // Whether there is any; one request. Also tells whether the bucket is there and may be listed.
    bool any(const std::string& prefix, const std::string& what);

    // Versions and Object Lock: s3_client_versions.cc.
    //
    // All versions of what begins with `prefix`, by key, the newest of each first.
    std::vector<S3Version> list_versions(const std::string& prefix, const std::string& what);
    // For good, or Error{permission} where it is locked.
    void remove_version(const std::string& key, const std::string& version,
                        const std::string& what);
    // Makes a copy of the version the current one.
    void copy_version(const std::string& key, const std::string& version, const PutOptions& options,
                      const std::string& what);
    S3BucketProtection bucket_protection(const std::string& what);
    // Nothing when it is not locked.
    std::optional<Retention> retention(const std::string& key, const std::string& version,
                                       const std::string& what);
    // Error{permission} when that would shorten it.
    void set_retention(const std::string& key, const std::string& version,
                       const Retention& retention, const std::string& what);

    // One signed request as it is; key empty: of the bucket itself. Any complete answer is a
    // success.
    net::HttpResponse attempt(const std::string& method, const std::string& key,
                              const std::vector<std::pair<std::string, std::string>>& query,
                              const std::vector<net::HttpHeader>& headers, ByteView body,
                              const std::string& what);

    // A URL by which anybody can read the object for so many seconds: a secret.
    std::string presigned_get(const std::string& key, uint64_t valid_seconds);

    // One request that this class has no call for, signed; the answer whatever its status, once
    // regions and expired credentials are settled. `limit` is of the answer's body.
    struct Call {
        std::string method;
        std::string key;  // empty: the bucket itself
        std::vector<std::pair<std::string, std::string>> query = {};
        std::vector<net::HttpHeader> headers = {};
        ByteView body = {};
        std::string sha256_hex = {};  // empty: of no body
        uint64_t limit = 0;
        const std::string& what;  // names the object in errors
    };
    net::HttpResponse send(const Call& call);
    // What such an answer means, when it is not the one hoped for.
    Error refusal(const net::HttpResponse& response, const std::string& what) const;

  private:
    struct Endpoint {
        std::string url, host, path;
    };
    Endpoint endpoint(const std::string& region) const;
    SignedRequest request_of(const Call& call, const Endpoint& endpoint) const;
    std::string region();
    bool learn_region(const net::HttpResponse& response, const std::optional<S3ErrorBody>& body,
                      const std::string& used, const std::string& what);
    net::HttpResponse send_once(const Call& call, const std::string& region,
                                const S3Credentials* credentials);
    net::HttpResponse ask_bucket(const std::string& subresource, const std::string& what);
    S3ListPage list_page(const std::string& prefix, const std::string& continuation, unsigned most,
                         const std::string& what);

    const S3ClientOptions options_;
    const bool bucket_in_host_;
    S3CredentialSource credentials_;
    net::HttpClient http_;
    std::atomic<bool> create_only_refused_{false};
    std::mutex mutex_;
    std::string region_;  // empty: not decided yet
};

}  // namespace sevenfold::storage
