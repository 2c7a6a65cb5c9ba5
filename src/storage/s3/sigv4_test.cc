#include "storage/s3/sigv4.h"

#include <gmock/gmock.h>

#include "crypto/sha256.h"

namespace sevenfold::storage {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

// The examples of "Signature Calculations for the Authorization Header" and of "Authenticating
// Requests: Using Query Parameters" in the S3 API reference.
const S3Credentials kExample{.access_key = "AKIAIOSFODNN7EXAMPLE",
                             .secret_key = Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")};
const SigningScope kScope{.region = "us-east-1", .now = parse_rfc3339("2013-05-24T00:00:00Z")};
const std::string kEmptyBody = crypto::sha256({}).hex();
constexpr char kHost[] = "examplebucket.s3.amazonaws.com";

std::string authorization(const std::vector<net::HttpHeader>& headers) {
    EXPECT_EQ(headers.back().name, "authorization");
    return headers.back().value;
}

TEST(SigV4, GetObjectWithRange) {
    SignedRequest request{.method = "GET",
                          .host = kHost,
                          .path = "/test.txt",
                          .headers = {{"Range", "bytes=0-9"}},
                          .payload_sha256 = kEmptyBody};
    EXPECT_EQ(authorization(sign_headers(request, kScope, kExample)),
              "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
              "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
              "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(SigV4, PutObject) {
    SignedRequest request{
        .method = "PUT",
        .host = kHost,
        .path = "/test$file.text",
        .headers = {{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                    {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
        .payload_sha256 = crypto::sha256(as_bytes("Welcome to Amazon S3.")).hex()};
    EXPECT_EQ(request.target(), "/test%24file.text");
    EXPECT_THAT(authorization(sign_headers(request, kScope, kExample)),
                EndsWith("=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
}

TEST(SigV4, GetBucketLifecycleAndList) {
    SignedRequest request{.method = "GET",
                          .host = kHost,
                          .path = "/",
                          .query = {{"lifecycle", ""}},
                          .payload_sha256 = kEmptyBody};
    EXPECT_EQ(request.target(), "/?lifecycle=");
    EXPECT_THAT(authorization(sign_headers(request, kScope, kExample)),
                EndsWith("=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
    request.query = {{"prefix", "J"}, {"max-keys", "2"}};
    EXPECT_THAT(authorization(sign_headers(request, kScope, kExample)),
                EndsWith("=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

TEST(SigV4, Presigned) {
    SignedRequest request{.method = "GET",
                          .host = kHost,
                          .path = "/test.txt",
                          .payload_sha256 = std::string(kUnsignedPayload)};
    EXPECT_EQ(presign(request, kScope, kExample, 86400),
              "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
              "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
              "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
              "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

// From the Signature Version 4 test suite: get-vanilla, get-vanilla-query-order-key-case,
// post-vanilla, get-header-value-trim.
TEST(SigV4, TestSuite) {
    const S3Credentials example{.access_key = "AKIDEXAMPLE",
                                .secret_key = Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")};
    const SigningScope scope{
        .region = "us-east-1", .service = "service", .now = parse_rfc3339("2015-08-30T12:36:00Z")};
    SignedRequest request{.method = "GET",
                          .host = "example.amazonaws.com",
                          .path = "/",
                          .payload_sha256 = kEmptyBody};
    EXPECT_THAT(authorization(sign_headers(request, scope, example)),
                EndsWith("=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"));
    request.query = {{"Param2", "value2"}, {"Param1", "value1"}};
    EXPECT_THAT(authorization(sign_headers(request, scope, example)),
                EndsWith("=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"));
    request.query.clear();
    request.method = "POST";
    EXPECT_THAT(authorization(sign_headers(request, scope, example)),
                EndsWith("=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"));
    request.method = "GET";
    request.headers = {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}};
    EXPECT_THAT(authorization(sign_headers(request, scope, example)),
                EndsWith("=acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"));
}

TEST(SigV4, ASessionTokenIsSentAndSigned) {
    S3Credentials temporary = kExample;
    temporary.session_token = Secret("token");
    SignedRequest request{
        .method = "GET", .host = kHost, .path = "/", .payload_sha256 = kEmptyBody};
    auto headers = sign_headers(request, kScope, temporary);
    EXPECT_THAT(headers, testing::Contains(net::HttpHeader{"x-amz-security-token", "token"}));
    EXPECT_THAT(authorization(headers), HasSubstr("x-amz-date;x-amz-security-token"));
    EXPECT_THAT(presign(request, kScope, temporary, 60), HasSubstr("&X-Amz-Security-Token=token"));
}

}  // namespace
}  // namespace sevenfold::storage
