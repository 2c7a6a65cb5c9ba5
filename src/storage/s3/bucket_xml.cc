#include "storage/s3/bucket_xml.h"

#include <fmt/format.h>

#include <algorithm>
#include <pugixml.hpp>

#include "core/error.h"
#include "net/http_client.h"
#include "storage/s3/internal/answers.h"
#include "storage/s3/internal/xml.h"

namespace sevenfold::storage {
namespace {

using internal::child_of;
using internal::local_name;
using internal::unquoted;

constexpr size_t kMostGrants = 1000, kMostTags = 1000;  // S3 allows 100 and 10

[[noreturn]] void bad(std::string_view why) {
    throw Error(ErrorKind::corrupt, fmt::format("the answer is not valid: {}", why));
}

std::string text_of(const pugi::xml_node& parent, std::string_view name) {
    return std::string(internal::text_of(parent, name));
}

class Document {
  public:
    Document(std::string_view xml, std::string_view root) {
        // With white space kept: names and values may be nothing else.
        if (document_
                .load_buffer(xml.data(), xml.size(),
                             pugi::parse_default | pugi::parse_ws_pcdata_single,
                             pugi::encoding_utf8)
                .status != pugi::status_ok)
            bad("it is not complete XML");
        if (local_name(document_.document_element()) != root) bad("it is something else");
    }
    pugi::xml_node root() const { return document_.document_element(); }

  private:
    pugi::xml_document document_;
};

uint64_t number(std::string_view text) {
    auto value = internal::number(text);
    if (!value) bad("a size is not a number");
    return *value;
}

bool flag(std::string_view text, const char* what) {
    if (text == "true") return true;
    if (text != "false") bad(what);
    return false;
}

std::string unescaped(std::string_view text, bool escaped) {
    auto plain = internal::plain_text(text, escaped);
    if (!plain) bad("a name is not escaped as it should be");
    return *plain;
}

ListedObject object_of(const pugi::xml_node& node, bool escaped) {
    ListedObject out{.key = unescaped(text_of(node, "Key"), escaped),
                     .etag = unquoted(text_of(node, "ETag")),
                     .storage_class = text_of(node, "StorageClass")};
    if (out.key.empty()) bad("an object has no name");
    out.modified = parse_rfc3339(text_of(node, "LastModified"));
    out.modified.offset = 0;
    return out;
}

void add_prefix(ObjectPage& page, const pugi::xml_node& node, bool escaped) {
    page.prefixes.push_back(unescaped(text_of(node, "Prefix"), escaped));
}

void escape_into(std::string& out, std::string_view text) {
    for (char c : text) switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            case '\r':
                out += "&#13;";
                break;
            default:
                out += c;
        }
}

std::string element(std::string_view name, std::string_view text) {
    std::string out = fmt::format("<{}>", name);
    escape_into(out, text);
    return out + fmt::format("</{}>", name);
}

constexpr std::string_view kRights[] = {"READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"};
constexpr std::string_view kNames = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

Grantee grantee_of(const pugi::xml_node& node) {
    if (std::string id = text_of(node, "ID"); !id.empty()) return {Grantee::Kind::user, id};
    if (std::string uri = text_of(node, "URI"); !uri.empty()) return {Grantee::Kind::group, uri};
    if (std::string mail = text_of(node, "EmailAddress"); !mail.empty())
        return {Grantee::Kind::email, mail};
    bad("a grant is for nobody");
}

void sort_grants(Acl& acl) {
    std::ranges::sort(acl.grants);
    acl.grants.erase(std::unique(acl.grants.begin(), acl.grants.end()), acl.grants.end());
}

std::string decoded(std::string_view text) {
    auto plain = net::percent_decode(text);
    if (!plain) bad("a name is not escaped as it should be");
    return *plain;
}

}  // namespace

