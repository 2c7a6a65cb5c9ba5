// AWS Signature Version 4, by which S3 servers know who asks and that nobody changed the request:
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/secret.h"
#include "core/time.h"
#include "net/http_client.h"

namespace sevenfold::storage {

struct S3Credentials {
    std::string access_key;
    Secret secret_key;
    Secret session_token;  // empty: lasting credentials
};

// What is signed of a request. Path and query are given as they are meant, not escaped.
struct SignedRequest {
    std::string method;
    std::string host;  // with the port, unless it is the scheme's own: as the Host header has it
    std::string path;  // "/bucket/key"
    std::vector<std::pair<std::string, std::string>> query;
    std::vector<net::HttpHeader> headers;  // besides those that sign_headers() adds
    std::string payload_sha256;            // in hex, or kUnsignedPayload

    // "/bucket/key?a=b", escaped the way it is signed.
    std::string target() const;
};

inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

struct SigningScope {
    std::string region, service = "s3";
    Time now;
};

// The headers to send: those of the request, then x-amz-content-sha256 (for S3 only), x-amz-date,
// x-amz-security-token where there is one, and authorization. All of them and the host are signed.
std::vector<net::HttpHeader> sign_headers(const SignedRequest& request, const SigningScope& scope,
                                          const S3Credentials& credentials);

// A target that carries its signature and is valid for so many seconds (at most 7 days). Whoever
// has it may do what it says: treat it as a secret.
std::string presign(const SignedRequest& request, const SigningScope& scope,
                    const S3Credentials& credentials, uint64_t valid_seconds);

}  // namespace sevenfold::storage
