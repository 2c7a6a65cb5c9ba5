// Where the keys for an S3 server come from.
//
// "" (the usual order): the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
//     AWS_SESSION_TOKEN), the profile AWS_PROFILE or "default" of ~/.aws/credentials and
//     ~/.aws/config, the role of the machine (IMDSv2)
// "environment", "profile:NAME", "instance": that one alone
// "file:PATH": a file written like ~/.aws/credentials; the profile "default", or lines without one
// "command:COMMAND": run by /bin/sh; prints the same, or JSON as AWS's credential_process does
// "anonymous": requests are not signed
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "core/time.h"
#include "storage/s3/sigv4.h"

namespace sevenfold::storage {

struct S3CredentialOptions {
    std::string source;
    std::function<const char*(const char*)> environment;  // empty: std::getenv
    const Clock* clock = &Clock::system();
    std::stop_token stop;
};

// Throws Error{config} for a source that is none of the above.
void check_s3_credential_source(const std::string& source);

// Thread-safe. Credentials are read when they are first needed, and again shortly before they
// expire.
class S3CredentialSource {
  public:
    explicit S3CredentialSource(S3CredentialOptions options);

    // Null: requests are not to be signed. Throws Error{config} when there are none or they cannot
    // be read; network and timeout when the machine's role cannot be asked for. No message holds a
    // secret.
    std::shared_ptr<const S3Credentials> get();
    // The server says that these are not valid any more: get() reads anew.
    void renew(const S3Credentials& expired);

    // The region that the environment or the profile names; empty: none.
    std::string region();

  private:
    struct Found {
        S3Credentials credentials;
        std::optional<Time> expires;
    };

    std::string variable(const char* name) const;
    std::string profile_name() const;
    std::optional<Found> from_environment() const;
    std::optional<std::map<std::string, std::string>> read_profile(const std::string& name) const;
    std::optional<Found> from_profile(const std::string& name) const;
    Found from_file(const std::string& path) const;
    Found from_command(const std::string& command) const;
    std::optional<Found> from_instance(bool only) const;
    Found find() const;

    const S3CredentialOptions options_;
    std::mutex mutex_;  // held while reading: the others wait for the same answer
    std::shared_ptr<const S3Credentials> current_;
    std::optional<Time> expires_;
};

}  // namespace sevenfold::storage