ObjectPage parse_object_page(std::string_view xml) {
    Document document(xml, "ListBucketResult");
    pugi::xml_node root = document.root();
    bool escaped = text_of(root, "EncodingType") == "url";
    ObjectPage page;
    page.truncated = flag(text_of(root, "IsTruncated"), "it does not say whether there is more");
    page.continuation = text_of(root, "NextContinuationToken");
    if (page.truncated && page.continuation.empty()) bad("it does not say how to go on");
    for (const pugi::xml_node& child : root.children()) {
        if (local_name(child) == "CommonPrefixes") add_prefix(page, child, escaped);
        if (local_name(child) != "Contents") continue;
        page.objects.push_back(object_of(child, escaped));
        page.objects.back().size = number(text_of(child, "Size"));
    }
    return page;
}

ObjectPage parse_version_page(std::string_view xml) {
    Document document(xml, "ListVersionsResult");
    pugi::xml_node root = document.root();
    bool escaped = text_of(root, "EncodingType") == "url";
    ObjectPage page;
    page.truncated = flag(text_of(root, "IsTruncated"), "it does not say whether there is more");
    page.next_key = unescaped(text_of(root, "NextKeyMarker"), escaped);
    page.next_version = text_of(root, "NextVersionIdMarker");
    if (page.truncated && page.next_key.empty()) bad("it does not say how to go on");
    for (const pugi::xml_node& child : root.children()) {
        bool deleted = local_name(child) == "DeleteMarker";
        if (!deleted && local_name(child) != "Version") continue;
        ListedObject object = object_of(child, escaped);
        object.deleted = deleted;
        object.version = text_of(child, "VersionId");
        if (object.version.empty()) bad("a version has no id");
        object.latest = flag(text_of(child, "IsLatest"), "it does not say which version is newest");
        if (!deleted) object.size = number(text_of(child, "Size"));
        page.objects.push_back(std::move(object));
    }
    return page;
}

std::string_view name(AclRight right) { return kRights[static_cast<size_t>(right)]; }

std::optional<AclRight> parse_acl_right(std::string_view name) {
    for (size_t i = 0; i < std::size(kRights); ++i)
        if (kRights[i] == name) return static_cast<AclRight>(i);
    return std::nullopt;
}

Acl parse_acl(std::string_view xml) {
    Document document(xml, "AccessControlPolicy");
    Acl acl{.owner = text_of(child_of(document.root(), "Owner"), "ID")};
    pugi::xml_node list = child_of(document.root(), "AccessControlList");
    if (!list) bad("it has no list of grants");
    for (const pugi::xml_node& grant : list.children()) {
        if (local_name(grant) != "Grant") continue;
        auto right = parse_acl_right(text_of(grant, "Permission"));
        if (!right) bad("a grant is of an unknown right");
        if (acl.grants.size() == kMostGrants) bad("it has too many grants");
        acl.grants.push_back({grantee_of(child_of(grant, "Grantee")), *right});
    }
    sort_grants(acl);
    return acl;
}

std::string acl_xml(const Acl& acl) {
    std::string out = fmt::format("<AccessControlPolicy {}><Owner>{}</Owner><AccessControlList>",
                                  kNames, element("ID", acl.owner));
    for (const Grant& grant : acl.grants) {
        const char* type = "CanonicalUser";
        const char* tag = "ID";
        if (grant.grantee.kind == Grantee::Kind::group) type = "Group", tag = "URI";
        if (grant.grantee.kind == Grantee::Kind::email)
            type = "AmazonCustomerByEmail", tag = "EmailAddress";
        out += fmt::format(
            "<Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
            "xsi:type=\"{}\">{}</Grantee>{}</Grant>",
            type, element(tag, grant.grantee.id), element("Permission", name(grant.right)));
    }
    return out + "</AccessControlList></AccessControlPolicy>";
}

std::string to_text(const Acl& acl) {
    constexpr const char* kKinds[] = {"id", "uri", "email"};
    std::string out = "owner=" + net::percent_encode(acl.owner);
    for (const Grant& grant : acl.grants)
        out += fmt::format(" {}={}:{}", name(grant.right),
                           kKinds[static_cast<size_t>(grant.grantee.kind)],
                           net::percent_encode(grant.grantee.id, ":/@"));
    return out;
}

