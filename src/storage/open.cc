#include "storage/open.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "crypto/random.h"
#include "net/ssh_command.h"
#include "os/child_process.h"
#include "storage/limit_backend.h"
#include "storage/local/local_backend.h"
#include "storage/past_backend.h"
#include "storage/rest/rest_location.h"
#include "storage/retry_backend.h"
#include "storage/s3/s3_location.h"
#include "storage/sftp/sftp_backend.h"

namespace sevenfold::storage {
namespace {

constexpr std::string_view kLaterSchemes[] = {"b2", "azure", "gs", "swift", "rclone"};

[[noreturn]] void bad_location(std::string_view url, std::string_view why) {
    throw Error(ErrorKind::config, fmt::format("repository {}: {}", redact_url(url), why),
                "Write a folder, sftp:user@host:/dir, ssh:user@host:/dir, "
                "rest:https://host/path/ or s3:https://host/bucket/prefix.");
}

// Removes doubled slashes, "." parts and a trailing slash; ".." stays, because what it means
// depends on links of the other side.
std::string clean_path(std::string_view path) {
    bool absolute = path.starts_with('/');
    std::string out;
    while (!path.empty()) {
        size_t slash = std::min(path.find('/'), path.size());
        std::string_view part = path.substr(0, slash);
        path.remove_prefix(std::min(slash + 1, path.size()));
        if (part.empty() || part == ".") continue;
        if (!out.empty()) out += '/';
        out += part;
    }
    if (absolute) return "/" + out;
    if (out.starts_with('~')) return "./" + out;  // without it, it would read as a home folder
    return out.empty() ? "." : out;
}

// The remote side is given to ssh as arguments: nothing in it may look like an option.
void check_host_and_user(std::string_view url, const Location& location) {
    auto plain = [](std::string_view text) {
        return !text.starts_with('-') && std::ranges::all_of(text, [](unsigned char c) {
            return c > ' ' && c != 0x7f && c != '/' && c != '\'' && c != '"' && c != '[' &&
                   c != ']';
        });
    };
    if (location.host.empty()) bad_location(url, "no host");
    if (!plain(location.host)) bad_location(url, "the host is not valid");
    if (!plain(location.user)) bad_location(url, "the user is not valid");
    if (location.user.find(':') != std::string::npos)
        bad_location(url, "ssh takes no password from a URL; use a key");
}

// Takes "user@" off the front.
void split_user(std::string_view& rest, Location& location) {
    size_t at = rest.rfind('@');
    if (at == rest.npos) return;
    location.user = rest.substr(0, at);
    rest.remove_prefix(at + 1);
}

void set_sftp_path(std::string_view url, std::string_view path, Location& location) {
    if (path.empty()) bad_location(url, "no folder after the host");
    if (path.starts_with('~'))
        bad_location(url, "servers do not expand ~; a relative folder starts at the login folder");
    location.path = clean_path(path);
}

// After "sftp://" or "ssh://": authority, then a path whose first slash only separates.
Location parse_sftp_url(std::string_view url, std::string_view rest, Location::Driver driver) {
    Location location{.driver = driver};
    size_t slash = rest.find('/');
    if (slash == rest.npos) bad_location(url, "no folder after the host");
    std::string_view authority = rest.substr(0, slash);
    set_sftp_path(url, rest.substr(slash + 1), location);
    split_user(authority, location);
    size_t host_end = authority.starts_with('[') ? authority.find(']') : authority.find(':');
    if (authority.starts_with('[')) {
        if (host_end == authority.npos) bad_location(url, "the host is not valid");
        location.host = authority.substr(1, host_end - 1);
        authority.remove_prefix(host_end + 1);
    } else {
        host_end = std::min(host_end, authority.size());
        location.host = authority.substr(0, host_end);
        authority.remove_prefix(host_end);
    }
    if (!authority.empty()) {
        const char* end = authority.data() + authority.size();
        auto [stop, failure] = std::from_chars(authority.data() + 1, end, location.port);
        if (authority[0] != ':' || failure != std::errc{} || stop != end || location.port == 0)
            bad_location(url, "the port is not valid");
    }
    check_host_and_user(url, location);
    return location;
}

// After "sftp:" or "ssh:": user@host:path, the host perhaps in brackets.
Location parse_sftp_short(std::string_view url, std::string_view rest, Location::Driver driver) {
    Location location{.driver = driver};
    size_t bracket = rest.find('[');
    size_t colon = rest.find(':');
    if (bracket != rest.npos && bracket < colon) {
        size_t close = rest.find(']', bracket);
        colon = close == rest.npos ? rest.npos : rest.find(':', close);
    }
    if (colon == rest.npos) bad_location(url, "no ':' and folder after the host");
    set_sftp_path(url, rest.substr(colon + 1), location);
    std::string_view authority = rest.substr(0, colon);
    // "user:password@host:/dir" would otherwise become the host "user" and show the password.
    std::string_view first_part = rest.substr(colon + 1);
    first_part = first_part.substr(0, first_part.find('/'));
    size_t at = first_part.find('@');
    if (at != first_part.npos && first_part.find(':', at) != first_part.npos)
        bad_location(url, "ssh takes no password from a URL; use a key");
    split_user(authority, location);
    if (authority.starts_with('[') && authority.ends_with(']'))
        authority = authority.substr(1, authority.size() - 2);
    location.host = authority;
    check_host_and_user(url, location);
    return location;
}

}  // namespace

std::string redact_url(std::string_view url) {
    size_t start = url.find("://");
    start = start == url.npos ? std::min(url.find(':'), url.size() - 1) + 1 : start + 3;
    size_t at = url.rfind('@');
    size_t colon = url.find(':', start);
    if (at == url.npos || colon == url.npos || colon > at) return std::string(url);
    return fmt::format("{}:***{}", url.substr(0, colon), url.substr(at));
}

bool Location::operator==(const Location& other) const {
    return driver == other.driver && path == other.path && host == other.host &&
           user == other.user && port == other.port && bucket == other.bucket && tls == other.tls;
}

std::string Location::display() const {
    if (driver == Driver::local) {
        bool plain = path.starts_with('/') || path.starts_with("./") || path.starts_with("../") ||
                     path.find(':') == path.npos;
        return plain ? path : "local:" + path;
    }
    if (driver == Driver::s3) return display_s3_location(*this);
    if (driver == Driver::rest) return display_rest_location(*this);
    std::string_view scheme = driver == Driver::ssh ? "ssh" : "sftp";
    std::string at = user.empty() ? host : user + "@" + host;
    bool bracket = host.find(':') != host.npos;
    // In the short form this would look like a password.
    bool at_in_path = path.substr(0, path.find('/')).find('@') != path.npos;
    if (port == 0 && !bracket && !at_in_path) return fmt::format("{}:{}:{}", scheme, at, path);
    std::string shown_host = bracket ? "[" + host + "]" : host;
    return fmt::format("{}://{}{}{}/{}", scheme, user.empty() ? "" : user + "@", shown_host,
                       port == 0 ? "" : fmt::format(":{}", port), path);
}

Location parse_location(std::string_view url) {
    if (url.empty()) bad_location(url, "the location is empty");
    if (url.find('\0') != url.npos) bad_location("", "the location contains a zero byte");
    if (url.starts_with("local:")) {
        if (url.size() == 6) bad_location(url, "no folder");
        return {.path = std::string(url.substr(6))};
    }
    if (url.starts_with('/') || url.starts_with("./") || url.starts_with("../"))
        return {.path = std::string(url)};
    using enum Location::Driver;
    if (url.starts_with("sftp://")) return parse_sftp_url(url, url.substr(7), sftp);
    if (url.starts_with("sftp:")) return parse_sftp_short(url, url.substr(5), sftp);
    if (url.starts_with("ssh://")) return parse_sftp_url(url, url.substr(6), ssh);
    if (url.starts_with("ssh:")) return parse_sftp_short(url, url.substr(4), ssh);
    if (url.starts_with("s3:") || url.starts_with("rest:")) {
        try {
            return url.starts_with("s3:") ? parse_s3_location(url) : parse_rest_location(url);
        } catch (const Error& error) {
            throw error.with_context(fmt::format("repository {}", redact_url(url)));
        }
    }
    size_t colon = url.find(':');
    if (colon == url.npos) return {.path = std::string(url)};
    std::string_view scheme = url.substr(0, colon);
    if (std::ranges::find(kLaterSchemes, scheme) != std::end(kLaterSchemes))
        throw Error(
            ErrorKind::unsupported,
            fmt::format("repository {}: this build cannot use {} yet", redact_url(url), scheme),
            "Use a local folder, sftp:user@host:/dir, ssh:user@host:/dir, rest:https://host/path/ "
            "or "
            "s3:https://host/bucket/prefix.");
    throw Error(ErrorKind::config,
                fmt::format("repository {}: unknown scheme {}", redact_url(url), scheme),
                "Put local: in front if this is a local folder.");
}

SftpConnectionOptions sftp_connection_options(const Location& location,
                                              const BackendOptions& options, const Limits& limits) {
    SftpConnectionOptions connection{.command = {},
                                     .location = location.display(),
                                     .may_ask = options.ssh_may_ask,
                                     .stall_timeout = options.stall_timeout,
                                     .on_server_time = options.on_server_time,
                                     .stop = options.stop,
                                     .upload = limits.upload,
                                     .download = limits.download};
    connection.command =
        options.sftp_command.empty()
            ? net::ssh_subsystem_command({location.host, location.user, location.port}, "sftp",
                                         options.ssh_args, options.ssh_may_ask)
            : os::split_command(options.sftp_command);
    return connection;
}

std::unique_ptr<Backend> open_backend(const Location& location, const BackendOptions& options) {
    Limits limits{.connections = options.connections, .upload = {}, .download = {}};
    if (options.upload_limit != 0)
        limits.upload = std::make_shared<TokenBucket>(options.upload_limit);
    if (options.download_limit != 0)
        limits.download = std::make_shared<TokenBucket>(options.download_limit);
    std::unique_ptr<Backend> backend;
    if (location.driver == Location::Driver::local) {
        backend = std::make_unique<LocalBackend>(location.path);
    } else {
        // These shape their traffic piece by piece, which is smoother than file by file.
        switch (location.driver) {
            case Location::Driver::sftp:
                backend = std::make_unique<SftpBackend>(
                    location.path, sftp_connection_options(location, options, limits));
                break;
            case Location::Driver::s3:
                backend = open_s3(location, options, limits);
                break;
            default:
                backend = open_rest(location, options, limits);
        }
        limits.upload = limits.download = nullptr;
    }
    if (options.connections != 0 || limits.upload || limits.download)
        backend = std::make_unique<LimitBackend>(std::move(backend), limits);
    if (options.retry_for.count() > 0) {
        // Operations that wait to be tried again must not hold a connection: retry is outermost.
        backend = std::make_unique<RetryBackend>(std::move(backend),
                                                 RetryOptions{.total = options.retry_for,
                                                              .reach_within = options.reach_within,
                                                              .seed = crypto::random_u64(),
                                                              .stop = options.stop});
    }
    if (options.as_of) backend = std::make_unique<PastBackend>(std::move(backend), *options.as_of);
    return backend;
}

}  // namespace sevenfold::storage
