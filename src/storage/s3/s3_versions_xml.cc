#include "storage/s3/s3_versions_xml.h"

#include <fmt/format.h>

#include <pugixml.hpp>

#include "core/error.h"
#include "storage/s3/internal/xml.h"

namespace sevenfold::storage {
namespace {

using internal::load;
using internal::local_name;
using internal::text_of;

[[noreturn]] void bad(const char* what, const char* why) {
    throw Error(ErrorKind::corrupt, fmt::format("{} is not valid: {}", what, why));
}
constexpr const char* kListing = "the listing of versions";

pugi::xml_node root_of(const pugi::xml_document& document, const char* name, const char* what) {
    pugi::xml_node root = document.document_element();
    if (local_name(root) != name) bad(what, "it is something else");
    return root;
}

S3Version version_of(const pugi::xml_node& node, bool escaped) {
    auto key = internal::plain_text(text_of(node, "Key"), escaped);
    if (!key || key->empty()) bad(kListing, "an object has no valid name");
    S3Version out{.key = std::move(*key), .version = std::string(text_of(node, "VersionId"))};
    if (out.version.empty()) bad(kListing, "a version has no id");
    try {
        out.stored = parse_rfc3339(text_of(node, "LastModified"));
    } catch (const Error&) {
        bad(kListing, "a version has no time");
    }
    out.deletion = local_name(node) == "DeleteMarker";
    out.latest = text_of(node, "IsLatest") == "true";
    if (out.deletion) return out;
    auto size = internal::number(text_of(node, "Size"));
    if (!size) bad(kListing, "a size is not a number");
    out.size = *size;
    std::string_view etag = text_of(node, "ETag");
    if (etag.size() >= 2 && etag.front() == '"') etag = etag.substr(1, etag.size() - 2);
    out.etag = etag;
    return out;
}

std::string utc(Time time) {
    time.offset = 0;
    time.nanoseconds = 0;
    return to_rfc3339(time);
}

std::string_view upper_name(RetentionMode mode) {
    return mode == RetentionMode::compliance ? "COMPLIANCE" : "GOVERNANCE";
}

}  // namespace

S3VersionPage parse_s3_versions(std::string_view xml) {
    pugi::xml_document document;
    if (!load(document, xml)) bad(kListing, "it is not complete XML");
    pugi::xml_node root = document.document_element();
    // What radosgw calls it, and what all others do.
    if (local_name(root) != "ListVersionsResult" && local_name(root) != "ListVersionResult")
        bad(kListing, "it is something else");
    bool escaped = text_of(root, "EncodingType") == "url";
    S3VersionPage page;
    std::string_view truncated = text_of(root, "IsTruncated");
    if (truncated != "true" && truncated != "false")
        bad(kListing, "it does not say whether there is more");
    page.truncated = truncated == "true";
    auto next = internal::plain_text(text_of(root, "NextKeyMarker"), escaped);
    if (!next || (page.truncated && next->empty())) bad(kListing, "it does not say how to go on");
    page.next_key = std::move(*next);
    page.next_version = text_of(root, "NextVersionIdMarker");
    for (const pugi::xml_node& child : root.children())
        if (local_name(child) == "Version" || local_name(child) == "DeleteMarker")
            page.versions.push_back(version_of(child, escaped));
    return page;
}

bool parse_s3_versioning(std::string_view xml) {
    constexpr const char* kWhat = "what the server says of versions";
    pugi::xml_document document;
    if (!load(document, xml)) bad(kWhat, "it is not complete XML");
    return text_of(root_of(document, "VersioningConfiguration", kWhat), "Status") == "Enabled";
}

bool parse_s3_object_lock(std::string_view xml) {
    constexpr const char* kWhat = "what the server says of locks";
    pugi::xml_document document;
    if (!load(document, xml)) bad(kWhat, "it is not complete XML");
    return text_of(root_of(document, "ObjectLockConfiguration", kWhat), "ObjectLockEnabled") ==
           "Enabled";
}

std::optional<Retention> parse_s3_retention(std::string_view xml) {
    constexpr const char* kWhat = "what the server says of a lock";
    pugi::xml_document document;
    if (!load(document, xml)) bad(kWhat, "it is not complete XML");
    pugi::xml_node root = root_of(document, "Retention", kWhat);
    std::string_view until = text_of(root, "RetainUntilDate"), mode = text_of(root, "Mode");
    if (until.empty() || mode.empty()) return std::nullopt;
    Retention out;
    if (mode == "COMPLIANCE")
        out.mode = RetentionMode::compliance;
    else if (mode != "GOVERNANCE")
        bad(kWhat, "its mode is not known");
    out.until = parse_rfc3339(until);
    return out;
}

std::string encode_s3_retention(const Retention& retention) {
    return fmt::format(
        "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>{}</Mode>"
        "<RetainUntilDate>{}</RetainUntilDate></Retention>",
        upper_name(retention.mode), utc(retention.until));
}

void add_retention(const Retention& retention, std::vector<net::HttpHeader>& headers) {
    headers.push_back({"x-amz-object-lock-mode", std::string(upper_name(retention.mode))});
    headers.push_back({"x-amz-object-lock-retain-until-date", utc(retention.until)});
}

bool is_s3_copy_result(std::string_view xml) {
    pugi::xml_document document;
    return load(document, xml) && local_name(document.document_element()) == "CopyObjectResult";
}

}  // namespace sevenfold::storage
