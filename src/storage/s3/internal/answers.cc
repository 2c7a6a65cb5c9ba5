#include "storage/s3/internal/answers.h"

#include <fmt/format.h>

namespace sevenfold::storage::internal {

Error not_s3(const std::string& what, std::string_view why) {
    return Error(ErrorKind::io, fmt::format("{}: the answer is not an S3 server's: {}", what, why),
                 "Check the URL's host, port and scheme.");
}

std::optional<S3ErrorBody> error_body(const net::HttpResponse& response) {
    if (response.cut) return std::nullopt;
    return parse_s3_error(as_text(response.body));
}

std::string unquoted(std::string_view etag) {
    if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"')
        etag = etag.substr(1, etag.size() - 2);
    return std::string(etag);
}

bool etag_is_md5(const net::HttpResponse& response, std::string_view etag) {
    return etag.size() == 32 && etag.find_first_not_of("0123456789abcdef") == etag.npos &&
           !response.header("x-amz-server-side-encryption").starts_with("aws:kms") &&
           response.header("x-amz-server-side-encryption-customer-algorithm").empty();
}

}  // namespace sevenfold::storage::internal
