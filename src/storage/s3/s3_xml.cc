#include "storage/s3/s3_xml.h"

#include <charconv>
#include <pugixml.hpp>

#include "core/error.h"
#include "net/http_client.h"

namespace sevenfold::storage {
namespace {

constexpr size_t kLongestText = 1000;  // of what is shown to people

[[noreturn]] void bad(const char* why) {
    throw Error(ErrorKind::corrupt, std::string("the listing is not valid: ") + why);
}

// Without its name space, which servers write or leave out.
std::string_view local_name(const pugi::xml_node& node) {
    std::string_view name = node.name();
    size_t colon = name.find(':');
    return colon == name.npos ? name : name.substr(colon + 1);
}

std::string_view text_of(const pugi::xml_node& parent, std::string_view name) {
    for (const pugi::xml_node& child : parent.children())
        if (local_name(child) == name) return child.text().get();
    return {};
}

bool load(pugi::xml_document& document, std::string_view xml) {
    return document.load_buffer(xml.data(), xml.size(), pugi::parse_default, pugi::encoding_utf8)
               .status == pugi::status_ok;
}

std::string shortened(std::string_view text) { return std::string(text.substr(0, kLongestText)); }

uint64_t number(std::string_view text) {
    uint64_t value = 0;
    auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || failure != std::errc{} || end != text.data() + text.size())
        bad("a size is not a number");
    return value;
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
    if (local_name(root) != "ListBucketResult") bad("it is something else");
    bool escaped = text_of(root, "EncodingType") == "url";
    S3ListPage page;
    std::string_view truncated = text_of(root, "IsTruncated");
    if (truncated != "true" && truncated != "false") bad("it does not say whether there is more");
    page.truncated = truncated == "true";
    page.continuation = text_of(root, "NextContinuationToken");
    if (page.truncated && page.continuation.empty()) bad("it does not say how to go on");
    for (const pugi::xml_node& child : root.children()) {
        if (local_name(child) != "Contents") continue;
        std::string key(text_of(child, "Key"));
        if (escaped) {
            for (char& c : key)
                if (c == '+') c = ' ';
            auto plain = net::percent_decode(key);
            if (!plain) bad("a name is not escaped as it should be");
            key = *plain;
        }
        if (key.empty()) bad("an object has no name");
        page.objects.push_back({std::move(key), number(text_of(child, "Size"))});
    }
    return page;
}

}  // namespace sevenfold::storage
