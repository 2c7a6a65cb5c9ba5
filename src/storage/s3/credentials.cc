#include "storage/s3/credentials.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/log.h"
#include "os/child_process.h"
#include "os/file.h"

namespace sevenfold::storage {
namespace {

constexpr uint64_t kLongestFile = 1 << 20;
// Credentials are read again this long before they end: a request may take a while.
constexpr std::chrono::minutes kRenewBefore{5};
constexpr char kHint[] =
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, write ~/.aws/credentials, or name a profile, "
    "a file or a command in `credentials`.";

std::string trimmed(std::string_view text) {
    size_t from = text.find_first_not_of(" \t\r");
    if (from == text.npos) return {};
    return std::string(text.substr(from, text.find_last_not_of(" \t\r") - from + 1));
}

std::string_view take_line(std::string_view& rest) {
    size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return line;
}

using Keys = std::map<std::string, std::string>;

// The keys of one section of a file like ~/.aws/credentials; in ~/.aws/config sections are called
// "profile x". Lines before any section belong to "default". Nothing when there is no such section.
std::optional<Keys> read_section(std::string_view text, const std::string& name) {
    std::string section = "default";
    std::optional<Keys> found;
    bool nested = false;  // indented lines belong to the key before them
    while (!text.empty()) {
        std::string_view raw = take_line(text);
        std::string line = trimmed(raw);
        if (line.empty() || line[0] == '#' || line[0] == ';') continue;
        if (line.starts_with('[')) {
            section = trimmed(std::string_view(line).substr(1, line.find(']') - 1));
            if (section.starts_with("profile ")) section = trimmed(section.substr(8));
            nested = false;
            if (section == name && !found) found.emplace();
            continue;
        }
        size_t equals = line.find('=');
        if (section != name || equals == line.npos) continue;
        if (nested && (raw[0] == ' ' || raw[0] == '\t')) continue;
        std::string value = trimmed(std::string_view(line).substr(equals + 1));
        nested = value.empty();
        if (!found) found.emplace();
        (*found)[trimmed(std::string_view(line).substr(0, equals))] = value;
    }
    return found;
}

std::string value_of(const Keys& keys, const char* name) {
    auto found = keys.find(name);
    return found == keys.end() ? "" : found->second;
}

std::optional<S3Credentials> credentials_of(const Keys& keys) {
    S3Credentials out{.access_key = value_of(keys, "aws_access_key_id"),
                      .secret_key = Secret(value_of(keys, "aws_secret_access_key")),
                      .session_token = Secret(value_of(keys, "aws_session_token"))};
    if (out.access_key.empty() || out.secret_key.empty()) return std::nullopt;
    return out;
}

// What holds characters that no key has would break the header or show in a message.
void check_keys(const S3Credentials& credentials, const std::string& where) {
    auto plain = [](std::string_view text) {
        return std::ranges::all_of(text, [](unsigned char c) { return c > ' ' && c < 0x7f; });
    };
    if (!plain(credentials.access_key) || !plain(credentials.secret_key.reveal()) ||
        !plain(credentials.session_token.reveal()))
        throw Error(
            ErrorKind::config,
            fmt::format("S3 credentials from {}: a key holds blanks or control characters", where));
}

std::optional<Bytes> read_if_there(const std::string& path) {
    if (path.empty()) return std::nullopt;
    try {
        return os::read_file(path, kLongestFile);
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::not_found) return std::nullopt;
        throw;
    }
}

struct Parsed {
    S3Credentials credentials;
    std::optional<Time> expires;
};

// {"AccessKeyId", "SecretAccessKey", "SessionToken" or "Token", "Expiration"}.
Parsed parse_json(std::string_view text, const std::string& where) {
    auto bad = [&](const char* why) {
        return Error(ErrorKind::config, fmt::format("S3 credentials from {}: {}", where, why));
    };
    nlohmann::json document = nlohmann::json::parse(text, nullptr, false);
    if (!document.is_object()) throw bad("not a JSON object");
    auto string_of = [&](const char* name) -> std::string {
        auto found = document.find(name);
        return found != document.end() && found->is_string() ? found->get<std::string>() : "";
    };
    std::string token = string_of("SessionToken");
    if (token.empty()) token = string_of("Token");
    Parsed out{.credentials = {.access_key = string_of("AccessKeyId"),
                               .secret_key = Secret(string_of("SecretAccessKey")),
                               .session_token = Secret(token)}};
    if (out.credentials.access_key.empty() || out.credentials.secret_key.empty())
        throw bad("no AccessKeyId and SecretAccessKey in it");
    if (std::string expires = string_of("Expiration"); !expires.empty()) {
        try {
            out.expires = parse_rfc3339(expires);
        } catch (const Error&) {
            throw bad("its Expiration is not a time");
        }
    }
    check_keys(out.credentials, where);
    return out;
}

Parsed parse_keys(std::string_view text, const std::string& where) {
    if (text.find_first_not_of(" \t\r\n") != text.npos &&
        text[text.find_first_not_of(" \t\r\n")] == '{')
        return parse_json(text, where);
    auto keys = read_section(text, "default");
    auto found = keys ? credentials_of(*keys) : std::nullopt;
    if (!found)
        throw Error(ErrorKind::config,
                    fmt::format("S3 credentials from {}: no aws_access_key_id and "
                                "aws_secret_access_key in it",
                                where),
                    "Write two lines: aws_access_key_id = …, aws_secret_access_key = ….");
    check_keys(*found, where);
    return {*found, std::nullopt};
}

}  // namespace

