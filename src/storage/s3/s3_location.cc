#include "storage/s3/s3_location.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "core/error.h"
#include "storage/s3/s3_backend.h"
#include "storage/s3/s3_error.h"

namespace sevenfold::storage {
namespace {

constexpr std::string_view kLetters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

[[noreturn]] void bad(std::string_view why) {
    throw Error(ErrorKind::config, std::string(why), "Write s3:https://host/bucket/prefix.");
}

bool only(std::string_view text, std::string_view more) {
    return std::ranges::all_of(text, [&](char c) {
        return kLetters.find(c) != kLetters.npos || more.find(c) != more.npos;
    });
}

// host, host:port, [address]:port
void parse_authority(std::string_view authority, Location& location) {
    if (authority.find('@') != authority.npos)
        bad("an S3 URL holds no keys; they come from the environment, a profile or a file");
    size_t end = authority.find(':');
    if (authority.starts_with('[')) {
        size_t close = authority.find(']');
        if (close == authority.npos) bad("the host is not valid");
        location.host = authority.substr(1, close - 1);
        if (location.host.find(':') == std::string::npos || !only(location.host, ":.%"))
            bad("the host is not valid");
        end = close + 1;
    } else {
        location.host = authority.substr(0, end);
        if (!only(location.host, ".-_") || location.host.starts_with('-'))
            bad("the host is not valid");
    }
    if (location.host.empty()) bad("no host");
    std::string_view rest = end < authority.size() ? authority.substr(end) : std::string_view();
    if (rest.empty()) return;
    const char* stop = rest.data() + rest.size();
    auto [at, failure] = std::from_chars(rest.data() + 1, stop, location.port);
    if (rest[0] != ':' || failure != std::errc{} || at != stop || location.port == 0)
        bad("the port is not valid");
}

std::string parse_prefix(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        size_t slash = std::min(text.find('/'), text.size());
        std::string_view part = text.substr(0, slash);
        text.remove_prefix(std::min(slash + 1, text.size()));
        if (part.empty() || part == ".") continue;
        if (part == "..") bad("no .. in a prefix");
        if (std::ranges::any_of(part, [](unsigned char c) {
                return c < ' ' || c == 0x7f || c == '?' || c == '#' || c == '%' || c == '\\';
            }))
            bad("the prefix holds a character that URLs give another meaning");
        if (!out.empty()) out += '/';
        out += part;
    }
    return out;
}

BucketStyle parse_style(const std::string& text) {
    if (text.empty() || text == "auto") return BucketStyle::automatic;
    if (text == "path") return BucketStyle::path;
    if (text == "dns" || text == "host") return BucketStyle::host;
    throw Error(ErrorKind::config, "the bucket lookup is not valid", "Use auto, dns or path.");
}

}  // namespace

std::function<void(const net::HttpResponse&)> time_teller(const BackendOptions& options) {
    if (!options.on_server_time) return {};
    return [tell = options.on_server_time](const net::HttpResponse& response) {
        if (auto time = parse_http_date(response.header("date"))) tell(*time);
    };
}

Location parse_s3_location(std::string_view url) {
    Location location{.driver = Location::Driver::s3};
    std::string_view rest = url.substr(3);
    if (rest.starts_with("http://")) {
        location.tls = false;
        rest.remove_prefix(7);
    } else if (rest.starts_with("https://")) {
        rest.remove_prefix(8);
    } else if (rest.starts_with("//")) {
        rest.remove_prefix(2);
    }
    size_t slash = std::min(rest.find('/'), rest.size());
    parse_authority(rest.substr(0, slash), location);
    rest.remove_prefix(std::min(slash + 1, rest.size()));
    slash = std::min(rest.find('/'), rest.size());
    location.bucket = rest.substr(0, slash);
    if (location.bucket.empty()) bad("no bucket after the host");
    if (location.bucket.size() > 255 || location.bucket == "." || location.bucket == ".." ||
        !only(location.bucket, ".-_"))
        bad("the bucket's name is not valid");
    location.path = parse_prefix(rest.substr(std::min(slash + 1, rest.size())));
    return location;
}

std::string display_s3_location(const Location& location) {
    bool bracket = location.host.find(':') != std::string::npos;
    std::string host = bracket ? "[" + location.host + "]" : location.host;
    return fmt::format("s3:{}://{}{}/{}{}{}", location.tls ? "https" : "http", host,
                       location.port == 0 ? "" : fmt::format(":{}", location.port), location.bucket,
                       location.path.empty() ? "" : "/", location.path);
}

S3ClientOptions s3_client_options(const Location& location, const BackendOptions& options,
                                  const Limits& limits) {
    if (!only(options.s3.region, "-_."))
        throw Error(ErrorKind::config, "the region is not valid", "It is a word like eu-west-3.");
    S3ClientOptions client{.host = location.host,
                           .port = location.port,
                           .tls = location.tls,
                           .bucket = location.bucket,
                           .style = parse_style(options.s3.bucket_lookup),
                           .region = options.s3.region};
    client.credentials.source = options.s3.credentials;
    client.credentials.stop = options.stop;
    client.http.ca_file = options.ca_file;
    if (const char* bundle = std::getenv("AWS_CA_BUNDLE"); bundle && client.http.ca_file.empty())
        client.http.ca_file = bundle;
    client.http.stall_timeout = options.stall_timeout;
    client.http.stop = options.stop;
    client.http.on_answer = time_teller(options);
    if (limits.upload)
        client.http.pace_upload = [bucket = limits.upload](size_t n) { bucket->take(n); };
    if (limits.download)
        client.http.pace_download = [bucket = limits.download](size_t n) { bucket->take(n); };
    return client;
}

std::unique_ptr<Backend> open_s3(const Location& location, const BackendOptions& options,
                                 const Limits& limits) {
    std::optional<RetentionRule> lock;
    if (!options.s3.lock.empty()) lock = parse_retention_rule(options.s3.lock);
    return std::make_unique<S3Backend>(
        s3_client_options(location, options, limits),
        S3BackendOptions{.location = location.display(),
                         .prefix = location.path,
                         .classes = parse_storage_classes(options.s3.storage_class),
                         .lock = std::move(lock)});
}

}  // namespace sevenfold::storage
