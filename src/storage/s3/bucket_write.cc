// The part of Bucket that changes something.
#include "core/parallel.h"
#include "crypto/sha256.h"
#include "storage/limit_backend.h"
#include "storage/s3/internal/bucket_calls.h"
#include "storage/s3/s3_location.h"

namespace sevenfold::storage {
namespace {

constexpr uint64_t kLargestCopy = 5ULL << 30;
constexpr uint64_t kPart = 16 << 20, kMostParts = 10'000;

// What may go into a header: nothing that would end it.
void check_header(const std::string& what, std::string_view name, std::string_view value) {
    constexpr std::string_view kToken =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";
    bool good = name.find_first_not_of(kToken) == name.npos && name.size() > 0 &&
                std::ranges::none_of(
                    value, [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; });
    if (!good)
        throw Error(ErrorKind::unsupported,
                    fmt::format("{}: {} cannot be sent: it is no header of HTTP", what,
                                printable(std::string(name))));
}

std::string copy_source(const std::string& bucket, const std::string& key,
                        const std::string& version) {
    std::string out = net::percent_encode("/" + bucket + "/" + key, "/");
    if (!version.empty()) out += "?versionId=" + net::percent_encode(version);
    return out;
}

// x-amz-grant-read: id="…", uri="…"
void add_grants(std::vector<net::HttpHeader>& headers, const std::vector<Grant>& grants,
                const std::string& what) {
    constexpr std::string_view kKinds[] = {"id", "uri", "emailAddress"};
    constexpr std::string_view kNames[] = {"read", "write", "read-acp", "write-acp",
                                           "full-control"};
    for (size_t right = 0; right < std::size(kNames); ++right) {
        std::string value;
        for (const Grant& grant : grants) {
            if (static_cast<size_t>(grant.right) != right) continue;
            if (grant.grantee.id.find_first_of("\",") != std::string::npos)
                throw Error(ErrorKind::unsupported,
                            fmt::format("{}: a grantee's name cannot be sent", what));
            value += fmt::format("{}{}=\"{}\"", value.empty() ? "" : ", ",
                                 kKinds[static_cast<size_t>(grant.grantee.kind)], grant.grantee.id);
        }
        if (value.empty()) continue;
        headers.push_back({fmt::format("x-amz-grant-{}", kNames[right]), value});
        check_header(what, headers.back().name, value);
    }
}

void add_md5(S3Client::Call& call) {
    if (auto md5 = crypto::md5(call.body)) call.headers.push_back({"content-md5", to_base64(*md5)});
}

}  // namespace

std::vector<net::HttpHeader> Bucket::headers_of(const PutOptions& options,
                                                const std::string& what) {
    std::vector<net::HttpHeader> out;
    auto add = [&](std::string name, const std::string& value) {
        check_header(what, name, value);
        out.push_back({std::move(name), value});
    };
    for (auto [name, member] : kObjectHeaders)
        if (const std::string& value = options.headers.*member; !value.empty())
            add(std::string(name), value);
    for (const auto& [name, value] : options.headers.metadata)
        add(std::string(kMetadata) + name, value);
    if (!options.tags.empty()) add("x-amz-tagging", to_text(options.tags));
    if (!options.canned_acl.empty()) add("x-amz-acl", options.canned_acl);
    add_grants(out, options.grants, what);
    return out;
}

// For servers that do not know conditions.
void Bucket::check_condition(const std::string& key, const PutOptions& options) {
    std::string there;
    try {
        there = head(key).etag;
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::not_found) throw;
    }
    if (options.create_only && !there.empty())
        throw Error(ErrorKind::exists, fmt::format("{}: there is one already", display(key)));
    if (!options.if_match.empty() && there != options.if_match) throw changed(display(key));
}

std::vector<net::HttpHeader> Bucket::condition_of(const PutOptions& options) {
    if (options.create_only) return {{"if-none-match", "*"}};
    if (!options.if_match.empty()) return {{"if-match", "\"" + options.if_match + "\""}};
    return {};
}

