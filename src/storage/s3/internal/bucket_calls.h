// What bucket.cc and bucket_write.cc share.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/check.h"
#include "core/error.h"
#include "core/log.h"
#include "core/units.h"
#include "crypto/hmac.h"
#include "storage/s3/bucket.h"
#include "storage/s3/s3_error.h"

namespace sevenfold::storage {

inline constexpr std::string_view kMetadata = "x-amz-meta-";

inline constexpr unsigned kIoAttempts = 3;

inline Error contradiction(const std::string& what, std::string_view why) {
    return Error(ErrorKind::io, fmt::format("{}: the answer is not an S3 server's: {}", what, why),
                 "Check the URL's host, port and scheme.");
}

inline Error changed(const std::string& what) {
    return Error(ErrorKind::exists, fmt::format("{}: somebody has changed it meanwhile", what));
}

inline std::string unquoted(std::string_view etag) {
    if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"')
        etag = etag.substr(1, etag.size() - 2);
    return std::string(etag);
}

inline bool is_md5(std::string_view etag) {
    return etag.size() == 32 && etag.find_first_not_of("0123456789abcdef") == etag.npos;
}

// Encrypted with keys of others, the ETag is not the MD5.
inline bool etag_is_md5(const net::HttpResponse& response, std::string_view etag) {
    return is_md5(etag) &&
           !response.header("x-amz-server-side-encryption").starts_with("aws:kms") &&
           response.header("x-amz-server-side-encryption-customer-algorithm").empty();
}

inline std::string md5_hex(ByteView bytes) {
    auto md5 = crypto::md5(bytes);
    return md5 ? to_hex(*md5) : "";
}

inline constexpr std::pair<std::string_view, std::string ObjectHeaders::*> kHeaders[] = {
    {"content-type", &ObjectHeaders::content_type},
    {"cache-control", &ObjectHeaders::cache_control},
    {"content-disposition", &ObjectHeaders::content_disposition},
    {"content-encoding", &ObjectHeaders::content_encoding},
    {"content-language", &ObjectHeaders::content_language},
    {"expires", &ObjectHeaders::expires},
    {"x-amz-storage-class", &ObjectHeaders::storage_class},
};

inline net::HttpResponse pretend(const net::HttpResponse& response, int status) {
    net::HttpResponse out = response;
    out.status = status;
    return out;
}

// operation(failures so far) until it succeeds or the time is up.
template <class Operation>
auto Bucket::attempt(Operation operation) {
    const Clock& clock = *options_.client.clock;
    std::chrono::steady_clock::time_point first_failure{};
    for (unsigned failures = 0;;) {
        std::optional<Error> failed;
        try {
            auto out = operation(failures);
            reached_ = true;
            return out;
        } catch (const Error& error) {
            if (!is_temporary(error.kind())) throw;
            failed = error;
        }
        auto now = clock.steady();
        if (failures++ == 0) first_failure = now;
        auto wait = pause(failures);
        bool hopeless = failed->kind() == ErrorKind::io && failures >= kIoAttempts;
        auto patience =
            reached_ ? options_.retry_for : std::min(options_.retry_for, options_.reach_within);
        if (hopeless || now - first_failure + wait > patience) throw *failed;
        log_info("{}; trying again in {}", failed->message(), format_duration(wait));
        options_.sleep(wait, options_.stop);
    }
}

// The answer's XML; a damaged one is the answer's fault, not the stored object's.
template <class Parse>
auto Bucket::parsed(const net::HttpResponse& response, const std::string& what, Parse parse) {
    require(response, what);
    try {
        return parse(as_text(response.body));
    } catch (const Error& error) {
        // Copies and finished uploads may fail after "200 OK".
        if (parse_s3_error(as_text(response.body)))
            throw client_.refusal(pretend(response, 500), what);
        throw contradiction(what, error.message());
    }
}

}  // namespace sevenfold::storage
