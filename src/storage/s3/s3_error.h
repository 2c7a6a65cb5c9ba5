// What an S3 server's refusal means for us.
#pragma once

#include <optional>
#include <string_view>

#include "core/error.h"
#include "core/time.h"
#include "net/http_client.h"
#include "storage/s3/s3_xml.h"

namespace sevenfold::storage {

// "Wed, 21 Oct 2015 07:28:00 GMT"; nothing when it is not such a date.
std::optional<Time> parse_http_date(std::string_view text);

// The Error for an answer that is not the one hoped for. `body` is the answer's parsed body, if it
// is an S3 error. `what` names the object, `bucket` the bucket, `now` is this machine's time.
// not_found is only for what certainly is S3's own word: a page of a proxy must not make a file
// look lost.
Error s3_error(const net::HttpResponse& response, const std::optional<S3ErrorBody>& body,
               std::string_view what, std::string_view bucket, const Time& now);

}  // namespace sevenfold::storage
