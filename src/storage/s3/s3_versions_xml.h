// What S3 servers say of versions and Object Lock. From outside, as s3_xml.h: what does not fit is
// Error{corrupt}.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_client.h"
#include "storage/versions.h"

namespace sevenfold::storage {

struct S3Version {
    std::string key;
    std::string version;  // "null": from before the bucket had versions
    std::string etag;     // without quotes
    Time stored;
    uint64_t size = 0;
    bool deletion = false;  // a delete marker
    bool latest = false;
};
struct S3VersionPage {
    std::vector<S3Version> versions;  // in the server's order
    bool truncated = false;
    std::string next_key, next_version;  // where the next page begins; next_key is never empty then
};
// A page of ListObjectVersions.
S3VersionPage parse_s3_versions(std::string_view xml);

struct S3BucketProtection {
    bool versions = false;     // what is deleted or replaced stays
    bool object_lock = false;  // and can be locked
};
bool parse_s3_versioning(std::string_view xml);   // whether they are enabled
bool parse_s3_object_lock(std::string_view xml);  // likewise

// Nothing when there is no date in it.
std::optional<Retention> parse_s3_retention(std::string_view xml);
std::string encode_s3_retention(const Retention& retention);
// The same as headers of a PUT.
void add_retention(const Retention& retention, std::vector<net::HttpHeader>& headers);

// Copies may fail after the server has said 200.
bool is_s3_copy_result(std::string_view xml);

}  // namespace sevenfold::storage
