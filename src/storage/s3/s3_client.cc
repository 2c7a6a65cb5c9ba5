#include "storage/s3/s3_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/check.h"
#include "core/error.h"
#include "core/log.h"
#include "crypto/sha256.h"
#include "storage/s3/internal/answers.h"
#include "storage/s3/s3_error.h"

namespace sevenfold::storage {
namespace {

using internal::error_body;
using internal::etag_is_md5;
using internal::not_s3;
using internal::unquoted;

constexpr uint64_t kErrorLimit = 1 << 20;  // of an error's body, however little was asked for
constexpr uint64_t kListLimit = 16 << 20;  // 1000 keys of 1024 bytes, each escaped threefold
constexpr unsigned kPageKeys = 1000;
constexpr uint64_t kMostPages = 1'000'000;
constexpr std::string_view kAnyRegion = "us-east-1";  // what servers without regions expect

bool bucket_in_host(const S3ClientOptions& options) {
    if (options.style != BucketStyle::automatic) return options.style == BucketStyle::host;
    bool wanted =
        options.host.ends_with(".amazonaws.com") || options.host.ends_with(".aliyuncs.com");
    // A certificate for *.host does not hold for a.b.host.
    constexpr std::string_view kLabel = "abcdefghijklmnopqrstuvwxyz0123456789-";
    return wanted && options.bucket.find_first_not_of(kLabel) == std::string::npos;
}

// "eu-central-1" of s3.eu-central-1.amazonaws.com, and of other vendors' names made like it.
std::string region_of_host(std::string_view host) {
    if (!host.starts_with("s3.") || std::ranges::count(host, '.') < 3) return {};
    std::string_view rest = host.substr(3);
    if (rest.starts_with("dualstack.")) rest.remove_prefix(10);
    return std::string(rest.substr(0, rest.find('.')));
}

bool is_region(std::string_view text) {
    return !text.empty() && text.size() <= 64 &&
           text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == text.npos;
}

// The object's whole size in "bytes 0-9/700001" or "bytes */700001".
std::optional<uint64_t> total_of(std::string_view content_range) {
    size_t slash = content_range.find('/');
    if (!content_range.starts_with("bytes ") || slash == content_range.npos) return std::nullopt;
    uint64_t total = 0;
    const char* end = content_range.data() + content_range.size();
    auto [stop, failure] = std::from_chars(content_range.data() + slash + 1, end, total);
    if (failure != std::errc{} || stop != end) return std::nullopt;
    return total;
}

std::vector<std::pair<std::string, std::string>> version_query(const std::string& version) {
    if (version.empty()) return {};
    return {{"versionId", version}};
}

Error short_read(const std::string& what) {
    return Error(ErrorKind::io, fmt::format("{}: short read", what));
}

}  // namespace

S3Client::S3Client(S3ClientOptions options)
    : options_(std::move(options)),
      bucket_in_host_(bucket_in_host(options_)),
      credentials_(options_.credentials),
      http_(options_.http) {}

S3Client::Endpoint S3Client::endpoint(const std::string& region) const {
    std::string host = options_.host;
    if (host == "s3.amazonaws.com" && region != kAnyRegion)
        host = fmt::format("s3.{}.amazonaws.com", region);
    if (host.find(':') != host.npos) host = "[" + host + "]";
    if (bucket_in_host_) host = options_.bucket + "." + host;
    const uint16_t own = options_.tls ? 443 : 80;
    if (options_.port != 0 && options_.port != own) host += fmt::format(":{}", options_.port);
    return {.url = fmt::format("{}://{}", options_.tls ? "https" : "http", host),
            .host = host,
            .path = bucket_in_host_ ? "/" : "/" + options_.bucket};
}

SignedRequest S3Client::request_of(const Call& call, const Endpoint& endpoint) const {
    static const std::string kNoBody = crypto::sha256({}).hex();
    std::string path = endpoint.path;
    if (!call.key.empty()) path += (path.ends_with('/') ? "" : "/") + call.key;
    return {.method = call.method,
            .host = endpoint.host,
            .path = std::move(path),
            .query = call.query,
            .headers = call.headers,
            .payload_sha256 = call.sha256_hex.empty() ? kNoBody : call.sha256_hex};
}

std::string S3Client::region() {
    {
        std::lock_guard lock(mutex_);
        if (!region_.empty()) return region_;
    }
    std::string found = options_.region;
    if (found.empty()) {
        found = region_of_host(options_.host);
        if (found.empty()) found = credentials_.region();
        if (!is_region(found)) found = kAnyRegion;
    }
    std::lock_guard lock(mutex_);
    if (region_.empty()) region_ = found;
    return region_;
}

// The server names another region than `used`: true when it is worth trying again. Throws where the
// region was given, and where the host's name holds another one.
bool S3Client::learn_region(const net::HttpResponse& response,
                            const std::optional<S3ErrorBody>& body, const std::string& used,
                            const std::string& what) {
    bool elsewhere = response.status == 301 || response.status == 307 ||
                     (body && (body->code == "AuthorizationHeaderMalformed" ||
                               body->code == "PermanentRedirect" ||
                               body->code == "IllegalLocationConstraintException"));
    if (!elsewhere) return false;
    std::string real(response.header("x-amz-bucket-region"));
    if (real.empty() && body) real = body->region;
    if (!is_region(real)) return false;
    bool fixed = !options_.region.empty() || !region_of_host(options_.host).empty();
    if (fixed && real != used)
        throw Error(ErrorKind::config,
                    fmt::format("{}: the bucket is in the region {}, not in {}", what, real, used),
                    options_.region.empty()
                        ? fmt::format("Write that region's host into the URL.")
                        : fmt::format("Set region = \"{}\", or leave it out.", real));
    std::lock_guard lock(mutex_);
    if (region_ == real) return real != used;  // another thread has learned it
    if (real == used) return false;
    log_debug("{}: the region is {}", what, real);
    region_ = real;
    return true;
}

net::HttpResponse S3Client::send_once(const Call& call, const std::string& region,
                                      const S3Credentials* credentials) {
    Endpoint at = endpoint(region);
    SignedRequest request = request_of(call, at);
    net::HttpRequest http{.method = call.method,
                          .url = at.url + request.target(),
                          .headers = call.headers,
                          .body = call.body,
                          .ask_first = true,
                          .response_limit = std::max(call.limit, kErrorLimit)};
    if (credentials != nullptr)
        http.headers =
            sign_headers(request, {.region = region, .now = options_.clock->now()}, *credentials);
    try {
        return http_.perform(http);
    } catch (const Error& error) {
        throw error.with_context(call.what);
    }
}

// Any answer of the server's that is neither about regions nor about expired credentials.
net::HttpResponse S3Client::send(const Call& call) {
    bool renewed = false, moved = false;
    for (;;) {
        std::shared_ptr<const S3Credentials> credentials;
        try {
            credentials = credentials_.get();
        } catch (const Error& error) {
            throw error.with_context(call.what);
        }
        std::string used = region();
        net::HttpResponse response = send_once(call, used, credentials.get());
        if (response.status < 300) return response;
        auto body = error_body(response);
        bool expired = body && (body->code == "ExpiredToken" || body->code == "InvalidToken" ||
                                body->code == "TokenRefreshRequired");
        if (expired && credentials && !renewed) {
            credentials_.renew(*credentials);
            renewed = true;
        } else if (!moved && learn_region(response, body, used, call.what)) {
            moved = true;
        } else {
            return response;
        }
    }
}

Error S3Client::refusal(const net::HttpResponse& response, const std::string& what) const {
    return s3_error(response, error_body(response), what, options_.bucket, options_.clock->now());
}

S3Client::Attributes S3Client::head(const std::string& key, const std::string& what,
                                    const std::string& version) {
    const auto query = version_query(version);
    net::HttpResponse response = send({.method = "HEAD", .key = key, .query = query, .what = what});
    auto size = response.content_length();
    if (response.status == 200 && size) return {*size, unquoted(response.header("etag"))};
    // An answer to HEAD has no body that says why. S3's own "no" is known by its request id.
    if (response.status == 404 && !response.header("x-amz-request-id").empty())
        throw Error(ErrorKind::not_found, fmt::format("{}: there is no such object", what));
    response = send({.method = "GET",
                     .key = key,
                     .query = query,
                     .headers = {{"range", "bytes=0-0"}},
                     .limit = kErrorLimit,
                     .what = what});
    auto total = total_of(response.header("content-range"));
    if (response.status == 206 && total) return {*total, unquoted(response.header("etag"))};
    auto body = error_body(response);
    if (response.status == 416 && body && body->code == "InvalidRange") return {0, ""};  // empty
    if (response.status < 300) throw not_s3(what, "no size");
    throw s3_error(response, body, what, options_.bucket, options_.clock->now());
}

S3Client::Whole S3Client::get(const std::string& key, uint64_t limit, const std::string& what,
                              const std::string& version) {
    net::HttpResponse response = send({.method = "GET",
                                       .key = key,
                                       .query = version_query(version),
                                       .limit = limit,
                                       .what = what});
    if (response.status != 200) throw refusal(response, what);
    auto size = response.content_length();
    // Without it, an answer that was cut off could pass for a whole one.
    if (!size) throw not_s3(what, "no length");
    if (response.cut || response.body.size() > limit) return {{}, true, size};
    if (response.body.size() != *size) throw short_read(what);
    return {std::move(response.body), false, size};
}

Bytes S3Client::get_range(const std::string& key, uint64_t offset, size_t length,
                          const std::string& what, const std::string& version) {
    CHECK(length > 0);
    if (offset > UINT64_MAX - length) {
        head(key, what, version);  // not_found is told first
        throw short_read(what);
    }
    net::HttpResponse response =
        send({.method = "GET",
              .key = key,
              .query = version_query(version),
              .headers = {{"range", fmt::format("bytes={}-{}", offset, offset + length - 1)}},
              .limit = length,
              .what = what});
    if (response.status == 206) {
        auto total = total_of(response.header("content-range"));
        std::string wanted = fmt::format("bytes {}-{}/", offset, offset + length - 1);
        if (total && (*total < length || offset > *total - length)) throw short_read(what);
        if (!response.header("content-range").starts_with(wanted) || response.cut ||
            response.body.size() != length)
            throw not_s3(what, "other bytes than were asked for");
        return std::move(response.body);
    }
    if (response.status == 200) {  // the whole object: some proxies do not know ranges
        auto size = response.content_length();
        if (size && (offset > *size || length > *size - offset)) throw short_read(what);
        if (size && offset == 0 && length == *size && response.body.size() == length)
            return std::move(response.body);
        throw Error(ErrorKind::unsupported, fmt::format("{}: the server ignores ranges", what));
    }
    throw refusal(response, what);
}

bool S3Client::put(const std::string& key, const Body& body, const PutOptions& options,
                   const std::string& what) {
    bool create_only = options.create_only && !create_only_refused_;
    Call call{.method = "PUT",
              .key = key,
              .headers = {{"content-type", "application/octet-stream"}},
              .body = body.bytes,
              .sha256_hex = body.sha256_hex,
              .limit = kErrorLimit,
              .what = what};
    if (!body.md5_hex.empty()) {
        std::array<uint8_t, 16> md5{};
        CHECK(from_hex(body.md5_hex, md5));
        call.headers.push_back({"content-md5", to_base64(md5)});
    }
    if (!options.storage_class.empty())
        call.headers.push_back({"x-amz-storage-class", options.storage_class});
    if (options.retention) add_retention(*options.retention, call.headers);
    if (create_only) call.headers.push_back({"if-none-match", "*"});
    net::HttpResponse response = send(call);
    if (response.status == 412 && create_only) return false;
    if (response.status != 200) {
        auto error = error_body(response);
        if (create_only && (response.status == 501 || (error && error->code == "NotImplemented"))) {
            log_debug("{}: the server does not know If-None-Match", what);
            create_only_refused_ = true;
            return put(key, body, options, what);
        }
        throw s3_error(response, error, what, options_.bucket, options_.clock->now());
    }
    std::string etag = unquoted(response.header("etag"));
    if (etag.empty()) throw not_s3(what, "no ETag for what was stored");
    if (!body.md5_hex.empty() && etag_is_md5(response, etag) && etag != body.md5_hex)
        throw Error(ErrorKind::io,
                    fmt::format("{}: the server stored something else than was sent", what));
    return true;
}

void S3Client::remove(const std::string& key, const std::string& what) {
    net::HttpResponse response =
        send({.method = "DELETE", .key = key, .limit = kErrorLimit, .what = what});
    if (response.status == 204 || response.status == 200) return;
    throw refusal(response, what);
}

S3ListPage S3Client::list_page(const std::string& prefix, const std::string& continuation,
                               unsigned most, const std::string& what) {
    Call call{.method = "GET",
              .key = "",
              .query = {{"encoding-type", "url"},
                        {"list-type", "2"},
                        {"max-keys", std::to_string(most)},
                        {"prefix", prefix}},
              .limit = kListLimit,
              .what = what};
    if (!continuation.empty()) call.query.emplace_back("continuation-token", continuation);
    net::HttpResponse response = send(call);
    if (response.status != 200) throw refusal(response, what);
    if (response.cut) throw not_s3(what, "a listing without an end");
    S3ListPage page;
    try {
        page = parse_s3_list(as_text(response.body));
    } catch (const Error& error) {  // it is the answer that is damaged, not what is stored
        throw not_s3(what, error.message());
    }
    for (const S3Object& object : page.objects)
        if (!object.key.starts_with(prefix)) throw not_s3(what, "names that were not asked for");
    return page;
}

std::vector<S3Object> S3Client::list(const std::string& prefix, const std::string& what) {
    std::vector<S3Object> found;
    std::string continuation;
    for (uint64_t pages = 0; pages < kMostPages; ++pages) {
        S3ListPage page = list_page(prefix, continuation, kPageKeys, what);
        for (S3Object& object : page.objects) {
            // S3 lists in the order of the bytes: what comes twice would never end.
            if (!found.empty() && object.key <= found.back().key)
                throw not_s3(what, "the listing repeats itself or is out of order");
            found.push_back(std::move(object));
        }
        if (!page.truncated) return found;
        if (page.continuation == continuation || page.objects.empty())
            throw not_s3(what, "the listing does not get on");
        continuation = std::move(page.continuation);
    }
    throw not_s3(what, "the listing does not end");
}

bool S3Client::any(const std::string& prefix, const std::string& what) {
    return !list_page(prefix, "", 1, what).objects.empty();
}

net::HttpResponse S3Client::attempt(const std::string& method, const std::string& key,
                                    const std::vector<std::pair<std::string, std::string>>& query,
                                    const std::vector<net::HttpHeader>& headers, ByteView body,
                                    const std::string& what) {
    return send({.method = method,
                 .key = key,
                 .query = query,
                 .headers = headers,
                 .body = body,
                 .sha256_hex = body.empty() ? "" : crypto::sha256(body).hex(),
                 .limit = kErrorLimit,
                 .what = what});
}

std::string S3Client::presigned_get(const std::string& key, uint64_t valid_seconds) {
    auto credentials = credentials_.get();
    std::string used = region();
    Endpoint at = endpoint(used);
    const std::string what;
    SignedRequest request = request_of({.method = "GET", .key = key, .what = what}, at);
    request.payload_sha256 = kUnsignedPayload;
    if (!credentials) return at.url + request.target();
    return at.url + presign(request, {.region = used, .now = options_.clock->now()}, *credentials,
                            valid_seconds);
}

}  // namespace sevenfold::storage
