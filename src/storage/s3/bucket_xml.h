// What S3 servers say in XML of buckets that hold users' files: versions, grants, tags. As in
// s3_xml.h, everything comes from outside, and what does not fit is Error{corrupt}.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/time.h"

namespace sevenfold::storage {

// One object, or one version of it, as a listing tells.
struct ListedObject {
    std::string key;
    uint64_t size = 0;
    std::string etag;  // without quotes; empty when the server gives none
    Time modified;
    std::string storage_class;
    std::string version;   // of version listings only; "null" for what was stored without
    bool latest = true;    // version listings: the newest of its key
    bool deleted = false;  // version listings: a delete marker, without size, etag and class
    bool operator==(const ListedObject&) const = default;
};

struct ObjectPage {
    std::vector<ListedObject> objects;
    std::vector<std::string> prefixes;  // where a delimiter was given
    bool truncated = false;
    std::string continuation;            // of ListObjectsV2
    std::string next_key, next_version;  // of ListObjectVersions; next_key is then never empty
};
ObjectPage parse_object_page(std::string_view xml);   // ListObjectsV2
ObjectPage parse_version_page(std::string_view xml);  // ListObjectVersions

enum class AclRight { read, write, read_acl, write_acl, full };
std::string_view name(AclRight right);  // "READ", …, "FULL_CONTROL"
std::optional<AclRight> parse_acl_right(std::string_view name);

// Whom a grant is for: an account by its canonical id or mail address, or a group by its URI.
struct Grantee {
    enum class Kind { user, group, email };
    Kind kind = Kind::user;
    std::string id;
    auto operator<=>(const Grantee&) const = default;
};
inline constexpr std::string_view kAllUsers = "http://acs.amazonaws.com/groups/global/AllUsers";
inline constexpr std::string_view kAuthenticatedUsers =
    "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";

struct Grant {
    Grantee grantee;
    AclRight right = AclRight::read;
    auto operator<=>(const Grant&) const = default;
};

struct Acl {
    std::string owner;          // canonical id
    std::vector<Grant> grants;  // sorted, each once
    bool operator==(const Acl&) const = default;
};
Acl parse_acl(std::string_view xml);
std::string acl_xml(const Acl& acl);
// One line, for people and for keeping: "owner=ID FULL_CONTROL=id:ID READ=uri:http://…", names
// percent-encoded. parse_acl_text throws Error{corrupt}.
std::string to_text(const Acl& acl);
Acl parse_acl_text(std::string_view text);

using Tags = std::vector<std::pair<std::string, std::string>>;  // sorted by key
Tags parse_tags(std::string_view xml);
std::string tags_xml(const Tags& tags);
// "a=b&c=d", percent-encoded, as the header x-amz-tagging has it.
std::string to_text(const Tags& tags);
Tags parse_tags_text(std::string_view text);

// "Enabled", "Suspended", or empty for a bucket that never had versions.
std::string parse_versioning(std::string_view xml);
std::string parse_upload_id(std::string_view xml);
// The ETag in the result of a copy, of a part's copy or of a finished upload, without quotes.
std::string parse_result_etag(std::string_view xml);

}  // namespace sevenfold::storage