Acl parse_acl_text(std::string_view text) {
    constexpr std::string_view kOwner = "owner=";
    if (!text.starts_with(kOwner)) bad("it does not begin with the owner");
    Acl acl;
    bool first = true;
    while (!text.empty()) {
        std::string_view word = text.substr(0, text.find(' '));
        text.remove_prefix(std::min(text.size(), word.size() + 1));
        size_t equals = word.find('='), colon = word.find(':');
        if (std::exchange(first, false)) {
            acl.owner = decoded(word.substr(kOwner.size()));
            continue;
        }
        if (equals == word.npos || colon == word.npos || colon < equals) bad("a grant is cut off");
        auto right = parse_acl_right(word.substr(0, equals));
        std::string_view kind = word.substr(equals + 1, colon - equals - 1);
        if (!right || (kind != "id" && kind != "uri" && kind != "email"))
            bad("a grant is of an unknown kind");
        Grantee grantee{kind == "id"    ? Grantee::Kind::user
                        : kind == "uri" ? Grantee::Kind::group
                                        : Grantee::Kind::email,
                        decoded(word.substr(colon + 1))};
        if (acl.grants.size() == kMostGrants) bad("it has too many grants");
        acl.grants.push_back({std::move(grantee), *right});
    }
    sort_grants(acl);
    return acl;
}

Tags parse_tags(std::string_view xml) {
    Document document(xml, "Tagging");
    Tags tags;
    for (const pugi::xml_node& tag : child_of(document.root(), "TagSet").children()) {
        if (local_name(tag) != "Tag") continue;
        if (tags.size() == kMostTags) bad("it has too many tags");
        tags.emplace_back(text_of(tag, "Key"), text_of(tag, "Value"));
    }
    std::ranges::sort(tags);
    return tags;
}

std::string tags_xml(const Tags& tags) {
    std::string out = fmt::format("<Tagging {}><TagSet>", kNames);
    for (const auto& [key, value] : tags)
        out += fmt::format("<Tag>{}{}</Tag>", element("Key", key), element("Value", value));
    return out + "</TagSet></Tagging>";
}

std::string to_text(const Tags& tags) {
    std::string out;
    for (const auto& [key, value] : tags)
        out += fmt::format("{}{}={}", out.empty() ? "" : "&", net::percent_encode(key),
                           net::percent_encode(value));
    return out;
}

Tags parse_tags_text(std::string_view text) {
    Tags tags;
    while (!text.empty()) {
        std::string_view pair = text.substr(0, text.find('&'));
        text.remove_prefix(std::min(text.size(), pair.size() + 1));
        size_t equals = pair.find('=');
        if (equals == pair.npos || tags.size() == kMostTags) bad("a tag has no value");
        tags.emplace_back(decoded(pair.substr(0, equals)), decoded(pair.substr(equals + 1)));
    }
    std::ranges::sort(tags);
    return tags;
}

std::string parse_versioning(std::string_view xml) {
    return text_of(Document(xml, "VersioningConfiguration").root(), "Status");
}

std::string parse_upload_id(std::string_view xml) {
    std::string id = text_of(Document(xml, "InitiateMultipartUploadResult").root(), "UploadId");
    if (id.empty()) bad("the upload has no id");
    return id;
}

std::string parse_result_etag(std::string_view xml) {
    pugi::xml_document document;
    if (!internal::load(document, xml)) bad("it is not complete XML");
    std::string_view root = local_name(document.document_element());
    if (root != "CopyObjectResult" && root != "CopyPartResult" &&
        root != "CompleteMultipartUploadResult")
        bad("it is something else");
    std::string etag = unquoted(text_of(document.document_element(), "ETag"));
    // Ceph's gateway leaves it empty for an upload that is finished.
    if (etag.empty() && root != "CompleteMultipartUploadResult") bad("it has no ETag");
    return etag;
}

}  // namespace sevenfold::storage
