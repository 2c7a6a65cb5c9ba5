// What servers do wrong, or only some servers do, played by a little server of the test's own.
#include "storage/s3/s3_client.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "crypto/hmac.h"
#include "crypto/sha256.h"
#include "net/testing/http_server.h"
#include "os/file.h"
#include "storage/s3/s3_backend.h"
#include "storage/s3/s3_error.h"
#include "storage/testing/contract.h"

namespace sevenfold::storage {
namespace {

using net::answer;
using net::ServedAnswer;
using net::ServedRequest;
using testing::HasSubstr;
using testing::Not;

std::string error_xml(const std::string& code, const std::string& more = "") {
    return fmt::format("<Error><Code>{}</Code><Message>words</Message>{}</Error>", code, more);
}

std::string list_xml(const std::vector<std::string>& keys, const std::string& next = "") {
    std::string out = fmt::format("<ListBucketResult><IsTruncated>{}</IsTruncated>", !next.empty());
    for (const std::string& key : keys)
        out += fmt::format("<Contents><Key>{}</Key><Size>7</Size></Contents>", key);
    if (!next.empty())
        out += fmt::format("<NextContinuationToken>{}</NextContinuationToken>", next);
    return out + "</ListBucketResult>";
}

// The ETag as servers make it.
net::HttpHeader etag(std::string_view body) {
    return {"ETag", "\"" + to_hex(crypto::md5(as_bytes(body)).value()) + "\""};
}

class S3ClientTest : public testing::Test {
  protected:
    TestFolder folder_;
    net::TestHttpServer::Handler handler_ = [](const ServedRequest&) { return answer(500); };
    net::TestHttpServer server_{[this](const ServedRequest& request) { return handler_(request); }};
    S3ClientOptions options_{
        .host = "127.0.0.1", .port = server_.port(), .tls = false, .bucket = "b"};

