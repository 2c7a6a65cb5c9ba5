#include "storage/s3/s3_xml.h"

#include <fmt/format.h>

#include <pugixml.hpp>

#include "core/error.h"
#include "net/http_client.h"
#include "storage/s3/internal/xml.h"

namespace sevenfold::storage {
namespace {

using internal::load;
using internal::local_name;
using internal::text_of;

constexpr size_t kLongestText = 1000;  // of what is shown to people

[[noreturn]] void bad(const std::string& why) {
    throw Error(ErrorKind::corrupt, "the listing is not valid: " + why);
}

std::string shortened(std::string_view text) { return std::string(text.substr(0, kLongestText)); }

uint64_t number(std::string_view text) {
    auto value = internal::number(text);
    if (!value) bad("a size is not a number");
    return *value;
}

}  // namespace

std::optional<S3ErrorBody> parse_s3_error(std::string_view xml) {
    pugi::xml_document document;
    if (!load(document, xml)) return std::nullopt;
    pugi::xml_node root = document.document_element();
    if (local_name(root) != "Error" || text_of(root, "Code").empty()) return std::nullopt;
    return S3ErrorBody{.code = shortened(text_of(root, "Code")),
                       .message = shortened(text_of(root, "Message")),
                       .region = shortened(text_of(root, "Region"))};
}

S3ListPage parse_s3_list(std::string_view xml) {
    pugi::xml_document document;
    if (!load(document, xml)) bad("it is not complete XML");
    pugi::xml_node root = document.document_element();
    if (local_name(root) != "ListBucketResult")
        bad(fmt::format("it is a document \"{}\"", shortened(local_name(root))));
    bool escaped = text_of(root, "EncodingType") == "url";
    S3ListPage page;
    std::string_view truncated = text_of(root, "IsTruncated");
    if (truncated != "true" && truncated != "false") bad("it does not say whether there is more");
    page.truncated = truncated == "true";
    page.continuation = text_of(root, "NextContinuationToken");
    if (page.truncated && page.continuation.empty()) bad("it does not say how to go on");
    for (const pugi::xml_node& child : root.children()) {
        if (local_name(child) != "Contents") continue;
        auto key = internal::plain_text(text_of(child, "Key"), escaped);
        if (!key) bad("a name is not escaped as it should be");
        if (key->empty()) bad("an object has no name");
        page.objects.push_back({std::move(*key), number(text_of(child, "Size"))});
    }
    return page;
}

}  // namespace sevenfold::storage
