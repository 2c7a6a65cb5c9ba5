// The objects of a bucket as users and programs know them: with content type, metadata, tags,
// grants and versions. (A repository in a bucket needs less: s3_backend.h.)
//
// Thread-safe; every call is a request or a few, each over a connection of its own. Temporary
// failures (lost connections, 503 SlowDown) are tried again with growing pauses, as BackendOptions
// says; what a lost answer leaves unknown is settled by looking. Listings are complete or an error.
// What was stored or copied is durable on return as far as the server keeps its word, and its ETag
// was compared with what was sent. Keys are whole (with the prefix) and unescaped.
//
// Errors name the object ("s3:https://host/bucket/key"), control characters made visible:
// not_found only for what certainly is S3's own word; exists for a condition that does not hold;
// permission; network and timeout when trying again was in vain; unsupported; corrupt for answers
// that contradict themselves.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/random.h"
#include "storage/open.h"
#include "storage/s3/bucket_xml.h"
#include "storage/s3/s3_client.h"
#include "storage/waiting.h"

namespace sevenfold::storage {

// What goes with an object's bytes.
struct ObjectHeaders {
    std::string content_type, cache_control, content_disposition, content_encoding,
        content_language, expires;
    std::map<std::string, std::string> metadata;  // x-amz-meta-…: names in lower case, without that
    std::string storage_class;                    // empty: STANDARD, or the bucket's own
    bool operator==(const ObjectHeaders&) const = default;
};

// Their names as HTTP has them; metadata apart.
inline constexpr std::pair<std::string_view, std::string ObjectHeaders::*> kObjectHeaders[] = {
    {"content-type", &ObjectHeaders::content_type},
    {"cache-control", &ObjectHeaders::cache_control},
    {"content-disposition", &ObjectHeaders::content_disposition},
    {"content-encoding", &ObjectHeaders::content_encoding},
    {"content-language", &ObjectHeaders::content_language},
    {"expires", &ObjectHeaders::expires},
    {"x-amz-storage-class", &ObjectHeaders::storage_class},
};

struct ObjectInfo {
    uint64_t size = 0;
    std::string etag;     // without quotes
    Time modified;        // whole seconds
    std::string version;  // empty where the bucket has none
    ObjectHeaders headers;
    std::optional<uint64_t> tag_count;  // when the server tells
};

struct PutOptions {
    ObjectHeaders headers;
    Tags tags;
    // "private", "public-read", …; or explicit grants: all of them, the owner's too, who may else
    // not read it. Neither: the server's default, private.
    std::string canned_acl;
    std::vector<Grant> grants;
    // Only when there is no object of that name, or only while it has this ETag: Error{exists}
    // otherwise. Servers that do not know the condition are asked by HEAD first, which leaves a
    // moment in between.
    bool create_only = false;
    std::string if_match;
};

struct Stored {
    std::string etag;
    std::string version;  // empty where the bucket has none
};

// Which version, and only while it has this ETag (else Error{exists}).
struct GetOptions {
    std::string version, if_match;
};

class Bucket {
  public:
    struct Options {
        S3ClientOptions client;
        std::string location;  // "s3:https://host/bucket", for messages
        std::string prefix;    // of the URL: without slashes at its ends, perhaps empty
        std::chrono::nanoseconds retry_for = std::chrono::minutes(15);
        std::chrono::nanoseconds reach_within = std::chrono::seconds(20);
        Sleeper sleep = sleep_unless_stopped;
        std::stop_token stop;
    };
    explicit Bucket(Options options);

    // The URL's prefix with a slash behind, or empty: what all keys of this location begin with.
    std::string key_prefix() const;
    const std::string& location() const { return options_.location; }
    // For messages.
    std::string display(std::string_view key) const;
    // Made so far, tries again included.
    uint64_t requests() const { return requests_; }

    // All objects whose key begins with `prefix`, by the bytes of their keys. A long listing goes
    // on in up to `parallel` ranges of keys at once.
    std::vector<ListedObject> list(const std::string& prefix, unsigned parallel = 8);
    // Whether there is any; one request.
    bool any(const std::string& prefix);
    // All versions and delete markers, by key, the newest of each first.
    std::vector<ListedObject> list_versions(const std::string& prefix);
    // The objects as they were at that time, each with its version; by list_versions(). A version
    // counts from the second it was stored in.
    std::vector<ListedObject> list_at(const std::string& prefix, const Time& time);
    // Whether old versions are kept from now on.
    bool is_versioned();