    void SetUp() override {
        write_keys("KEY");
        options_.credentials.source = "file:" + (folder_ / "keys");
    }
    void write_keys(const std::string& key) {
        std::string text =
            fmt::format("aws_access_key_id={}\naws_secret_access_key=hunter2\n", key);
        os::write_file_atomically(folder_ / "keys", as_bytes(text));
    }
    static S3Client::Body body(std::string_view text) {
        return {as_bytes(text), crypto::sha256(as_bytes(text)).hex(),
                to_hex(crypto::md5(as_bytes(text)).value())};
    }
    Error fails(ErrorKind kind, const std::function<void(S3Client&)>& call) {
        S3Client client(options_);
        Error error = expect_error(kind, [&] { call(client); });
        EXPECT_THAT(error.message() + error.hint(), Not(HasSubstr("hunter2")));
        return error;
    }
    std::string region_of(const ServedRequest& request) {
        std::string_view scope = request.header("authorization");
        scope.remove_prefix(std::min(scope.size(), scope.find("/") + 10));
        return std::string(scope.substr(0, scope.find('/')));
    }
};

TEST_F(S3ClientTest, LearnsTheRegionOnce) {
    handler_ = [&](const ServedRequest& request) {
        if (region_of(request) == "eu-west-3") return answer(200, list_xml({"k"}));
        return answer(400, error_xml("AuthorizationHeaderMalformed", "<Region>eu-west-3</Region>"));
    };
    S3Client client(options_);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(client.list("", "x").size(), 1u);
    EXPECT_EQ(server_.requests().size(), 4u);
    options_.region = "eu-central-1";
    Error error = fails(ErrorKind::config, [](S3Client& c) { c.list("", "x"); });
    EXPECT_THAT(error.message(), HasSubstr("region eu-west-3, not in eu-central-1"));
    EXPECT_THAT(error.hint(), HasSubstr("region = \"eu-west-3\""));
}

TEST_F(S3ClientTest, ARegionThatIsNeverRightIsNoLoop) {
    int count = 0;
    handler_ = [&](const ServedRequest&) {
        return answer(301, error_xml("PermanentRedirect"),
                      {{"x-amz-bucket-region", "region-" + std::to_string(++count)}});
    };
    fails(ErrorKind::io, [](S3Client& c) { c.list("", "x"); });
    EXPECT_EQ(count, 2);
    handler_ = [&](const ServedRequest&) {
        return answer(301, "", {{"Location", "http://127.0.0.1:1/"}});
    };
    Error error = fails(ErrorKind::config, [](S3Client& c) { c.list("", "x"); });
    EXPECT_THAT(error.hint(), HasSubstr("endpoint"));
    EXPECT_EQ(server_.requests().size(), 3u);
}

TEST_F(S3ClientTest, ExpiredCredentialsAreReadAgain) {
    handler_ = [&](const ServedRequest& request) {
        if (request.header("authorization").find("=KEY2/") != std::string_view::npos)
            return answer(200, list_xml({}));
        write_keys("KEY2");
        return answer(400, error_xml("ExpiredToken"));
    };
    S3Client client(options_);
    client.list("", "x");
    EXPECT_EQ(server_.requests().size(), 2u);
    handler_ = [](const ServedRequest&) { return answer(400, error_xml("ExpiredToken")); };
    Error error = fails(ErrorKind::permission, [](S3Client& c) { c.list("", "x"); });
    EXPECT_THAT(error.message(), HasSubstr("expired"));
    EXPECT_EQ(server_.requests().size(), 4u);
}

TEST_F(S3ClientTest, ErrorsAreToldApart) {
    const std::tuple<int, const char*, ErrorKind> kCases[] = {
        {404, "NoSuchKey", ErrorKind::not_found},
        {404, "NoSuchBucket", ErrorKind::not_found},
        {403, "AccessDenied", ErrorKind::permission},
        {403, "InvalidAccessKeyId", ErrorKind::permission},
        {403, "SignatureDoesNotMatch", ErrorKind::permission},
        {403, "RequestTimeTooSkewed", ErrorKind::permission},
        {403, "QuotaExceeded", ErrorKind::no_space},
        {409, "OperationAborted", ErrorKind::network},
        {412, "PreconditionFailed", ErrorKind::exists},
        {416, "InvalidRange", ErrorKind::io},
        {429, "TooManyRequests", ErrorKind::network},
        {500, "InternalError", ErrorKind::network},
        {501, "NotImplemented", ErrorKind::unsupported},
        {503, "SlowDown", ErrorKind::network},
        {503, "SomethingNew", ErrorKind::network},
        {400, "SomethingNew", ErrorKind::io},
        {400, "RequestTimeout", ErrorKind::timeout},
        {507, "XMinioStorageFull", ErrorKind::no_space}};
    for (auto [status, code, kind] : kCases) {
        handler_ = [status = status, code = code](const ServedRequest&) {
            return answer(status, error_xml(code));
        };
        Error error = fails(kind, [](S3Client& c) { c.get("k", 10, "the object"); });
        EXPECT_TRUE(error.message().starts_with("the object: ")) << error.message();
    }
}

// A page of a proxy, or of any web server, must never make a file look as if it were missing.
TEST_F(S3ClientTest, APageIsNotAnAnswer) {
    for (int status : {200, 204, 302, 403, 404, 410, 500, 502, 503}) {
        handler_ = [&](const ServedRequest&) {
            return answer(status, "<html><body>Hello</body></html>",
                          {{"Content-Type", "text/html"}});
        };
        const std::function<void(S3Client&)> kCalls[] = {
            [](S3Client& c) { c.head("k", "x"); },
            [](S3Client& c) { c.get_range("k", 0, 10, "x"); }, [](S3Client& c) { c.list("", "x"); },
            [](S3Client& c) { c.put("k", body("text"), {}, "x"); },
            [](S3Client& c) { c.put("k", body("text"), {.create_only = true}, "x"); }};
        for (size_t i = 0; i < std::size(kCalls); ++i) {
            if (i == 0 && status == 200) continue;  // a size is a size
            S3Client client(options_);
            try {
                kCalls[i](client);
                ADD_FAILURE() << "call " << i << ", HTTP " << status;
            } catch (const Error& error) {
                EXPECT_NE(error.kind(), ErrorKind::not_found) << i << ", HTTP " << status;
                EXPECT_NE(error.kind(), ErrorKind::exists) << i << ", HTTP " << status;
            }
        }
    }
}

TEST_F(S3ClientTest, HeadAsksAgainWhereItIsNotToldWhy) {
    handler_ = [](const ServedRequest& request) {
        if (request.method == "HEAD") return answer(403);
        return answer(403, error_xml("InvalidAccessKeyId"));
    };
    Error error = fails(ErrorKind::permission, [](S3Client& c) { c.head("k", "x"); });
    EXPECT_THAT(error.message(), HasSubstr("not known"));
    handler_ = [](const ServedRequest& request) {
        if (request.method == "HEAD") return answer(405);
        return answer(206, "a", {{"Content-Range", "bytes 0-0/12345"}});
    };
    S3Client client(options_);
    EXPECT_EQ(client.head("k", "x").size, 12345u);
    handler_ = [](const ServedRequest&) { return answer(404, "", {{"x-amz-request-id", "1"}}); };
    expect_error(ErrorKind::not_found, [&] { client.head("k", "x"); });
}

TEST_F(S3ClientTest, WrongRanges) {
    ServedAnswer reply;
    handler_ = [&](const ServedRequest&) { return reply; };
    auto says = [&](ErrorKind kind, ServedAnswer with) {
        reply = std::move(with);
        return fails(kind, [](S3Client& c) { c.get_range("k", 10, 5, "x"); }).message();
    };
    says(ErrorKind::io, answer(206, "abcd", {{"Content-Range", "bytes 10-14/100"}}));
    says(ErrorKind::io, answer(206, "abcde", {{"Content-Range", "bytes 0-4/100"}}));
    says(ErrorKind::io, answer(206, "abcde"));
    says(ErrorKind::io, answer(206, "abc", {{"Content-Range", "bytes 10-12/13"}}));
    says(ErrorKind::unsupported, answer(200, std::string(100, 'x')));
    says(ErrorKind::unsupported, answer(200, std::string(4 << 20, 'x')));
    says(ErrorKind::io, answer(200, "abc"));
    says(
        ErrorKind::network,
        {"HTTP/1.1 206 x\r\nContent-Range: bytes 10-14/100\r\nContent-Length: 5\r\n\r\nabc", true});
    reply = answer(206, "abcde", {{"Content-Range", "bytes 10-14/*"}});
    S3Client client(options_);
    EXPECT_EQ(as_text(client.get_range("k", 10, 5, "x")), "abcde");
    // A whole object whose length nobody says could have been cut off.
    reply = {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcde", true};
    expect_error(ErrorKind::io, [&] { client.get("k", 100, "x"); });
}

TEST_F(S3ClientTest, AServerThatLiesAboutWhatItStored) {
    handler_ = [](const ServedRequest&) { return answer(200, "", {etag("something else")}); };
    Error error = fails(ErrorKind::io, [](S3Client& c) { c.put("k", body("text"), {}, "x"); });
    EXPECT_THAT(error.message(), HasSubstr("something else"));
    S3Client client(options_);
    handler_ = [](const ServedRequest&) { return answer(200, "", {etag("text")}); };
    EXPECT_TRUE(client.put("k", body("text"), {}, "x"));
    // Where it is no MD5, it says nothing.
    handler_ = [](const ServedRequest&) {
        return answer(200, "", {etag("secret"), {"x-amz-server-side-encryption", "aws:kms"}});
    };
    EXPECT_TRUE(client.put("k", body("text"), {}, "x"));
    handler_ = [](const ServedRequest&) { return answer(200, "", {{"ETag", "\"abc-2\""}}); };
    EXPECT_TRUE(client.put("k", body("text"), {}, "x"));
}

TEST_F(S3ClientTest, Uploads) {
    handler_ = [](const ServedRequest& request) { return answer(200, "", {etag(request.body)}); };
    S3Client client(options_);
    client.put("a b/\u00fc", body("text"), {.create_only = true, .storage_class = "STANDARD_IA"},
               "x");
    auto request = server_.requests().at(0);
    EXPECT_EQ(request.target, "/b/a%20b/%C3%BC");
    EXPECT_EQ(request.body, "text");
    EXPECT_EQ(request.header("expect"), "100-continue");
    EXPECT_EQ(request.header("if-none-match"), "*");
    EXPECT_EQ(request.header("x-amz-storage-class"), "STANDARD_IA");
    EXPECT_EQ(request.header("content-md5"), "HLJR7A1WjeapKbUgxK7Y0Q==");
    EXPECT_EQ(request.header("x-amz-content-sha256"), crypto::sha256(as_bytes("text")).hex());
}

TEST_F(S3ClientTest, ADeniedUploadSendsNoBody) {
    server_.before_body(
        [](const ServedRequest&) { return answer(403, error_xml("AccessDenied")); });
    std::string large(8 << 20, 'x');
    S3Client client(options_);
    for (int i = 0; i < 3; ++i)
        expect_error(ErrorKind::permission, [&] { client.put("k", body(large), {}, "x"); });
    EXPECT_EQ(server_.requests().size(), 3u)
        << "what was sent of a body would be taken as requests";
    for (const ServedRequest& request : server_.requests()) EXPECT_EQ(request.method, "PUT");
}

TEST_F(S3ClientTest, AServerWithoutCreateOnly) {
    handler_ = [](const ServedRequest& request) {
        if (!request.header("if-none-match").empty())
            return answer(501, error_xml("NotImplemented"));
        return answer(200, "", {etag(request.body)});
    };
    S3Client client(options_);
    EXPECT_TRUE(client.put("k", body("text"), {.create_only = true}, "x"));
    EXPECT_FALSE(client.knows_create_only());
    EXPECT_TRUE(client.put("k", body("text"), {.create_only = true}, "x"));
    EXPECT_EQ(server_.requests().size(), 3u);
}

// The other run's config came last: the server replaced ours without a word.
TEST_F(S3ClientTest, TwoThatMakeARepositoryAtOnce) {
    handler_ = [](const ServedRequest& request) {
        if (request.method == "GET") return answer(200, "theirs");
        return answer(200, "", {etag(request.body)});
    };
    S3Backend backend(options_, {.location = "s3:test"});
    Error error = expect_error(ErrorKind::exists,
                               [&] { backend.store({FileType::config}, as_bytes("oursss")); });
    EXPECT_THAT(error.hint(), HasSubstr("Somebody else"));
}

TEST_F(S3ClientTest, HostileListings) {
    std::vector<std::string> pages;
    size_t at = 0;
    handler_ = [&](const ServedRequest&) { return answer(200, pages.at(at++ % pages.size())); };
    auto says = [&](std::vector<std::string> with) {
        pages = std::move(with);
        at = 0;
        return fails(ErrorKind::io, [](S3Client& c) { c.list("p/", "x"); }).message();
    };
    // Endless: the same page under new names, the same name again and again, empty pages.
    EXPECT_THAT(says({list_xml({"p/a", "p/b"}, "1"), list_xml({"p/a", "p/b"}, "2")}),
                HasSubstr("repeats itself"));
    EXPECT_THAT(says({list_xml({"p/a"}, "1"), list_xml({"p/b"}, "1")}), HasSubstr("get on"));
    EXPECT_THAT(says({list_xml({}, "1"), list_xml({}, "2")}), HasSubstr("get on"));
    EXPECT_THAT(says({list_xml({"p/b", "p/a"})}), HasSubstr("out of order"));
    EXPECT_THAT(says({list_xml({"q/a"})}), HasSubstr("not asked for"));
    EXPECT_THAT(says({"<ListBucketResult><IsTruncated>false</IsTruncated>"}),
                HasSubstr("complete"));
    EXPECT_THAT(says({list_xml({"p/a"}, "1"), "<html>gateway</html>"}), HasSubstr("not an S3"));
    EXPECT_THAT(says({std::string(17 << 20, 'x')}), HasSubstr("without an end"));
    // The second page fails: nothing of the first is taken for a listing.
    size_t asked = 0;
    handler_ = [&](const ServedRequest&) {
        return ++asked == 1 ? answer(200, list_xml({"p/a"}, "1"))
                            : answer(503, error_xml("SlowDown"));
    };
    S3Client client(options_);
    expect_error(ErrorKind::network, [&] { client.list("p/", "x"); });
}

TEST_F(S3ClientTest, PagesAreAskedForInTurn) {
    handler_ = [](const ServedRequest& request) {
        return request.target.find("continuation-token=t%2F%3D%2B") == std::string::npos
                   ? answer(200, list_xml({"p/a", "p/b"}, "t/=+"))
                   : answer(200, list_xml({"p/c"}));
    };
    S3Client client(options_);
    EXPECT_EQ(client.list("p/", "x").size(), 3u);
    EXPECT_EQ(server_.requests()[0].target,
              "/b?encoding-type=url&list-type=2&max-keys=1000&prefix=p%2F");
}

TEST_F(S3ClientTest, BucketsInHostNames) {
    options_.style = BucketStyle::host;
    options_.host = "localhost";  // *.localhost is this machine
    handler_ = [](const ServedRequest&) { return answer(200, list_xml({})); };
    S3Client client(options_);
    try {
        client.list("", "x");
    } catch (const Error& error) {
        GTEST_SKIP() << "this machine's resolver does not know b.localhost: " << error.message();
    }
    auto request = server_.requests().at(0);
    EXPECT_EQ(request.header("host"), fmt::format("b.localhost:{}", server_.port()));
    EXPECT_EQ(request.path(), "/");
    EXPECT_THAT(client.presigned_get("k", 60),
                HasSubstr(fmt::format("http://b.localhost:{}/k?", server_.port())));
}

TEST(S3Addressing, FollowsTheHost) {
    auto url = [](S3ClientOptions options) {
        options.credentials.source = "anonymous";
        return S3Client(std::move(options)).presigned_get("k", 60);
    };
    EXPECT_EQ(url({.host = "s3.eu-west-3.amazonaws.com", .bucket = "shop"}),
              "https://shop.s3.eu-west-3.amazonaws.com/k");
    EXPECT_EQ(url({.host = "s3.eu-west-3.amazonaws.com", .bucket = "shop.example"}),
              "https://s3.eu-west-3.amazonaws.com/shop.example/k");
    EXPECT_EQ(url({.host = "s3.amazonaws.com", .bucket = "shop", .region = "eu-west-3"}),
              "https://shop.s3.eu-west-3.amazonaws.com/k");
    EXPECT_EQ(url({.host = "minio.example.net", .port = 9000, .bucket = "shop"}),
              "https://minio.example.net:9000/shop/k");
    EXPECT_EQ(url({.host = "minio.example.net", .port = 443, .bucket = "shop"}),
              "https://minio.example.net/shop/k");
    EXPECT_EQ(url({.host = "::1", .port = 80, .tls = false, .bucket = "shop"}),
              "http://[::1]/shop/k");
    EXPECT_EQ(url({.host = "h.example", .bucket = "shop", .style = BucketStyle::host}),
              "https://shop.h.example/k");
}

TEST(HttpDate, ParsesOnlyDates) {
    EXPECT_EQ(parse_http_date("Wed, 21 Oct 2015 07:28:00 GMT"),
              parse_rfc3339("2015-10-21T07:28:00Z"));
    for (const char* bad : {"", "Wed, 21 Oct 2015 07:28:00 UTC", "Wed, 21 Xxx 2015 07:28:00 GMT",
                            "Wed, -1 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 99:28:00 GMT"})
        EXPECT_FALSE(parse_http_date(bad)) << bad;
}

}  // namespace
}  // namespace sevenfold::storage