Stored Bucket::put(const std::string& key, ByteView body, const PutOptions& options) {
    const std::string what = display(key), md5 = md5_hex(body);
    const std::vector<net::HttpHeader> headers = headers_of(options, what);
    return attempt([&](unsigned failures) {
        S3Client::Call call{
            .method = "PUT", .key = key, .headers = headers, .body = body, .what = what};
        add_md5(call);
        std::vector<net::HttpHeader> condition = condition_of(options);
        if (!condition.empty() &&
            (conditions_refused_ || (!options.create_only && match_refused_))) {
            check_condition(key, options);
            condition.clear();
        }
        call.headers.insert(call.headers.end(), condition.begin(), condition.end());
        net::HttpResponse response = ask(call);
        if (response.status == 501 && !condition.empty()) {
            log_debug("{}: the server does not know conditions", what);
            conditions_refused_ = true;
            throw Error(ErrorKind::network,
                        fmt::format("{}: sent again without a condition", what));
        }
        if (response.status == 412 && !condition.empty()) {
            // An earlier try, whose answer was lost, may have stored it.
            if (failures > 0 && !md5.empty()) {
                ObjectInfo there = head(key);
                if (there.etag == md5) return Stored{there.etag, there.version};
            }
            if (!options.create_only) {
                // Ceph's gateway finds that no ETag matches.
                if (head(key).etag != options.if_match) throw changed(what);
                match_refused_ = true;
                throw Error(ErrorKind::network,
                            fmt::format("{}: sent again without a condition", what));
            }
            throw Error(ErrorKind::exists, fmt::format("{}: there is one already", what));
        }
        require(response, what);
        Stored stored{unquoted(response.header("etag")),
                      std::string(response.header("x-amz-version-id"))};
        if (stored.etag.empty()) throw not_s3(what, "no ETag for what was stored");
        if (!md5.empty() && etag_is_md5(response, stored.etag) && stored.etag != md5)
            throw Error(ErrorKind::io,
                        fmt::format("{}: the server stored something else than was sent", what));
        return stored;
    });
}

uint64_t Bucket::part_size(uint64_t size) {
    uint64_t needed = (size + kMostParts - 1) / kMostParts;
    constexpr uint64_t kStep = 1 << 20;
    return std::max(kPart, (needed + kStep - 1) / kStep * kStep);
}

Stored Bucket::put_from(const std::string& key, uint64_t size,
                        const std::function<Bytes(uint64_t offset, size_t length)>& read,
                        const PutOptions& options) {
    const uint64_t part = part_size(size);
    if (size <= part) return put(key, size == 0 ? Bytes() : read(0, size), options);
    MultipartUpload upload(*this, key, options);
    for (uint64_t offset = 0; offset < size; offset += part)
        upload.add(read(offset, std::min(part, size - offset)));
    return upload.finish();
}

bool Bucket::gives_etag(const std::string& etag, uint64_t size,
                        const std::function<Bytes(uint64_t offset, size_t length)>& read) {
    const uint64_t part = part_size(size);
    if (size <= part)
        return etag.size() == 32 && etag == md5_hex(size == 0 ? Bytes() : read(0, size));
    const std::string ending = fmt::format("-{}", (size + part - 1) / part);
    if (etag.size() != 32 + ending.size() || !etag.ends_with(ending)) return false;
    Bytes digests;
    for (uint64_t offset = 0; offset < size; offset += part)
        if (auto digest = crypto::md5(read(offset, std::min(part, size - offset))))
            append(digests, *digest);
    return etag == md5_hex(digests) + ending;
}

void Bucket::put_xml(const std::string& key, const std::string& subresource,
                     const std::string& xml) {
    const std::string what = display(key);
    attempt([&](unsigned) {
        S3Client::Call call{.method = "PUT",
                            .key = key,
                            .query = {{subresource, ""}},
                            .headers = {{"content-type", "application/xml"}},
                            .body = as_bytes(xml),
                            .what = what};
        add_md5(call);
        require(ask(call), what);
        return true;
    });
}

void Bucket::put_acl(const std::string& key, const Acl& acl) { put_xml(key, "acl", acl_xml(acl)); }

