#include "storage/rest/rest_location.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "core/error.h"
#include "net/ssh_command.h"
#include "os/child_process.h"
#include "os/file.h"
#include "storage/rest/rest_backend.h"
#include "storage/rest/ssh_channel.h"
#include "storage/s3/s3_location.h"

namespace sevenfold::storage {
namespace {

[[noreturn]] void bad(std::string_view why) {
    throw Error(ErrorKind::config, std::string(why), "Write rest:https://user@host:port/path/.");
}

std::string decoded(std::string_view text, std::string_view what) {
    auto plain = net::percent_decode(text);
    if (!plain || plain->find_first_of(std::string_view("\0\r\n", 3)) != std::string::npos)
        bad(fmt::format("the {} is not valid", what));
    return *plain;
}

// host, host:port, [address]:port
void parse_authority(std::string_view authority, Location& location) {
    size_t end = authority.find(':');
    if (authority.starts_with('[')) {
        size_t close = authority.find(']');
        if (close == authority.npos) bad("the host is not valid");
        location.host = authority.substr(1, close - 1);
        end = close + 1;
    } else {
        location.host = authority.substr(0, end);
    }
    if (location.host.empty()) bad("no host");
    bool address = authority.starts_with('[');
    if (location.host.starts_with('-') || !std::ranges::all_of(location.host, [&](char c) {
            return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' ||
                   c == '_' || (address && (c == ':' || c == '%'));
        }))
        bad("the host is not valid");
    std::string_view rest = end < authority.size() ? authority.substr(end) : std::string_view();
    if (rest.empty()) return;
    const char* stop = rest.data() + rest.size();
    auto [at, failure] = std::from_chars(rest.data() + 1, stop, location.port);
    if (rest[0] != ':' || failure != std::errc{} || at != stop || location.port == 0)
        bad("the port is not valid");
}

std::string parse_path(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        size_t slash = std::min(text.find('/'), text.size());
        std::string part = decoded(text.substr(0, slash), "path");
        if (text.substr(0, slash).find_first_of("?#") != text.npos)
            bad("the path holds a character that URLs give another meaning");
        text.remove_prefix(std::min(slash + 1, text.size()));
        if (part.empty() || part == ".") continue;
        if (part == "..") bad("no .. in a path");
        if (part.find('/') != part.npos) bad("the path is not valid");
        if (!out.empty()) out += '/';
        out += part;
    }
    return out;
}

// "user:password", from where the options say.
Secret read_credentials(const std::string& source) {
    Bytes text;
    if (source.starts_with("file:")) {
        text = os::read_file(source.substr(5), 64 << 10);
    } else if (source.starts_with("command:")) {
        auto done = os::run_command({.argv = {"/bin/sh", "-c", source.substr(8)}}, {},
                                    std::chrono::minutes(2), 64 << 10);
        if (!done.status.ok())
            throw Error(ErrorKind::config,
                        fmt::format("the command for the REST server's credentials failed: {}",
                                    done.status.display()));
        text = std::move(done.output);
    } else if (!source.empty() && source != "environment") {
        throw Error(ErrorKind::config, "the credentials of a REST server cannot come from there",
                    "Use environment, file:PATH or command:COMMAND.");
    } else {
        for (std::string prefix : {"SEVENFOLD_REST_", "RESTIC_REST_"}) {
            const char* user = std::getenv((prefix + "USERNAME").c_str());
            const char* password = std::getenv((prefix + "PASSWORD").c_str());
            if (user != nullptr && password != nullptr && *user != 0)
                return Secret(std::string(user) + ":" + password);
        }
        return {};
    }
    std::string_view line = as_text(text);
    Secret secret(line.substr(0, line.find_first_of("\r\n")));
    wipe(text.data(), text.size());
    if (secret.reveal().find(':') == std::string_view::npos)
        throw Error(ErrorKind::config, "the credentials of the REST server are not user:password");
    return secret;
}

// What the far shell is given; only a path that starts here can be quoted wrongly, and there is
// none: the folder goes into the requests.
std::string far_command(const Location& location, const BackendOptions& options) {
    return fmt::format("{} serve --stdio --path {}",
                       options.ssh_program.empty() ? "sevenfold" : options.ssh_program,
                       location.path.starts_with('/') ? "/" : ".");
}

}  // namespace

