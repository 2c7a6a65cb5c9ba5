// S3Client's requests about versions and Object Lock.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "core/error.h"
#include "crypto/hmac.h"
#include "crypto/sha256.h"
#include "storage/s3/internal/answers.h"
#include "storage/s3/s3_client.h"

namespace sevenfold::storage {
namespace {

using internal::error_body;
using internal::not_s3;

constexpr uint64_t kAnswerLimit = 1 << 20;
constexpr uint64_t kListLimit = 16 << 20;
constexpr uint64_t kMostPages = 1'000'000;

template <class Parse>
auto parsed(const net::HttpResponse& response, const std::string& what, Parse parse) {
    if (response.cut) throw not_s3(what, "an answer without an end");
    try {
        return parse(as_text(response.body));
    } catch (const Error& error) {  // it is the answer that is damaged, not what is stored
        throw not_s3(what, error.message());
    }
}

}  // namespace

std::vector<S3Version> S3Client::list_versions(const std::string& prefix, const std::string& what) {
    std::vector<S3Version> found;
    std::string key, version;
    for (uint64_t pages = 0;; ++pages) {
        Call call{.method = "GET",
                  .key = "",
                  .query = {{"encoding-type", "url"},
                            {"max-keys", "1000"},
                            {"prefix", prefix},
                            {"versions", ""}},
                  .limit = kListLimit,
                  .what = what};
        if (!key.empty()) call.query.emplace_back("key-marker", key);
        if (!version.empty()) call.query.emplace_back("version-id-marker", version);
        net::HttpResponse response = send(call);
        if (response.status != 200) throw refusal(response, what);
        S3VersionPage page = parsed(response, what, parse_s3_versions);
        for (S3Version& one : page.versions) {
            if (!one.key.starts_with(prefix)) throw not_s3(what, "names that were not asked for");
            if (!found.empty() && one.key < found.back().key)
                throw not_s3(what, "the listing repeats itself or is out of order");
            found.push_back(std::move(one));
        }
        if (!page.truncated) break;
        bool further =
            page.next_key > key || (page.next_key == key && page.next_version != version);
        if (!further || page.versions.empty() || pages == kMostPages)
            throw not_s3(what, "the listing does not get on");
        key = std::move(page.next_key);
        version = std::move(page.next_version);
    }
    // Some servers put a page's delete markers after its versions.
    std::ranges::stable_sort(found, [](const S3Version& a, const S3Version& b) {
        return std::tuple(std::string_view(a.key), !a.latest, b.stored) <
               std::tuple(std::string_view(b.key), !b.latest, a.stored);
    });
    auto same = [](const S3Version& a, const S3Version& b) {
        return a.key == b.key && a.version == b.version;
    };
    if (std::ranges::adjacent_find(found, same) != found.end())
        throw not_s3(what, "the listing repeats itself or is out of order");
    return found;
}

void S3Client::remove_version(const std::string& key, const std::string& version,
                              const std::string& what) {
    net::HttpResponse response = send({.method = "DELETE",
                                       .key = key,
                                       .query = {{"versionId", version}},
                                       .limit = kAnswerLimit,
                                       .what = what});
    if (response.status != 204 && response.status != 200) throw refusal(response, what);
}

void S3Client::copy_version(const std::string& key, const std::string& version,
                            const PutOptions& options, const std::string& what) {
    SignedRequest source{.path = "/" + options_.bucket + "/" + key, .query = {}};
    source.query = {{"versionId", version}};
    Call call{.method = "PUT",
              .key = key,
              .headers = {{"x-amz-copy-source", source.target()}},
              .limit = kAnswerLimit,
              .what = what};
    if (!options.storage_class.empty())
        call.headers.push_back({"x-amz-storage-class", options.storage_class});
    if (options.retention) add_retention(*options.retention, call.headers);
    net::HttpResponse response = send(call);
    if (response.status != 200 || !is_s3_copy_result(as_text(response.body))) {
        if (response.status == 200) response.status = 500;  // it failed after it had begun
        throw refusal(response, what);
    }
}

net::HttpResponse S3Client::ask_bucket(const std::string& subresource, const std::string& what) {
    return send({.method = "GET",
                 .key = "",
                 .query = {{subresource, ""}},
                 .limit = kAnswerLimit,
                 .what = what});
}

S3BucketProtection S3Client::bucket_protection(const std::string& what) {
    S3BucketProtection out;
    net::HttpResponse response = ask_bucket("versioning", what);
    if (response.status != 200) throw refusal(response, what);
    out.versions = parsed(response, what, parse_s3_versioning);
    response = ask_bucket("object-lock", what);
    if (response.status == 200) {
        out.object_lock = parsed(response, what, parse_s3_object_lock);
        return out;
    }
    auto error = error_body(response);
    bool none = error && (error->code == "ObjectLockConfigurationNotFoundError" ||
                          error->code == "NoSuchObjectLockConfiguration" ||
                          error->code == "InvalidRequest" || error->code == "NotImplemented");
    if (!none) throw refusal(response, what);
    return out;
}

std::optional<Retention> S3Client::retention(const std::string& key, const std::string& version,
                                             const std::string& what) {
    Call call{.method = "GET",
              .key = key,
              .query = {{"retention", ""}},
              .limit = kAnswerLimit,
              .what = what};
    if (!version.empty()) call.query.emplace_back("versionId", version);
    net::HttpResponse response = send(call);
    if (response.status == 200) return parsed(response, what, parse_s3_retention);
    auto error = error_body(response);
    if (error &&
        (error->code == "NoSuchObjectLockConfiguration" ||
         error->code == "ObjectLockConfigurationNotFoundError" || error->code == "InvalidRequest"))
        return std::nullopt;
    throw refusal(response, what);
}

void S3Client::set_retention(const std::string& key, const std::string& version,
                             const Retention& retention, const std::string& what) {
    const std::string xml = encode_s3_retention(retention);
    Call call{.method = "PUT",
              .key = key,
              .query = {{"retention", ""}},
              .body = as_bytes(xml),
              .sha256_hex = crypto::sha256(as_bytes(xml)).hex(),
              .limit = kAnswerLimit,
              .what = what};
    if (!version.empty()) call.query.emplace_back("versionId", version);
    if (auto md5 = crypto::md5(as_bytes(xml)))
        call.headers.push_back({"content-md5", to_base64(*md5)});
    net::HttpResponse response = send(call);
    if (response.status != 200) throw refusal(response, what);
}

}  // namespace sevenfold::storage
