#include "storage/testing/rgw.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>

#include "core/error.h"
#include "crypto/hmac.h"
#include "crypto/sha256.h"
#include "os/file.h"
#include "storage/s3/sigv4.h"

namespace sevenfold::storage {

TestRgw::TestRgw() {
    server_ = std::make_unique<os::ChildProcess>(os::ChildOptions{
        .argv = {"python3", "-B", SEVENFOLD_SOURCE_DIR "/tests/support/rgw.py", folder_ / "ceph"},
        .input = os::ChildOptions::Stream::pipe,
        .output = os::ChildOptions::Stream::pipe,
        .die_with_parent = true});
    std::string line;
    char byte = 0;
    while (::read(server_->output_fd(), &byte, 1) == 1 && byte != '\n') line += byte;
    constexpr std::string_view kReady = "ready ";
    if (!line.starts_with(kReady)) {
        server_->wait();
        throw Error(ErrorKind::io, "no S3 server: " + server_->error_tail());
    }
    std::from_chars(line.data() + kReady.size(), line.data() + line.size(), port_);
    auto keys = [&](const char* file, const char* key, const char* secret) {
        std::string text =
            fmt::format("aws_access_key_id={}\naws_secret_access_key={}\n", key, secret);
        os::write_file_atomically(folder_ / file, as_bytes(text));
    };
    keys("owner", "SFTESTKEY", "sftestsecret0123456789");
    keys("other", "SFOTHERKEY", "sfothersecret0123456789");
}

TestRgw::~TestRgw() {
    server_->close_input();  // it stops its daemons
    server_->wait_for(std::chrono::seconds(30));
}

std::string TestRgw::make_bucket() {
    std::string name = fmt::format("bucket-{}", ++buckets_);
    int status = s3_request(options(name), "PUT", "");
    if (status != 200) throw Error(ErrorKind::io, fmt::format("no bucket: HTTP {}", status));
    return name;
}

S3ClientOptions TestRgw::options(const std::string& bucket, uint16_t port) const {
    return {.host = "127.0.0.1",
            .port = port == 0 ? port_ : port,
            .tls = false,
            .bucket = bucket,
            .credentials = {.source = owner()}};
}

int s3_request(const S3ClientOptions& options, const std::string& method, const std::string& key,
               const std::string& query, const std::string& body) {
    S3CredentialSource source(options.credentials);
    SignedRequest request{
        .method = method,
        .host = fmt::format("{}:{}", options.host, options.port),
        .path = "/" + options.bucket + (key.empty() ? "" : "/" + key),
        .headers = {{"content-md5", to_base64(crypto::md5(as_bytes(body)).value())}},
        .payload_sha256 = crypto::sha256(as_bytes(body)).hex()};
    if (!query.empty()) request.query = {{query, ""}};
    net::HttpClient client;
    return client
        .perform(
            {.method = method,
             .url = "http://" + request.host + request.target(),
             .headers = sign_headers(request, {.region = "us-east-1", .now = Clock::system().now()},
                                     *source.get()),
             .body = as_bytes(body)})
        .status;
}

}  // namespace sevenfold::storage
