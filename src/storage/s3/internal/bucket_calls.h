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
#include "storage/s3/internal/answers.h"
#include "storage/s3/s3_error.h"

namespace sevenfold::storage {

using internal::etag_is_md5;
using internal::not_s3;
using internal::unquoted;

inline constexpr std::string_view kMetadata = "x-amz-meta-";

inline constexpr unsigned kIoAttempts = 3;

inline Error changed(const std::string& what) {
    return Error(ErrorKind::exists, fmt::format("{}: somebody has changed it meanwhile", what));
}

inline std::string md5_hex(ByteView bytes) {
    auto md5 = crypto::md5(bytes);
    return md5 ? to_hex(*md5) : "";
}

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
        throw not_s3(what, error.message());
    }
}

}  // namespace sevenfold::storage