Location parse_rest_location(std::string_view url) {
    Location location{.driver = Location::Driver::rest};
    std::string_view rest = url.substr(5);
    if (rest.starts_with("http://")) {
        location.tls = false;
        rest.remove_prefix(7);
    } else if (rest.starts_with("https://")) {
        rest.remove_prefix(8);
    } else {
        bad("it does not go on with https:// or http://");
    }
    size_t slash = std::min(rest.find('/'), rest.size());
    std::string_view authority = rest.substr(0, slash);
    if (size_t at = authority.rfind('@'); at != authority.npos) {
        std::string_view user = authority.substr(0, at);
        size_t colon = std::min(user.find(':'), user.size());
        location.user = decoded(user.substr(0, colon), "user");
        if (colon < user.size())
            location.password = Secret(decoded(user.substr(colon + 1), "password"));
        if (location.user.empty()) bad("the user is empty");
        authority.remove_prefix(at + 1);
    }
    parse_authority(authority, location);
    location.path = parse_path(rest.substr(std::min(slash + 1, rest.size())));
    return location;
}

namespace {

// Without credentials; ends with a slash.
std::string base_url(const Location& location) {
    bool bracket = location.host.find(':') != std::string::npos;
    std::string path = net::percent_encode(location.path, "/:@$&+,;=!*'()");
    while (path.starts_with('/')) path.erase(0, 1);
    if (path.starts_with("./")) path.erase(0, 2);
    return fmt::format("{}://{}{}/{}{}", location.tls ? "https" : "http",
                       bracket ? "[" + location.host + "]" : location.host,
                       location.port == 0 ? "" : fmt::format(":{}", location.port), path,
                       path.empty() ? "" : "/");
}

}  // namespace

std::string display_rest_location(const Location& location) {
    std::string url = base_url(location);
    if (!location.user.empty())
        url.insert(url.find("://") + 3, net::percent_encode(location.user) + "@");
    return "rest:" + url;
}

RestBackendOptions rest_backend_options(const Location& location, const BackendOptions& options,
                                        const Limits& limits) {
    RestBackendOptions rest{.location = location.display()};
    rest.http.ca_file = options.ca_file;
    rest.http.stall_timeout = options.stall_timeout;
    rest.http.stop = options.stop;
    rest.http.on_answer = time_teller(options);
    if (limits.upload)
        rest.http.pace_upload = [bucket = limits.upload](size_t n) { bucket->take(n); };
    if (limits.download)
        rest.http.pace_download = [bucket = limits.download](size_t n) { bucket->take(n); };
    if (location.driver == Location::Driver::ssh) {
        std::vector<std::string> argv = net::ssh_program_command(
            {location.host, location.user, location.port}, far_command(location, options),
            options.ssh_args, options.ssh_may_ask);
        rest.http.connect = [argv, place = rest.location,
                             may_ask = options.ssh_may_ask](int socket) {
            return std::make_unique<SshChannel>(argv, socket, place, may_ask);
        };
        rest.connections = 3;  // each is an ssh of its own
        Location here{
            .path = location.path == "." ? "" : location.path, .host = "127.0.0.1", .tls = false};
        rest.base_url = base_url(here);
        return rest;
    }
    rest.base_url = base_url(location);
    if (!location.password.empty() || !location.user.empty())
        rest.credentials = Secret(fmt::format("{}:{}", location.user, location.password.reveal()));
    if (location.password.empty()) {
        Secret found = read_credentials(options.rest_credentials);
        // The environment's password belongs to its user.
        bool same = location.user.empty() ||
                    found.reveal().substr(0, found.reveal().find(':')) == location.user;
        if (!found.empty() && same) rest.credentials = std::move(found);
    }
    return rest;
}

std::unique_ptr<Backend> open_rest(const Location& location, const BackendOptions& options,
                                   const Limits& limits) {
    return std::make_unique<RestBackend>(rest_backend_options(location, options, limits));
}

}  // namespace sevenfold::storage
