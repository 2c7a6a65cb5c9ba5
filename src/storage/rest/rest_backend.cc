#include "storage/rest/rest_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/log.h"

namespace sevenfold::storage {
namespace {

constexpr std::string_view kVersion2 = "application/vnd.x.restic.rest.v2";
constexpr uint64_t kLongestListing = uint64_t{1} << 30;
// A larger body is sent only once the server has agreed.
constexpr size_t kAskFirst = 1 << 20;

ErrorKind kind_of_status(int status) {
    switch (status) {
        case 401:
        case 403:
            return ErrorKind::permission;
        case 404:
            return ErrorKind::not_found;
        case 405:
        case 413:
        case 501:
            return ErrorKind::unsupported;
        case 408:
        case 504:
            return ErrorKind::timeout;
        case 416:
            return ErrorKind::io;
        case 507:
            return ErrorKind::no_space;
        default:  // 400 too: a body that was damaged on its way
            return status == 400 || status == 429 || status >= 500 ? ErrorKind::network
                                                                   : ErrorKind::unsupported;
    }
}

std::string_view hint_of_status(int status) {
    switch (status) {
        case 401:
            return "Check the user and the password: in the URL, RESTIC_REST_USERNAME and "
                   "RESTIC_REST_PASSWORD, or `credentials` of the place.";
        case 403:
            return "The server's administrator decides what this user may do; append-only servers "
                   "let nobody delete or overwrite.";
        case 507:
            return "Free space there, or raise the quota.";
        case 413:
            return "Choose a smaller pack_size, or raise the server's limit.";
        default:
            return "";
    }
}

Error error_of(const net::HttpResponse& response, const std::string& what) {
    std::string says(as_text(response.body));
    if (!response.header("content-type").starts_with("text/plain")) says.clear();
    says = printable(says.substr(0, std::min(says.find('\n'), size_t{200})));
    return Error(kind_of_status(response.status),
                 fmt::format("{}: the server answers {}{}{}", what, response.status,
                             says.empty() ? "" : ": ", says),
                 std::string(hint_of_status(response.status)));
}

// Reads [{"name":"…","size":N},…] or ["…",…] without building the document.
class ListingReader : public nlohmann::json_sax<nlohmann::json> {
  public:
    explicit ListingReader(bool version2) : version2_(version2) {}

    std::vector<FileInfo> found;
    std::vector<Id> names;  // of version 1

    bool null() override { return false; }
    bool boolean(bool) override { return false; }
    bool number_integer(number_integer_t) override { return key_ != "size"; }
    bool number_unsigned(number_unsigned_t value) override {
        if (key_ == "size") size_ = value;
        return depth_ == 2;
    }
    bool number_float(number_float_t, const string_t&) override { return key_ != "size"; }
    bool string(string_t& value) override {
        if (!version2_ && depth_ == 1) {
            if (auto id = Id::parse(value)) names.push_back(*id);
            return true;
        }
        if (key_ == "name") name_ = value;
        return depth_ == 2;
    }
    bool binary(binary_t&) override { return false; }
    bool start_object(size_t) override {
        name_.reset();
        size_.reset();
        return version2_ && ++depth_ == 2;
    }
    bool key(string_t& value) override {
        key_ = value;
        return true;
    }
    bool end_object() override {
        --depth_;
        key_.clear();
        if (!name_ || !size_) return false;
        if (auto id = Id::parse(*name_)) found.push_back({*id, *size_});
        return true;
    }
    bool start_array(size_t) override { return ++depth_ == 1; }
    bool end_array() override { return --depth_ == 0; }
    bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
        return false;
    }

  private:
    bool version2_;
    int depth_ = 0;
    std::string key_;
    std::optional<std::string> name_;
    std::optional<uint64_t> size_;
};

}  // namespace

RestBackend::RestBackend(RestBackendOptions options)
    : options_(std::move(options)), client_(options_.http) {}

Capabilities RestBackend::capabilities() const {
    return {.connections = options_.connections, .remote = true};
}

std::string RestBackend::path_of(const FileName& name) const {
    if (name.type == FileType::config) return "config";
    return fmt::format("{}/{}", folder(name.type), name.id.hex());
}

std::string RestBackend::what(const FileName& name) const {
    return fmt::format("{}: {}", options_.location, name.display());
}

net::HttpResponse RestBackend::perform(const Ask& ask, const std::string& what) {
    net::HttpRequest request{.method = ask.method, .url = options_.base_url + ask.path};
    if (!options_.credentials.empty())
        request.headers.push_back(
            {"Authorization", "Basic " + to_base64(as_bytes(options_.credentials.reveal()))});
    if (ask.version2) request.headers.push_back({"Accept", std::string(kVersion2)});
    if (!ask.range.empty()) request.headers.push_back({"Range", ask.range});
    if (ask.method == "POST")
        request.headers.push_back({"Content-Type", "application/octet-stream"});
    request.body = ask.body;
    request.ask_first = ask.body.size() >= kAskFirst;
    request.response_limit = ask.limit;
    try {
        return client_.perform(request);
    } catch (const Error& error) {
        // What ssh has said names the place already.
        if (error.message().starts_with(options_.location)) throw;
        throw error.with_context(what);
    }
}

