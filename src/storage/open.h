// Where a repository lies, as people write it, and the backend for it.
//
// restic's forms: "/dir", "local:dir", "sftp:user@host:/dir", "sftp://user@host:port//dir" (a path
// with a single slash after the host is relative to the login folder, as is "sftp:host:dir"),
// "s3:https://host[:port]/bucket/prefix" (see s3/s3_location.h), "rest:https://user:password@host/"
// and "ssh:user@host:/dir", written as sftp: is (see rest/rest_location.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/secret.h"
#include "core/time.h"
#include "storage/backend.h"

namespace sevenfold::storage {

struct Location {
    enum class Driver { local, sftp, s3, rest, ssh };

    Driver driver = Driver::local;
    // local: as written; sftp and ssh: absolute, or relative to the login folder; s3 and rest: the
    // prefix without slashes at its ends, perhaps empty.
    std::string path;
    std::string host;   // all but local; an IPv6 address without brackets
    std::string user;   // sftp and ssh: empty: ssh decides; rest: empty: none, or the environment's
    uint16_t port = 0;  // 0: ssh decides, or the scheme's own
    std::string bucket;  // s3
    bool tls = true;     // s3 and rest
    Secret password{};   // rest

    // But for the password.
    bool operator==(const Location& other) const;
    // A URL that parses back to the same location, without its password.
    std::string display() const;
};

// Throws Error{config} for what is not a location, Error{unsupported} for restic's other schemes.
// Errors never repeat a password.
Location parse_location(std::string_view url);

// The URL with a password in it replaced by ***; for messages about any URL.
std::string redact_url(std::string_view url);

// For s3: locations.
struct S3Options {
    std::string region;         // empty: found out
    std::string credentials;    // where the keys come from, see s3/credentials.h
    std::string storage_class;  // as parse_storage_classes() takes it; empty: the bucket's own
    std::string bucket_lookup;  // "auto", "dns" (bucket.host) or "path" (host/bucket); empty: auto
    std::string lock;           // as parse_retention_rule() takes it; empty: nothing is locked
};

struct BackendOptions {
    uint64_t upload_limit = 0;    // bytes a second, 0: none
    uint64_t download_limit = 0;  // bytes a second, 0: none
    unsigned connections = 0;     // operations at once, 0: the backend's own number
    // How long a failing operation is tried again, 0: never.
    std::chrono::nanoseconds retry_for = std::chrono::minutes(15);
    // Likewise, as long as no operation has succeeded yet.
    std::chrono::nanoseconds reach_within = std::chrono::seconds(20);
    std::vector<std::string> ssh_args;  // more arguments for ssh, e.g. {"-i", "key"}
    // Replaces the whole ssh command when not empty; words are split and quoted as restic's
    // sftp.command.
    std::string sftp_command;
    bool ssh_may_ask = false;  // ssh may ask for a password or passphrase on the terminal
    std::string ca_file;       // https: certificates to trust instead of the system's
    S3Options s3;
    // For rest: locations without a password: "file:PATH" (its first line) or "command:COMMAND"
    // (what it prints) is "user:password"; "environment" or empty: RESTIC_REST_USERNAME and
    // RESTIC_REST_PASSWORD, or the same with SEVENFOLD_.
    std::string rest_credentials;
    // For ssh: locations, the program at the far end; empty: "sevenfold".
    std::string ssh_program;
    // The place as it was then, read-only (past_backend.h); needs a backend with versions.
    std::optional<Time> as_of;
    std::stop_token stop;  // ends pauses between retries; what has begun may still be finished
    // Told the time by the server's clock, cut to whole seconds, whenever the server shows it: with
    // HTTP's answers, and with each file that is stored over SFTP (which then costs a request
    // more). Called on the threads of the operations.
    std::function<void(const Time&)> on_server_time;
    // No progress of a request for so long: the connection is given up.
    std::chrono::nanoseconds stall_timeout = std::chrono::seconds(60);
};

// The driver, wrapped so that it honours the limits and retries temporary failures. Opens nothing
// yet: the first operation connects. Throws Error{config} for options that cannot be.
std::unique_ptr<Backend> open_backend(const Location& location, const BackendOptions& options = {});

}  // namespace sevenfold::storage