void check_s3_credential_source(const std::string& source) {
    auto has = [&](std::string_view kind) {
        return source.starts_with(kind) && source.size() > kind.size();
    };
    if (source.empty() || source == "environment" || source == "instance" ||
        source == "anonymous" || has("profile:") || has("file:") || has("command:"))
        return;
    // Perhaps it is a key: not repeated.
    throw Error(
        ErrorKind::config, "the S3 credentials' source is not one that is known",
        "Use environment, profile:NAME, file:PATH, command:COMMAND, instance or anonymous.");
}

S3CredentialSource::S3CredentialSource(S3CredentialOptions options) : options_(std::move(options)) {
    check_s3_credential_source(options_.source);
}

std::string S3CredentialSource::variable(const char* name) const {
    const char* value = options_.environment ? options_.environment(name) : std::getenv(name);
    return value == nullptr ? "" : value;
}

std::string S3CredentialSource::profile_name() const {
    if (options_.source.starts_with("profile:")) return options_.source.substr(8);
    std::string name = variable("AWS_PROFILE");
    return name.empty() ? "default" : name;
}

std::optional<S3CredentialSource::Found> S3CredentialSource::from_environment() const {
    S3Credentials found{.access_key = variable("AWS_ACCESS_KEY_ID"),
                        .secret_key = Secret(variable("AWS_SECRET_ACCESS_KEY")),
                        .session_token = Secret(variable("AWS_SESSION_TOKEN"))};
    if (found.access_key.empty() && found.secret_key.empty()) return std::nullopt;
    if (found.access_key.empty() || found.secret_key.empty())
        throw Error(
            ErrorKind::config,
            fmt::format("{} is set, but {} is not",
                        found.access_key.empty() ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID",
                        found.access_key.empty() ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY"),
            "Set both.");
    check_keys(found, "the environment");
    return Found{found, std::nullopt};
}

// From ~/.aws/config, then ~/.aws/credentials, whose keys win.
std::optional<std::map<std::string, std::string>> S3CredentialSource::read_profile(
    const std::string& name) const {
    std::string home = variable("HOME");
    std::optional<Keys> out;
    for (auto [override_name, file] :
         {std::pair{"AWS_CONFIG_FILE", "/.aws/config"},
          std::pair{"AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials"}}) {
        std::string path = variable(override_name);
        if (path.empty() && !home.empty()) path = home + file;
        auto bytes = read_if_there(path);
        if (!bytes) continue;
        auto keys = read_section(as_text(*bytes), name);
        wipe(bytes->data(), bytes->size());
        if (!keys) continue;
        if (!out) out.emplace();
        for (auto& [key, value] : *keys) (*out)[key] = value;
    }
    return out;
}

std::optional<S3CredentialSource::Found> S3CredentialSource::from_profile(
    const std::string& name) const {
    auto profile = read_profile(name);
    if (!profile) return std::nullopt;
    const std::string where = fmt::format("the profile {}", name);
    if (auto found = credentials_of(*profile)) {
        check_keys(*found, where);
        return Found{*found, std::nullopt};
    }
    if (std::string command = value_of(*profile, "credential_process"); !command.empty())
        return from_command(command);
    for (const char* other : {"role_arn", "sso_session", "sso_start_url", "source_profile"})
        if (!value_of(*profile, other).empty())
            throw Error(
                ErrorKind::unsupported,
                fmt::format("{} of ~/.aws needs {}, which only AWS's tools know", where, other),
                "Use credentials = \"command:aws configure export-credentials\".");
    return std::nullopt;
}

S3CredentialSource::Found S3CredentialSource::from_file(const std::string& path) const {
    Bytes bytes;
    try {
        bytes = os::read_file(path, kLongestFile);
    } catch (const Error& error) {
        throw Error(ErrorKind::config, fmt::format("S3 credentials: {}", error.message()),
                    "The file must hold aws_access_key_id = … and aws_secret_access_key = ….");
    }
    Parsed parsed = parse_keys(as_text(bytes), path);
    wipe(bytes.data(), bytes.size());
    return {parsed.credentials, parsed.expires};
}

S3CredentialSource::Found S3CredentialSource::from_command(const std::string& command) const {
    os::ChildOptions child;
    child.argv = {"/bin/sh", "-c", command};
    child.errors = os::ChildOptions::Stream::inherit;
    os::CommandOutput result = os::run_command(child, {}, std::chrono::minutes(5), kLongestFile);
    if (!result.status.ok()) {
        wipe(result.output.data(), result.output.size());
        throw Error(
            ErrorKind::config,
            fmt::format("the command for S3 credentials failed ({})", result.status.display()),
            "Run it by hand; it must print the keys and end with exit code 0.");
    }
    Parsed parsed = parse_keys(as_text(result.output), "the command");
    wipe(result.output.data(), result.output.size());
    return {parsed.credentials, parsed.expires};
}

// The role of an EC2 instance, by IMDSv2. With `only`, failures are errors; else there may well be
// no such service.
std::optional<S3CredentialSource::Found> S3CredentialSource::from_instance(bool only) const {
    if (!only && variable("AWS_EC2_METADATA_DISABLED") == "true") return std::nullopt;
    std::string base = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    if (base.empty()) base = "http://169.254.169.254";
    while (base.ends_with('/')) base.pop_back();
    net::HttpClient client({.connect_timeout = std::chrono::seconds(1),
                            .stall_timeout = std::chrono::seconds(5),
                            .stop = options_.stop,
                            .use_proxy = false});
    auto ask = [&](std::string method, std::string_view path, net::HttpHeader header) {
        net::HttpResponse response = client.perform({.method = std::move(method),
                                                     .url = fmt::format("{}{}", base, path),
                                                     .headers = {std::move(header)},
                                                     .response_limit = kLongestFile});
        if (response.status != 200 || response.cut)
            throw Error(response.status >= 500 ? ErrorKind::network : ErrorKind::config,
                        response.status == 404 ? std::string("it has no role")
                                               : fmt::format("HTTP {}", response.status));
        std::string text(as_text(response.body));
        wipe(response.body.data(), response.body.size());
        return text;
    };
    try {
        constexpr std::string_view kRoles = "/latest/meta-data/iam/security-credentials/";
        std::string token =
            ask("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds", "21600"});
        net::HttpHeader proof{"X-aws-ec2-metadata-token", trimmed(token)};
        if (proof.value.find_first_of("\r\n") != std::string::npos)
            throw Error(ErrorKind::config, "its token is not valid");
        std::string role = ask("GET", kRoles, proof);
        role = trimmed(role.substr(0, role.find('\n')));
        if (role.empty()) throw Error(ErrorKind::config, "it has no role");
        std::string document =
            ask("GET", fmt::format("{}{}", kRoles, net::percent_encode(role)), proof);
        Parsed parsed = parse_json(document, "the machine's role");
        wipe(document.data(), document.size());
        return Found{parsed.credentials, parsed.expires};
    } catch (const Error& error) {
        if (only || error.kind() == ErrorKind::interrupted)
            throw error.with_context("S3 credentials from the machine's role");
        log_debug("no S3 credentials from the machine's role: {}", error.message());
        return std::nullopt;
    }
}

