#include "storage/s3/sigv4.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/check.h"
#include "crypto/hmac.h"
#include "crypto/sha256.h"

namespace sevenfold::storage {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

// Runs of blanks become one, none at the ends.
std::string squeezed(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c == '\t') c = ' ';
        if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
    }
    while (out.ends_with(' ')) out.pop_back();
    return out;
}

// "20130524T000000Z".
std::string timestamp(Time now) {
    now.offset = 0;
    Civil c = civil(now);
    return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", c.year, c.month, c.day, c.hour, c.minute,
                       c.second);
}

std::string canonical_query(const Pairs& query) {
    Pairs escaped;
    for (const auto& [name, value] : query)
        escaped.emplace_back(net::percent_encode(name), net::percent_encode(value));
    std::ranges::sort(escaped);
    std::string out;
    for (const auto& [name, value] : escaped)
        out += fmt::format("{}{}={}", out.empty() ? "" : "&", name, value);
    return out;
}

class Signer {
  public:
    Signer(const SigningScope& scope, const S3Credentials& credentials)
        : time_(timestamp(scope.now)),
          scope_(fmt::format("{}/{}/{}/aws4_request", time_.substr(0, 8), scope.region,
                             scope.service)) {
        std::string start = fmt::format("AWS4{}", credentials.secret_key.reveal());
        Id key = crypto::hmac_sha256(as_bytes(start), as_bytes(time_.substr(0, 8)));
        wipe(start.data(), start.size());
        for (std::string_view part :
             {std::string_view(scope.region), std::string_view(scope.service),
              std::string_view("aws4_request")})
            key = crypto::hmac_sha256(key.bytes, as_bytes(part));
        key_ = key;
    }
    ~Signer() { wipe(key_.bytes.data(), key_.bytes.size()); }

    const std::string& time() const { return time_; }
    const std::string& scope() const { return scope_; }

    // `headers` have lower-case names and are sorted.
    std::string signature(const SignedRequest& request, const Pairs& query, const Pairs& headers,
                          std::string_view names) const {
        std::string canonical =
            fmt::format("{}\n{}\n{}\n", request.method, net::percent_encode(request.path, "/"),
                        canonical_query(query));
        for (const auto& [name, value] : headers) canonical += fmt::format("{}:{}\n", name, value);
        canonical += fmt::format("\n{}\n{}", names, request.payload_sha256);
        std::string to_sign = fmt::format("{}\n{}\n{}\n{}", kAlgorithm, time_, scope_,
                                          crypto::sha256(as_bytes(canonical)).hex());
        return crypto::hmac_sha256(key_.bytes, as_bytes(to_sign)).hex();
    }

  private:
    std::string time_, scope_;
    Id key_;
};

Pairs sorted_headers(const std::string& host, const std::vector<net::HttpHeader>& headers) {
    Pairs out{{"host", host}};
    for (const net::HttpHeader& header : headers)
        out.emplace_back(lower(header.name), squeezed(header.value));
    std::ranges::sort(out);
    return out;
}

std::string names_of(const Pairs& headers) {
    std::string out;
    for (const auto& [name, value] : headers) out += (out.empty() ? "" : ";") + name;
    return out;
}

}  // namespace

std::string SignedRequest::target() const {
    std::string out = net::percent_encode(path, "/");
    return query.empty() ? out : out + "?" + canonical_query(query);
}

std::vector<net::HttpHeader> sign_headers(const SignedRequest& request, const SigningScope& scope,
                                          const S3Credentials& credentials) {
    Signer signer(scope, credentials);
    std::vector<net::HttpHeader> out = request.headers;
    if (scope.service == "s3") out.push_back({"x-amz-content-sha256", request.payload_sha256});
    out.push_back({"x-amz-date", signer.time()});
    if (!credentials.session_token.empty())
        out.push_back({"x-amz-security-token", std::string(credentials.session_token.reveal())});
    Pairs headers = sorted_headers(request.host, out);
    std::string names = names_of(headers);
    out.push_back(
        {"authorization", fmt::format("{} Credential={}/{},SignedHeaders={},Signature={}",
                                      kAlgorithm, credentials.access_key, signer.scope(), names,
                                      signer.signature(request, request.query, headers, names))});
    return out;
}

std::string presign(const SignedRequest& request, const SigningScope& scope,
                    const S3Credentials& credentials, uint64_t valid_seconds) {
    CHECK(valid_seconds >= 1 && valid_seconds <= 7 * 24 * 3600);
    Signer signer(scope, credentials);
    Pairs headers = sorted_headers(request.host, request.headers);
    std::string names = names_of(headers);
    SignedRequest with = request;
    with.query.emplace_back("X-Amz-Algorithm", kAlgorithm);
    with.query.emplace_back("X-Amz-Credential", credentials.access_key + "/" + signer.scope());
    with.query.emplace_back("X-Amz-Date", signer.time());
    with.query.emplace_back("X-Amz-Expires", std::to_string(valid_seconds));
    with.query.emplace_back("X-Amz-SignedHeaders", names);
    if (!credentials.session_token.empty())
        with.query.emplace_back("X-Amz-Security-Token", credentials.session_token.reveal());
    return with.target() + "&X-Amz-Signature=" + signer.signature(with, with.query, headers, names);
}

}  // namespace sevenfold::storage
