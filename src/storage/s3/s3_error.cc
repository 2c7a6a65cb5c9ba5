#include "storage/s3/s3_error.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "core/log.h"
#include "core/units.h"

namespace sevenfold::storage {
namespace {

constexpr std::chrono::minutes kMostSkew{15};  // what S3 servers accept

struct Meaning {
    std::string_view code;
    ErrorKind kind;
    std::string_view says;  // {} is the bucket; empty: the server's own words
    std::string_view hint;
};

// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and what other servers add.
constexpr Meaning kMeanings[] = {
    {"NoSuchKey", ErrorKind::not_found, "there is no such object", ""},
    {"NoSuchBucket", ErrorKind::not_found, "the bucket {} does not exist",
     "Check the name in the URL, or create the bucket with your vendor's tools; it is not created "
     "for you."},
    {"AccessDenied", ErrorKind::permission, "access denied",
     "The key needs s3:ListBucket on the bucket and s3:GetObject, s3:PutObject and (except where "
     "places are append-only) s3:DeleteObject on its objects."},
    {"AllAccessDisabled", ErrorKind::permission, "access to the bucket is disabled", ""},
    {"AccountProblem", ErrorKind::permission, "there is a problem with the account", ""},
    {"InvalidAccessKeyId", ErrorKind::permission, "the access key is not known to the server",
     "Check the S3 credentials of this place, and that they belong to this server."},
    {"SignatureDoesNotMatch", ErrorKind::permission, "the secret key is wrong",
     "Check the S3 credentials of this place: the secret does not belong to the access key."},
    {"ExpiredToken", ErrorKind::permission, "the temporary credentials have expired",
     "Get new ones; with credentials = \"command:…\" they are asked for whenever they are needed."},
    {"InvalidToken", ErrorKind::permission, "the session token is not valid",
     "Get new temporary credentials, or unset AWS_SESSION_TOKEN for lasting ones."},
    {"TokenRefreshRequired", ErrorKind::permission, "the temporary credentials have expired", ""},
    {"InvalidObjectState", ErrorKind::unsupported, "the object is in an archive class",
     "Restore it with your vendor's tools first. Repositories need classes that can be read at "
     "once."},
    {"InvalidStorageClass", ErrorKind::config, "the server does not know this storage class",
     "Change or remove storage_class."},
    {"InvalidBucketName", ErrorKind::config, "{} cannot be a bucket's name", ""},
    {"PreconditionFailed", ErrorKind::exists, "there is such an object already", ""},
    {"ConditionalRequestConflict", ErrorKind::network, "somebody else writes this object now", ""},
    {"OperationAborted", ErrorKind::network, "somebody else changes this now", ""},
    {"QuotaExceeded", ErrorKind::no_space, "the quota of the bucket or user is used up",
     "Free space there, or raise the quota."},
    {"XMinioStorageFull", ErrorKind::no_space, "the server's disks are full", "Free space there."},
    {"XMinioAdminBucketQuotaExceeded", ErrorKind::no_space, "the bucket's quota is used up",
     "Free space there, or raise the quota."},
    {"EntityTooLarge", ErrorKind::unsupported, "the server takes no object of this size",
     "Choose a smaller pack_size."},
    {"SlowDown", ErrorKind::network, "the server asks to slow down", ""},
    {"TooManyRequests", ErrorKind::network, "the server asks to slow down", ""},
    {"ServiceUnavailable", ErrorKind::network, "the server is not available now", ""},
    {"InternalError", ErrorKind::network, "the server failed inside", ""},
    {"RequestTimeout", ErrorKind::timeout, "the server waited in vain for our data", ""},
    {"BadDigest", ErrorKind::network, "the data was damaged on its way to the server", ""},
    {"XAmzContentSHA256Mismatch", ErrorKind::network,
     "the data was damaged on its way to the server", ""},
    {"IncompleteBody", ErrorKind::network, "the data did not arrive in full", ""},
    {"InvalidRange", ErrorKind::io, "short read", ""},
    {"NotImplemented", ErrorKind::unsupported, "the server does not know how to do this", ""},
    {"MethodNotAllowed", ErrorKind::unsupported, "the server does not allow this method",
     "Is the URL an S3 server's, and its path the bucket's?"},
};

const Meaning* find(std::string_view code) {
    for (const Meaning& meaning : kMeanings)
        if (meaning.code == code) return &meaning;
    return nullptr;
}

ErrorKind kind_of_status(int status) {
    switch (status) {
        case 401:
        case 403:
            return ErrorKind::permission;
        case 408:
        case 504:
            return ErrorKind::timeout;
        case 412:
            return ErrorKind::exists;
        case 416:
            return ErrorKind::io;
        case 501:
        case 405:
            return ErrorKind::unsupported;
        case 507:
            return ErrorKind::no_space;
        default:
            return status == 409 || status == 429 || status >= 500 ? ErrorKind::network
                                                                   : ErrorKind::io;
    }
}

// How far the server's clock is ahead of ours, if it is too far to be believed.
std::optional<std::chrono::nanoseconds> skew(const net::HttpResponse& response, const Time& now) {
    auto server = parse_http_date(response.header("date"));
    if (!server) return std::nullopt;
    auto ahead = server->since(now);
    if (ahead < kMostSkew && ahead > -kMostSkew) return std::nullopt;
    return ahead;
}

Error clock_error(std::string_view what, std::optional<std::chrono::nanoseconds> ahead) {
    std::string by = "this machine's clock and the server's differ too much";
    if (ahead)
        by = fmt::format("this machine's clock is {} {} the server's",
                         format_age(*ahead < ahead->zero() ? -*ahead : *ahead),
                         *ahead < ahead->zero() ? "ahead of" : "behind");
    return Error(ErrorKind::permission, fmt::format("{}: {}", what, by),
                 "Set the clock (`timedatectl set-ntp true`): S3 refuses requests that seem more "
                 "than 15 minutes old or new.");
}

}  // namespace

std::optional<Time> parse_http_date(std::string_view text) {
    constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    if (text.size() != 29 || text.substr(3, 2) != ", " || text.substr(25) != " GMT")
        return std::nullopt;
    auto number = [&](size_t at, size_t digits) -> int {
        int value = -1;
        const char* end = text.data() + at + digits;
        auto [stop, failure] = std::from_chars(text.data() + at, end, value);
        return failure == std::errc{} && stop == end ? value : -1;
    };
    auto month = std::ranges::find(kMonths, text.substr(8, 3));
    int day = number(5, 2), year = number(12, 4), hour = number(17, 2), minute = number(20, 2),
        second = number(23, 2);
    if (month == kMonths.end() || day < 1 || day > 31 || year < 0 || hour < 0 || hour > 23 ||
        minute < 0 || minute > 59 || second < 0 || second > 60)
        return std::nullopt;
    int64_t days = days_from_civil(year, month - kMonths.begin() + 1, day);
    return Time{.seconds = days * 86400 + hour * 3600 + minute * 60 + second};
}

Error s3_error(const net::HttpResponse& response, const std::optional<S3ErrorBody>& body,
               std::string_view what, std::string_view bucket, const Time& now) {
    const int status = response.status;
    auto ahead = skew(response, now);
    if ((body && body->code == "RequestTimeTooSkewed") || (status == 403 && ahead))
        return clock_error(what, ahead);
    if (body) {
        // Only the codes that say so make a thing missing.
        if (const Meaning* meaning = find(body->code))
            return Error(meaning->kind,
                         fmt::format("{}: {} ({})", what,
                                     fmt::format(fmt::runtime(meaning->says), bucket), body->code),
                         std::string(meaning->hint));
        return Error(kind_of_status(status),
                     fmt::format("{}: {} (HTTP {}, {})", what,
                                 body->message.empty() ? "refused" : printable(body->message),
                                 status, printable(body->code)));
    }
    if (status / 100 == 3)
        return Error(ErrorKind::config,
                     fmt::format("{}: the server wants us to go elsewhere (HTTP {})", what, status),
                     "Name the bucket's own endpoint in the URL: redirects are not followed.");
    bool silent = response.body.empty() && !response.cut;  // as answers to HEAD are
    std::string says = fmt::format("{}: HTTP {}{}", what, status,
                                   silent ? "" : ", and the answer is not an S3 server's");
    return Error(kind_of_status(status), says,
                 silent || status >= 500 ? "" : "Check the URL's host, port and scheme.");
}

}  // namespace sevenfold::storage
