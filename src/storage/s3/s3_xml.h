// What S3 servers answer in XML. Everything here comes from outside: sizes are bounded by the
// caller's limit on the body, entities are not expanded, and what does not fit is Error{corrupt}.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sevenfold::storage {

struct S3ErrorBody {
    std::string code;     // "NoSuchKey"
    std::string message;  // for people
    std::string region;   // where the bucket really is, when the server tells
};
// Nothing when it is not an S3 error at all (an HTML page, say).
std::optional<S3ErrorBody> parse_s3_error(std::string_view xml);

struct S3Object {
    std::string key;
    uint64_t size = 0;
};
struct S3ListPage {
    std::vector<S3Object> objects;
    bool truncated = false;
    std::string continuation;  // where the next page begins; never empty when truncated
};
// A page of ListObjectsV2.
S3ListPage parse_s3_list(std::string_view xml);

}  // namespace sevenfold::storage