S3CredentialSource::Found S3CredentialSource::find() const {
    const std::string& source = options_.source;
    if (source.starts_with("file:")) return from_file(source.substr(5));
    if (source.starts_with("command:")) return from_command(source.substr(8));
    if (source == "instance") return *from_instance(true);
    if (source.empty() || source == "environment")
        if (auto found = from_environment()) return *found;
    if (source == "environment")
        throw Error(ErrorKind::config, "no S3 credentials in the environment",
                    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.");
    const std::string name = profile_name();
    if (auto found = from_profile(name)) return *found;
    if (!source.empty() || !variable("AWS_PROFILE").empty())
        throw Error(ErrorKind::config,
                    fmt::format("no S3 credentials in the profile {} of ~/.aws", name), kHint);
    if (auto found = from_instance(false)) return *found;
    throw Error(ErrorKind::config, "no S3 credentials found", kHint);
}

std::shared_ptr<const S3Credentials> S3CredentialSource::get() {
    if (options_.source == "anonymous") return nullptr;
    std::lock_guard lock(mutex_);
    auto now = options_.clock->now();
    if (!current_ || (expires_ && expires_->since(now) < kRenewBefore)) {
        Found found = find();
        current_ = std::make_shared<const S3Credentials>(std::move(found.credentials));
        expires_ = found.expires;
    }
    return current_;
}

void S3CredentialSource::renew(const S3Credentials& expired) {
    std::lock_guard lock(mutex_);
    // Another thread may have done so already.
    if (current_ && current_->access_key == expired.access_key &&
        current_->session_token.reveal() == expired.session_token.reveal()) {
        current_.reset();
        expires_.reset();
    }
}

std::string S3CredentialSource::region() {
    for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"})
        if (std::string region = variable(name); !region.empty()) return region;
    if (!options_.source.empty() && !options_.source.starts_with("profile:")) return {};
    auto profile = read_profile(profile_name());
    return profile ? value_of(*profile, "region") : "";
}

}  // namespace sevenfold::storage