void Bucket::put_tags(const std::string& key, const Tags& tags) {
    put_xml(key, "tagging", tags_xml(tags));
}

Stored Bucket::copy(const std::string& from, const std::string& from_version, const std::string& to,
                    const PutOptions& options, bool keep) {
    const std::string what = display(to);
    ObjectInfo info = head(from, {.version = from_version});
    const std::string source = copy_source(options_.client.bucket, from, from_version);
    if (options.create_only || !options.if_match.empty()) check_condition(to, options);
    PutOptions all = options;
    if (info.size > kLargestCopy) {
        if (keep) {
            std::string storage_class = all.headers.storage_class;
            all.headers = info.headers;
            if (!storage_class.empty()) all.headers.storage_class = storage_class;
            all.tags = tags(from, from_version);
        }
        return copy_parts(source, info.size, to, all);
    }
    std::vector<net::HttpHeader> headers = headers_of(all, what);
    headers.push_back({"x-amz-copy-source", source});
    headers.push_back({"x-amz-copy-source-if-match", "\"" + info.etag + "\""});
    headers.push_back({"x-amz-metadata-directive", keep ? "COPY" : "REPLACE"});
    headers.push_back({"x-amz-tagging-directive", keep ? "COPY" : "REPLACE"});
    return attempt([&](unsigned) {
        S3Client::Call call{.method = "PUT", .key = to, .headers = headers, .what = what};
        net::HttpResponse response = ask(call);
        if (response.status == 412) throw changed(display(from));
        return Stored{parsed(response, what, parse_result_etag),
                      std::string(response.header("x-amz-version-id"))};
    });
}

Stored Bucket::copy_parts(const std::string& source, uint64_t size, const std::string& to,
                          const PutOptions& options) {
    MultipartUpload upload(*this, to, options);
    for (uint64_t offset = 0; offset < size; offset += kLargestCopy / 5)
        upload.add_copy(source, offset, std::min(kLargestCopy / 5, size - offset));
    return upload.finish();
}

void Bucket::remove(const std::string& key, const std::string& version) {
    const std::string what = display(key);
    attempt([&](unsigned) {
        S3Client::Call call{.method = "DELETE", .key = key, .what = what};
        if (!version.empty()) call.query = {{"versionId", version}};
        net::HttpResponse response = ask(call);
        auto error = parse_s3_error(as_text(response.body));
        bool gone = response.status == 404 && error &&
                    (error->code == "NoSuchKey" || error->code == "NoSuchVersion");
        if (!gone) require(response, what);
        return true;
    });
}

MultipartUpload::MultipartUpload(Bucket& bucket, std::string key, const PutOptions& options)
    : bucket_(bucket), key_(std::move(key)), what_(bucket.display(key_)), options_(options) {
    std::vector<net::HttpHeader> headers = bucket_.headers_of(options, what_);
    id_ = bucket_.attempt([&](unsigned) {
        S3Client::Call call{.method = "POST",
                            .key = key_,
                            .query = {{"uploads", ""}},
                            .headers = headers,
                            .what = what_};
        return bucket_.parsed(bucket_.ask(call), what_, parse_upload_id);
    });
}

MultipartUpload::~MultipartUpload() {
    if (id_.empty()) return;
    try {
        S3Client::Call call{
            .method = "DELETE", .key = key_, .query = {{"uploadId", id_}}, .what = what_};
        bucket_.require(bucket_.ask(call), what_);
    } catch (const Error& error) {
        log_warning("an unfinished upload stays: {}", error.message());
    }
}

void MultipartUpload::add(ByteView part) {
    const std::string md5 = md5_hex(part), number = std::to_string(etags_.size() + 1);
    etags_.push_back(bucket_.attempt([&](unsigned) {
        S3Client::Call call{.method = "PUT",
                            .key = key_,
                            .query = {{"partNumber", number}, {"uploadId", id_}},
                            .body = part,
                            .what = what_};
        add_md5(call);
        net::HttpResponse response = bucket_.ask(call);
        bucket_.require(response, what_);
        std::string etag = unquoted(response.header("etag"));
        if (etag.empty()) throw not_s3(what_, "no ETag for what was stored");
        if (!etag_is_md5(response, etag) || md5.empty())
            foreseen_ = false;
        else if (etag != md5)
            throw Error(ErrorKind::io,
                        fmt::format("{}: the server stored something else than was sent", what_));
        return etag;
    }));
    if (auto digest = crypto::md5(part)) append(digests_, *digest);
}

