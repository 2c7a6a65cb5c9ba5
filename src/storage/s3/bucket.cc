#include "storage/s3/bucket.h"

#include "core/parallel.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "storage/limit_backend.h"
#include "storage/s3/internal/bucket_calls.h"
#include "storage/s3/internal/xml.h"
#include "storage/s3/s3_location.h"

namespace sevenfold::storage {
namespace {

constexpr uint64_t kPageLimit = 32 << 20;  // 1000 keys of 1024 bytes, each escaped, and the rest
constexpr uint64_t kSmallLimit = 1 << 20;
constexpr uint64_t kMostPages = 10'000'000;
constexpr uint64_t kPagesInOne = 4;  // a longer listing goes on in ranges
constexpr std::chrono::milliseconds kFirstPause{300};
constexpr std::chrono::seconds kLongestPause{30};

ObjectInfo info_of(const net::HttpResponse& response, uint64_t size) {
    ObjectInfo info{.size = size,
                    .etag = unquoted(response.header("etag")),
                    .version = std::string(response.header("x-amz-version-id")),
                    .tag_count = internal::number(response.header("x-amz-tagging-count"))};
    info.modified = parse_http_date(response.header("last-modified")).value_or(Time{});
    for (auto [name, member] : kObjectHeaders) info.headers.*member = response.header(name);
    if (info.headers.storage_class == "STANDARD") info.headers.storage_class.clear();
    for (const net::HttpHeader& header : response.headers)
        if (header.name.starts_with(kMetadata))
            info.headers.metadata[header.name.substr(kMetadata.size())] = header.value;
    return info;
}

}  // namespace

Bucket::Bucket(Options options)
    : options_(std::move(options)), client_(options_.client), random_(crypto::random_u64()) {}

std::string Bucket::key_prefix() const {
    return options_.prefix.empty() ? "" : options_.prefix + "/";
}

std::string Bucket::display(std::string_view key) const {
    return options_.location + "/" + printable(std::string(key));
}

std::chrono::nanoseconds Bucket::pause(unsigned failures) {
    auto longest = std::chrono::duration_cast<std::chrono::nanoseconds>(kLongestPause);
    std::chrono::nanoseconds wait = kFirstPause * (1L << std::min(failures - 1, 10U));
    std::lock_guard lock(mutex_);
    return std::chrono::nanoseconds(static_cast<int64_t>(
        static_cast<double>(std::min(wait, longest).count()) * (0.5 + random_.unit())));
}

net::HttpResponse Bucket::ask(S3Client::Call call) {
    ++requests_;
    if (!call.body.empty()) call.sha256_hex = crypto::sha256(call.body).hex();
    if (call.limit == 0) call.limit = kSmallLimit;
    return client_.send(call);
}

void Bucket::require(const net::HttpResponse& response, const std::string& what) {
    if (response.status / 100 != 2) throw client_.refusal(response, what);
    if (response.cut) throw not_s3(what, "it does not end");
}

ObjectPage Bucket::list_page(const std::string& prefix, const Query& more) {
    return attempt([&](unsigned) {
        S3Client::Call call{.method = "GET",
                            .key = "",
                            .query = {{"encoding-type", "url"}, {"prefix", prefix}},
                            .limit = kPageLimit,
                            .what = options_.location};
        bool versions = std::ranges::any_of(more, [](auto& q) { return q.first == "versions"; });
        if (!versions) call.query.emplace_back("list-type", "2");
        call.query.insert(call.query.end(), more.begin(), more.end());
        ObjectPage page =
            parsed(ask(call), call.what, versions ? parse_version_page : parse_object_page);
        for (const ListedObject& object : page.objects)
            if (!object.key.starts_with(prefix))
                throw not_s3(call.what, "names that were not asked for");
        return page;
    });
}

// Appends what lies in the range; false when there was more than `most_pages`.
bool Bucket::list_range(const std::string& prefix, const Range& range, uint64_t most_pages,
                        std::vector<ListedObject>& out) {
    std::string last = range.after, continuation;
    for (uint64_t pages = 0; pages < most_pages; ++pages) {
        Query query;
        if (!continuation.empty())
            query.emplace_back("continuation-token", continuation);
        else if (!range.after.empty())
            query.emplace_back("start-after", range.after);
        ObjectPage page = list_page(prefix, query);
        for (ListedObject& object : page.objects) {
            // S3 lists in the order of the bytes: what comes twice would never end.
            if (object.key <= last && !(last.empty() && out.empty()))
                throw not_s3(options_.location, "the listing is out of order");
            if (!range.last.empty() && object.key > range.last) return true;
            last = object.key;
            out.push_back(std::move(object));
        }
        if (!page.truncated) return true;
        if (page.continuation == continuation || page.objects.empty())
            throw not_s3(options_.location, "the listing does not get on");
        continuation = std::move(page.continuation);
    }
    return false;
}

// Where a listing after the key `after` can be cut, going by the folders that there are.
std::vector<Bucket::Range> Bucket::ranges(const std::string& prefix, const std::string& after,
                                          unsigned count) {
    std::vector<std::string> bounds;
    std::string folder = prefix;
    for (int level = 0; level < 6 && bounds.size() < 2; ++level) {
        bounds.clear();
        ObjectPage page =
            list_page(folder, {{"delimiter", "/"}, {"start-after", std::max(after, folder)}});
        for (std::string& bound : page.prefixes)
            if (bound > after && bound.starts_with(folder)) bounds.push_back(std::move(bound));
        for (ListedObject& object : page.objects)
            if (object.key > after) bounds.push_back(std::move(object.key));
        std::ranges::sort(bounds);
        if (bounds.size() != 1 || !bounds[0].ends_with('/')) break;
        folder = bounds[0];
    }
    std::vector<Range> out{{.after = after, .last = ""}};
    size_t cuts = std::min<size_t>(count - 1, bounds.size());
    for (size_t i = 1; i <= cuts; ++i) {
        const std::string& bound = bounds[i * bounds.size() / (cuts + 1)];
        if (bound <= out.back().after) continue;
        out.back().last = bound;
        out.push_back({.after = bound, .last = ""});
    }
    return out;
}

std::vector<ListedObject> Bucket::list(const std::string& prefix, unsigned parallel) {
    std::vector<ListedObject> out;
    bool complete = list_range(prefix, {}, parallel < 2 ? kMostPages : kPagesInOne, out);
    if (complete) return out;
    std::vector<Range> parts = ranges(prefix, out.back().key, parallel);
    std::vector<std::vector<ListedObject>> found(parts.size());
    parallel_for(parts.size(), parallel, [&](size_t i) {
        if (!list_range(prefix, parts[i], kMostPages, found[i]))
            throw not_s3(options_.location, "the listing does not end");
    });
    for (std::vector<ListedObject>& part : found)
        out.insert(out.end(), std::make_move_iterator(part.begin()),
                   std::make_move_iterator(part.end()));
    return out;
}

bool Bucket::any(const std::string& prefix) {
    return !list_page(prefix, {{"max-keys", "1"}}).objects.empty();
}

std::vector<ListedObject> Bucket::list_versions(const std::string& prefix) {
    std::vector<ListedObject> out;
    std::string key, version;
    for (uint64_t pages = 0; pages < kMostPages; ++pages) {
        Query query{{"versions", ""}};
        if (!key.empty()) query.emplace_back("key-marker", key);
        if (!version.empty()) query.emplace_back("version-id-marker", version);
        ObjectPage page = list_page(prefix, query);
        // Versions and markers of a page may come in two heaps.
        std::ranges::stable_sort(page.objects, [](const ListedObject& a, const ListedObject& b) {
            return a.key != b.key         ? a.key < b.key
                   : a.latest != b.latest ? a.latest
                                          : a.modified > b.modified;
        });
        if (!out.empty() && !page.objects.empty() && page.objects[0].key < out.back().key)
            throw not_s3(options_.location, "the listing is out of order");
        out.insert(out.end(), std::make_move_iterator(page.objects.begin()),
                   std::make_move_iterator(page.objects.end()));
        if (!page.truncated) return out;
        if ((page.next_key == key && page.next_version == version) || page.next_key < key)
            throw not_s3(options_.location, "the listing does not get on");
        key = std::move(page.next_key);
        version = std::move(page.next_version);
    }
    throw not_s3(options_.location, "the listing does not end");
}

std::vector<ListedObject> Bucket::list_at(const std::string& prefix, const Time& time) {
    std::vector<ListedObject> out;
    std::string done;  // the key whose version is decided
    bool any_done = false;
    for (ListedObject& object : list_versions(prefix)) {
        if (object.modified.seconds > time.seconds || (any_done && object.key == done)) continue;
        done = object.key;
        any_done = true;
        if (!object.deleted) out.push_back(std::move(object));
    }
    return out;
}

bool Bucket::is_versioned() {
    return attempt([&](unsigned) {
        S3Client::Call call{
            .method = "GET", .key = "", .query = {{"versioning", ""}}, .what = options_.location};
        return parsed(ask(call), call.what, parse_versioning) == "Enabled";
    });
}

ObjectInfo Bucket::head(const std::string& key, const GetOptions& options) {
    const std::string what = display(key);
    return attempt([&](unsigned) {
        S3Client::Call call{.method = "HEAD", .key = key, .what = what};
        if (!options.version.empty()) call.query = {{"versionId", options.version}};
        if (!options.if_match.empty())
            call.headers.push_back({"if-match", "\"" + options.if_match + "\""});
        net::HttpResponse response = ask(call);
        if (response.status == 200 && response.content_length())
            return info_of(response, *response.content_length());
        if (response.status == 412) throw changed(what);
        // An answer to HEAD has no body that says why. S3's own "no" is known by its request id.
        if (response.status == 404 && !response.header("x-amz-request-id").empty())
            throw Error(ErrorKind::not_found, fmt::format("{}: there is no such object", what));
        if (response.status / 100 == 2) throw not_s3(what, "no size");
        call.method = "GET";
        call.headers.push_back({"range", "bytes=0-0"});
        net::HttpResponse why = ask(call);
        if (why.status / 100 != 2 && why.status != 416) throw client_.refusal(why, what);
        throw client_.refusal(response, what);
    });
}

Bytes Bucket::get(const std::string& key, uint64_t limit, ObjectInfo& info,
                  const GetOptions& options) {
    const std::string what = display(key);
    return attempt([&](unsigned) {
        S3Client::Call call{.method = "GET", .key = key, .limit = limit, .what = what};
        if (!options.version.empty()) call.query = {{"versionId", options.version}};
        if (!options.if_match.empty())
            call.headers.push_back({"if-match", "\"" + options.if_match + "\""});
        net::HttpResponse response = ask(call);
        if (response.status == 412) throw changed(what);
        if (response.status != 200) throw client_.refusal(response, what);
        auto size = response.content_length();
        // Without it, an answer that was cut off could pass for a whole one.
        if (!size) throw not_s3(what, "no length");
        if (response.cut || response.body.size() > limit)
            throw Error(ErrorKind::refused,
                        fmt::format("{}: {} bytes, more than {}", what, *size, limit));
        if (response.body.size() != *size)
            throw Error(ErrorKind::network, fmt::format("{}: the answer was cut off", what));
        info = info_of(response, *size);
        if (etag_is_md5(response, info.etag)) {
            std::string md5 = md5_hex(response.body);
            if (!md5.empty() && md5 != info.etag)
                throw Error(ErrorKind::io,
                            fmt::format("{}: the bytes are not what its ETag says", what));
        }
        return std::move(response.body);
    });
}

Bytes Bucket::get_range(const std::string& key, uint64_t offset, size_t length,
                        const GetOptions& options) {
    CHECK(length > 0 && offset <= UINT64_MAX - length);
    const std::string what = display(key);
    return attempt([&](unsigned) {
        S3Client::Call call{
            .method = "GET",
            .key = key,
            .headers = {{"range", fmt::format("bytes={}-{}", offset, offset + length - 1)}},
            .limit = length,
            .what = what};
        if (!options.version.empty()) call.query = {{"versionId", options.version}};
        if (!options.if_match.empty())
            call.headers.push_back({"if-match", "\"" + options.if_match + "\""});
        net::HttpResponse response = ask(call);
        if (response.status == 412) throw changed(what);
        if (response.status == 416)
            throw Error(ErrorKind::exists, fmt::format("{}: it is shorter now", what));
        if (response.status == 200)
            throw Error(ErrorKind::unsupported, fmt::format("{}: the server ignores ranges", what));
        if (response.status != 206) throw client_.refusal(response, what);
        std::string_view range = response.header("content-range");
        auto total = internal::number(range.substr(std::min(range.size(), range.rfind('/') + 1)));
        if (total && (*total < length || offset > *total - length))
            throw Error(ErrorKind::exists, fmt::format("{}: it is shorter now", what));
        std::string wanted = fmt::format("bytes {}-{}/", offset, offset + length - 1);
        if (!range.starts_with(wanted) || response.cut || response.body.size() != length)
            throw not_s3(what, "other bytes than were asked for");
        return std::move(response.body);
    });
}

Acl Bucket::acl(const std::string& key, const std::string& version) {
    const std::string what = display(key);
    return attempt([&](unsigned) {
        S3Client::Call call{.method = "GET", .key = key, .query = {{"acl", ""}}, .what = what};
        if (!version.empty()) call.query.emplace_back("versionId", version);
        return parsed(ask(call), what, parse_acl);
    });
}

Tags Bucket::tags(const std::string& key, const std::string& version) {
    const std::string what = display(key);
    return attempt([&](unsigned) {
        S3Client::Call call{.method = "GET", .key = key, .query = {{"tagging", ""}}, .what = what};
        if (!version.empty()) call.query.emplace_back("versionId", version);
        net::HttpResponse response = ask(call);
        if (response.status == 404) {
            auto error = parse_s3_error(as_text(response.body));
            if (error && error->code.starts_with("NoSuchTagSet")) return Tags{};
        }
        // So Ceph's gateway says of an object in parts that it has no tags.
        if (response.status == 200 && response.body.empty()) return Tags{};
        return parsed(response, what, parse_tags);
    });
}

}  // namespace sevenfold::storage