net::HttpResponse RestBackend::attempt(const std::string& method, const std::string& path,
                                       ByteView body) {
    return perform({.method = method, .path = path, .body = body}, options_.location);
}

net::HttpResponse RestBackend::expect(const Ask& ask, const std::string& what) {
    net::HttpResponse response = perform(ask, what);
    if (response.status != 200) throw error_of(response, what);
    return response;
}

void RestBackend::create() {
    if (exists({FileType::config, {}}))
        throw Error(ErrorKind::exists,
                    fmt::format("{}: a repository is there already", options_.location),
                    "Use it as it is, or choose another path.");
    expect({.method = "POST", .path = "?create=true"}, options_.location);
}

// Compares whole contents: a file of the right size may be damaged. Rare enough to be worth it.
bool RestBackend::same(const FileName& name, ByteView body) {
    net::HttpResponse stored =
        perform({.method = "GET", .path = path_of(name), .limit = body.size()}, what(name));
    if (stored.cut) return false;
    if (stored.status != 200) throw error_of(stored, what(name));
    return std::ranges::equal(stored.body, body);
}

void RestBackend::store(const FileName& name, ByteView body) {
    const std::string object = what(name);
    const Ask post{.method = "POST", .path = path_of(name), .body = body};
    net::HttpResponse response = perform(post, object);
    if (response.status == 200) return;
    Error refused = error_of(response, object);
    if (response.status != 403 && response.status != 409) throw refused;
    // Not allowed, or there already: from an earlier try whose answer was lost, or something else.
    if (!exists(name)) throw refused;
    if (same(name, body)) return;
    if (name.type == FileType::config)
        throw Error(ErrorKind::exists, fmt::format("{}: another one is there already", object),
                    "Somebody else has made a repository at this place.");
    remove(name);
    expect(post, object);
}

Bytes RestBackend::load(const FileName& name, uint64_t offset, size_t length) {
    const std::string object = what(name);
    Error short_read(ErrorKind::io, fmt::format("{}: short read: {} bytes at {} are not there",
                                                object, length, offset));
    if (length == 0 || offset > UINT64_MAX - length) {
        if (offset > size(name) || length != 0) throw short_read;
        return {};
    }
    net::HttpResponse response =
        perform({.method = "GET",
                 .path = path_of(name),
                 .range = fmt::format("bytes={}-{}", offset, offset + length - 1),
                 .limit = std::max<uint64_t>(length, 64 << 10)},
                object);
    if (response.status == 416) throw short_read;
    if (response.status == 200)
        throw Error(ErrorKind::unsupported,
                    fmt::format("{}: the server cannot send a part of a file", object),
                    "Is there a proxy in between that removes the Range header?");
    if (response.status != 206) throw error_of(response, object);
    if (response.cut || response.body.size() != length) throw short_read;
    return std::move(response.body);
}

Bytes RestBackend::load_all(const FileName& name, uint64_t limit) {
    net::HttpResponse response =
        perform({.method = "GET", .path = path_of(name), .limit = limit}, what(name));
    if (response.cut && response.status == 200)
        throw Error(ErrorKind::corrupt,
                    fmt::format("{}: {} bytes, more than the {} a valid file can have", what(name),
                                response.content_length().value_or(0), limit));
    if (response.status != 200) throw error_of(response, what(name));
    return std::move(response.body);
}

uint64_t RestBackend::size(const FileName& name) {
    net::HttpResponse response = expect({.method = "HEAD", .path = path_of(name)}, what(name));
    auto size = response.content_length();
    if (!size)
        throw Error(ErrorKind::network, fmt::format("{}: the server tells no size", what(name)));
    return *size;
}

void RestBackend::list(FileType type, const std::function<void(const FileInfo&)>& each) {
    const std::string object = fmt::format("{}: {}", options_.location, folder(type));
    net::HttpResponse response = perform({.method = "GET",
                                          .path = fmt::format("{}/", folder(type)),
                                          .version2 = true,
                                          .limit = kLongestListing},
                                         object);
    // rest-server says this of a folder that is missing, as of a whole repository.
    if (response.status == 404 && exists({FileType::config, {}})) return;
    if (response.status != 200) throw error_of(response, object);
    ListingReader reader(response.header("content-type") == kVersion2);
    std::string_view json = as_text(response.body);
    if (response.cut || !nlohmann::json::sax_parse(json.begin(), json.end(), &reader))
        throw Error(ErrorKind::network, fmt::format("{}: the listing is not valid", object),
                    "Is there a REST server for restic at this URL?");
    for (const Id& id : reader.names) {
        try {
            reader.found.push_back({id, size({type, id})});
        } catch (const Error& error) {  // removed by somebody since the listing
            if (error.kind() != ErrorKind::not_found) throw;
        }
    }
    for (const FileInfo& info : reader.found) each(info);
}

void RestBackend::remove(const FileName& name) {
    size(name);
    expect({.method = "DELETE", .path = path_of(name)}, what(name));
}

}  // namespace sevenfold::storage