void MultipartUpload::add_copy(const std::string& source, uint64_t offset, uint64_t length) {
    foreseen_ = false;
    const std::string number = std::to_string(etags_.size() + 1);
    etags_.push_back(bucket_.attempt([&](unsigned) {
        S3Client::Call call{.method = "PUT",
                            .key = key_,
                            .query = {{"partNumber", number}, {"uploadId", id_}},
                            .headers = {{"x-amz-copy-source", source},
                                        {"x-amz-copy-source-range",
                                         fmt::format("bytes={}-{}", offset, offset + length - 1)}},
                            .what = what_};
        return bucket_.parsed(bucket_.ask(call), what_, parse_result_etag);
    }));
}

Stored MultipartUpload::finish() {
    CHECK(!id_.empty() && !etags_.empty());
    if (options_.create_only || !options_.if_match.empty()) bucket_.check_condition(key_, options_);
    std::string xml = "<CompleteMultipartUpload>";
    for (size_t i = 0; i < etags_.size(); ++i)
        xml += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>\"{}\"</ETag></Part>", i + 1,
                           etags_[i]);
    xml += "</CompleteMultipartUpload>";
    std::string expected;
    if (foreseen_) expected = fmt::format("{}-{}", md5_hex(digests_), etags_.size());
    Stored stored = bucket_.attempt([&](unsigned failures) {
        S3Client::Call call{.method = "POST",
                            .key = key_,
                            .query = {{"uploadId", id_}},
                            .body = as_bytes(xml),
                            .what = what_};
        if (options_.create_only && !bucket_.conditions_refused_)
            call.headers = bucket_.condition_of(options_);
        call.headers.push_back({"content-type", "application/xml"});
        net::HttpResponse response = bucket_.ask(call);
        if (response.status / 100 == 4 && failures > 0) {  // an earlier try has finished it?
            ObjectInfo there = bucket_.head(key_);
            if (!expected.empty() && there.etag == expected)
                return Stored{there.etag, there.version};
        }
        if (response.status == 412) throw changed(what_);
        return Stored{bucket_.parsed(response, what_, parse_result_etag),
                      std::string(response.header("x-amz-version-id"))};
    });
    id_.clear();
    if (stored.etag.empty()) stored.etag = bucket_.head(key_).etag;
    // Ceph's gateway forgets the tags that were given at the beginning.
    if (!options_.tags.empty() && bucket_.tags(key_) != options_.tags)
        bucket_.put_tags(key_, options_.tags);
    bool comparable = !expected.empty() && stored.etag.find('-') == 32;
    if (comparable && stored.etag != expected)
        throw Error(ErrorKind::io,
                    fmt::format("{}: the server stored something else than was sent", what_));
    return stored;
}

std::unique_ptr<Bucket> open_bucket(const Location& location, const BackendOptions& options) {
    if (location.driver != Location::Driver::s3)
        throw Error(ErrorKind::config, fmt::format("{} is no bucket", location.display()),
                    "Write s3:https://host/bucket/prefix.");
    Limits limits{.connections = options.connections, .upload = {}, .download = {}};
    if (options.upload_limit != 0)
        limits.upload = std::make_shared<TokenBucket>(options.upload_limit);
    if (options.download_limit != 0)
        limits.download = std::make_shared<TokenBucket>(options.download_limit);
    Location bucket = location;
    bucket.path.clear();
    return std::make_unique<Bucket>(
        Bucket::Options{.client = s3_client_options(location, options, limits),
                        .location = bucket.display(),
                        .prefix = location.path,
                        .retry_for = options.retry_for,
                        .reach_within = options.reach_within,
                        .stop = options.stop});
}

}  // namespace sevenfold::storage
