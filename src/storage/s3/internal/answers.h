// What an S3 server's answer says, for all who send requests.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "net/http_client.h"
#include "storage/s3/s3_xml.h"

namespace sevenfold::storage::internal {

// The answer contradicts itself or the protocol. `io`, not `network`: who answers like this will do
// so again, and is not asked for long.
Error not_s3(const std::string& what, std::string_view why);
// Nothing when the body is cut off, or no error of S3's.
std::optional<S3ErrorBody> error_body(const net::HttpResponse& response);
// An ETag without its quotation marks.
std::string unquoted(std::string_view etag);
// Encrypted with keys of others, the ETag is not the MD5.
bool etag_is_md5(const net::HttpResponse& response, std::string_view etag);

}  // namespace sevenfold::storage::internal