    ObjectInfo head(const std::string& key, const GetOptions& options = {});
    // A whole object; Error{refused} when it has more than `limit` bytes. Checked against its MD5
    // where the ETag is one.
    Bytes get(const std::string& key, uint64_t limit, ObjectInfo& info,
              const GetOptions& options = {});
    // Exactly `length` (> 0) bytes from `offset`.
    Bytes get_range(const std::string& key, uint64_t offset, size_t length,
                    const GetOptions& options = {});
    Acl acl(const std::string& key, const std::string& version = {});
    Tags tags(const std::string& key, const std::string& version = {});

    // At most 5 GiB; larger ones, and those that are not in memory, by MultipartUpload.
    Stored put(const std::string& key, ByteView body, const PutOptions& options);
    // In parts of part_size(size) from read(offset, length); one PUT when it fits into one part.
    Stored put_from(const std::string& key, uint64_t size,
                    const std::function<Bytes(uint64_t offset, size_t length)>& read,
                    const PutOptions& options);
    // Whether put_from() of these bytes gives this ETag. Reads only what could.
    static bool gives_etag(const std::string& etag, uint64_t size,
                           const std::function<Bytes(uint64_t offset, size_t length)>& read);
    void put_acl(const std::string& key, const Acl& acl);
    void put_tags(const std::string& key, const Tags& tags);
    // Within the server, also over 5 GiB. `from` is a key of this bucket. What replaces headers,
    // tags and grants: `options` as for put(); with `keep` the source's headers and tags stay, but
    // never its grants: S3 makes every copy private.
    Stored copy(const std::string& from, const std::string& from_version, const std::string& to,
                const PutOptions& options, bool keep = true);
    // Succeeds also when there is no such object. In a bucket with versions it leaves a delete
    // marker; with `version` that version goes for good.
    void remove(const std::string& key, const std::string& version = {});

    // Of put_from()'s parts, in bytes: 16 MiB, or what it takes to have at most 10,000.
    static uint64_t part_size(uint64_t size);
    S3Client& client() { return client_; }

  private:
    friend class MultipartUpload;
    using Query = std::vector<std::pair<std::string, std::string>>;
    struct Range {
        std::string after, last;  // exclusive, inclusive; empty: no bound
    };
    template <class Operation>
    auto attempt(Operation operation);
    std::chrono::nanoseconds pause(unsigned failures);
    net::HttpResponse ask(S3Client::Call call);
    void require(const net::HttpResponse& response, const std::string& what);
    template <class Parse>
    auto parsed(const net::HttpResponse& response, const std::string& what, Parse parse);
    ObjectPage list_page(const std::string& prefix, const Query& more);
    std::vector<Range> ranges(const std::string& prefix, const std::string& after, unsigned count);
    bool list_range(const std::string& prefix, const Range& range, uint64_t most_pages,
                    std::vector<ListedObject>& out);
    std::vector<net::HttpHeader> headers_of(const PutOptions& options, const std::string& what);
    void put_xml(const std::string& key, const std::string& subresource, const std::string& xml);
    void check_condition(const std::string& key, const PutOptions& options);
    std::vector<net::HttpHeader> condition_of(const PutOptions& options);
    Stored copy_parts(const std::string& source, uint64_t size, const std::string& to,
                      const PutOptions& options);

    const Options options_;
    S3Client client_;
    std::atomic<uint64_t> requests_{0};
    std::atomic<bool> reached_{false};
    std::atomic<bool> conditions_refused_{false};  // the server does not know them,
    std::atomic<bool> match_refused_{false};       // or only If-Match not
    std::mutex mutex_;                             // guards random_
    SplitMix64 random_;
};

// An object that is sent in parts; what is not finished is aborted by the destructor, so that no
// parts stay that nobody sees and somebody pays for.
class MultipartUpload {
  public:
    MultipartUpload(Bucket& bucket, std::string key, const PutOptions& options);
    ~MultipartUpload();
    MultipartUpload(const MultipartUpload&) = delete;
    MultipartUpload& operator=(const MultipartUpload&) = delete;

    // All but the last have the same size, at least 5 MiB.
    void add(ByteView part);
    // The same from a range of an object in the bucket ("/bucket/key", escaped).
    void add_copy(const std::string& source, uint64_t offset, uint64_t length);
    Stored finish();

  private:
    Bucket& bucket_;
    const std::string key_, what_;
    const PutOptions options_;
    std::string id_;
    std::vector<std::string> etags_;
    Bytes digests_;  // MD5s of the parts; of all of them, or the ETag is not foreseen
    bool foreseen_ = true;
};

// Throws Error{config} when the location is no bucket's, or for options that cannot be. Nothing is
// asked of the server yet.
std::unique_ptr<Bucket> open_bucket(const Location& location, const BackendOptions& options = {});

}  // namespace sevenfold::storage
