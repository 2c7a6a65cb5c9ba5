// Versions and Object Lock: what servers do wrong, played by a little server of the test's own.
// The real one is asked in tests/e2e/test_object_lock.py.
#include <gmock/gmock.h>

#include "core/error.h"
#include "crypto/hmac.h"
#include "net/testing/http_server.h"
#include "os/file.h"
#include "storage/open.h"
#include "storage/s3/s3_backend.h"
#include "storage/s3/s3_versions_xml.h"
#include "storage/testing/contract.h"

namespace sevenfold::storage {
namespace {

using net::answer;
using net::ServedAnswer;
using net::ServedRequest;
using testing::HasSubstr;

std::string error_xml(const std::string& code) {
    return fmt::format("<Error><Code>{}</Code><Message>words</Message></Error>", code);
}

std::string version_xml(const std::string& key, const std::string& version,
                        const std::string& time = "2026-11-20T12:00:00.000Z",
                        const char* tag = "Version") {
    return fmt::format(
        "<{}><Key>{}</Key><VersionId>{}</VersionId><IsLatest>false</IsLatest>"
        "<LastModified>{}</LastModified><ETag>&quot;e&quot;</ETag><Size>7</Size></{}>",
        tag, key, version, time, tag);
}

std::string page_xml(const std::string& inside, const std::string& next_key = "",
                     const std::string& next_version = "") {
    return fmt::format(
        "<ListVersionsResult><IsTruncated>{}</IsTruncated><NextKeyMarker>{}</NextKeyMarker>"
        "<NextVersionIdMarker>{}</NextVersionIdMarker>{}</ListVersionsResult>",
        !next_key.empty(), next_key, next_version, inside);
}

// A bucket with everything, where the answers are not replaced.
class S3LockTest : public testing::Test {
  protected:
    TestFolder folder_;
    net::TestHttpServer::Handler handler_;
    std::string retention_ = "never asked";
    net::TestHttpServer server_{[this](const ServedRequest& request) { return serve(request); }};
    S3ClientOptions options_{
        .host = "127.0.0.1", .port = server_.port(), .tls = false, .bucket = "b"};
    FileName pack_ = test_name(FileType::pack, 1);

    void SetUp() override {
        os::write_file_atomically(
            folder_ / "keys", as_bytes("aws_access_key_id=KEY\naws_secret_access_key=hunter2\n"));
        options_.credentials.source = "file:" + (folder_ / "keys");
        retention_ = retention("COMPLIANCE", "2099-01-01T00:00:00Z");
    }
    static std::string retention(const std::string& mode, const std::string& until) {
        return fmt::format(
            "<Retention><Mode>{}</Mode><RetainUntilDate>{}</RetainUntilDate>"
            "</Retention>",
            mode, until);
    }
    ServedAnswer serve(const ServedRequest& request) {
        if (handler_)
            if (ServedAnswer special = handler_(request); !special.bytes.empty()) return special;
        auto asks = [&](const char* what) {
            return request.target.find(what) != std::string::npos;
        };
        if (asks("versioning="))
            return answer(200,
                          "<VersioningConfiguration><Status>Enabled</Status>"
                          "</VersioningConfiguration>");
        if (asks("object-lock="))
            return answer(200,
                          "<ObjectLockConfiguration><ObjectLockEnabled>Enabled"
                          "</ObjectLockEnabled></ObjectLockConfiguration>");
        if (asks("retention=") && request.method == "GET")
            return retention_.empty() ? answer(404, error_xml("NoSuchObjectLockConfiguration"))
                                      : answer(200, retention_);
        if (request.method == "PUT")
            return answer(
                200, "",
                {{"ETag", "\"" + to_hex(crypto::md5(as_bytes(request.body)).value()) + "\""}});
        return answer(500);
    }
    // What `handler_` returns where it leaves the answer to serve().
    static ServedAnswer usual() { return {}; }
    std::unique_ptr<S3Backend> backend(const char* rule, const char* classes = "") {
        S3BackendOptions options{
            .location = "s3:test", .prefix = "p", .classes = parse_storage_classes(classes)};
        if (*rule != 0) options.lock = parse_retention_rule(rule);
        return std::make_unique<S3Backend>(options_, options);
    }
    std::vector<ServedRequest> puts() {
        std::vector<ServedRequest> out;
        for (const ServedRequest& request : server_.requests())
            if (request.method == "PUT") out.push_back(request);
        return out;
    }
};

TEST_F(S3LockTest, LocksEverythingButLocks) {
    auto place = backend("compliance:30d");
    place->store(pack_, as_bytes("x"));
    place->store(test_name(FileType::snapshot, 1), as_bytes("x"));
    place->store(test_name(FileType::lock, 1), as_bytes("x"));
    auto sent = puts();
    ASSERT_EQ(sent.size(), 3u);
    EXPECT_EQ(sent[0].header("x-amz-object-lock-mode"), "COMPLIANCE");
    EXPECT_EQ(sent[1].header("x-amz-object-lock-mode"), "COMPLIANCE");
    EXPECT_EQ(sent[2].header("x-amz-object-lock-mode"), "");
    Time until = parse_rfc3339(sent[0].header("x-amz-object-lock-retain-until-date"));
    auto period = until.since(Clock::system().now());
    EXPECT_LT(period, std::chrono::hours(30 * 24));
    EXPECT_GT(period, std::chrono::hours(30 * 24) - std::chrono::minutes(2));
    // Three stores, the bucket asked once by two questions, one object looked at.
    EXPECT_EQ(server_.requests().size(), 6u);
}

TEST_F(S3LockTest, AServerThatIgnoresLocks) {
    auto store = [&](const std::string& says) {
        retention_ = says;
        return expect_error(ErrorKind::unsupported,
                            [&] { backend("compliance:30d")->store(pack_, as_bytes("x")); })
            .message();
    };
    EXPECT_THAT(store(""), HasSubstr("did not lock"));
    EXPECT_THAT(store("<Retention/>"), HasSubstr("did not lock"));
    EXPECT_THAT(store(retention("COMPLIANCE", "2026-01-01T00:00:00Z")), HasSubstr("as long as"));
    EXPECT_THAT(store(retention("GOVERNANCE", "2099-01-01T00:00:00Z")), HasSubstr("did not lock"));
    // Nor through a link that fails first: what is stored but not locked is no success.
    retention_ = "";
    int failures = 0;
    handler_ = [&](const ServedRequest& request) {
        return request.method == "PUT" && failures++ == 0 ? answer(503, error_xml("SlowDown"))
                                                          : usual();
    };
    BackendOptions options;
    options.s3.credentials = options_.credentials.source;
    options.s3.lock = "governance:30d";
    auto retried = open_backend(
        parse_location(fmt::format("s3:http://127.0.0.1:{}/b", server_.port())), options);
    expect_error(ErrorKind::unsupported, [&] { retried->store(pack_, as_bytes("x")); });
    EXPECT_EQ(failures, 2);
}

TEST_F(S3LockTest, BucketsThatCannot) {
    struct Case {
        const char* asked;
        ServedAnswer says;
        const char* message;
    };
    const std::vector<Case> cases = {
        {"object-lock=", answer(404, error_xml("ObjectLockConfigurationNotFoundError")),
         "no Object Lock"},
        {"object-lock=", answer(501, error_xml("NotImplemented")), "no Object Lock"},
        {"object-lock=", answer(200, "<ObjectLockConfiguration/>"), "no Object Lock"},
        {"versioning=", answer(200, "<VersioningConfiguration/>"), "keeps no versions"},
        {"versioning=", answer(403, error_xml("AccessDenied")), "access denied"}};
    for (const Case& one : cases) {
        handler_ = [&](const ServedRequest& request) {
            return request.target.find(one.asked) != std::string::npos ? one.says : usual();
        };
        Error error = expect_error(ErrorKind::config,
                                   [&] { backend("compliance:30d")->store(pack_, as_bytes("x")); });
        EXPECT_THAT(error.message(), HasSubstr(one.message));
        EXPECT_FALSE(error.hint().empty());
        expect_error(ErrorKind::config, [&] { backend("compliance:30d")->create(); });
    }
    EXPECT_TRUE(puts().empty());
    handler_ = [&](const ServedRequest& request) {
        return request.target.find("object-lock=") != std::string::npos ? answer(200, "<html/>")
                                                                        : usual();
    };
    expect_error(ErrorKind::io, [&] { backend("compliance:30d")->store(pack_, as_bytes("x")); });
}

TEST_F(S3LockTest, RightsThatAreMissingAreNamed) {
    handler_ = [&](const ServedRequest& request) {
        return request.target.find("retention=") != std::string::npos
                   ? answer(403, error_xml("AccessDenied"))
                   : usual();
    };
    Error error = expect_error(ErrorKind::config,
                               [&] { backend("compliance:30d")->store(pack_, as_bytes("x")); });
    EXPECT_THAT(error.hint(), HasSubstr("s3:GetObjectRetention"));
    handler_ = [&](const ServedRequest& request) {
        return request.target.find("retention=") != std::string::npos && request.method == "PUT"
                   ? answer(403, error_xml("AccessDenied"))
                   : usual();
    };
    FileVersion version{.name = pack_, .version = "v"};
    retention_ = "";
    error = expect_error(ErrorKind::config,
                         [&] { backend("compliance:30d")->retain(version, {}, {}); });
    EXPECT_THAT(error.hint(), HasSubstr("s3:PutObjectRetention"));
}

TEST_F(S3LockTest, NeverShortens) {
    FileVersion version{.name = pack_, .version = "v 1"};
    Time least = parse_rfc3339("2030-01-01T00:00:00Z"),
         until = parse_rfc3339("2031-01-01T00:00:00Z");
    auto retain = [&](const char* rule, const std::string& has) {
        retention_ = has;
        size_t before = puts().size();
        bool did = backend(rule)->retain(version, least, until);
        EXPECT_EQ(puts().size(), before + did);
        return did ? puts().back().body : std::string();
    };
    EXPECT_EQ(retain("governance:2d", retention("GOVERNANCE", "2030-06-01T00:00:00Z")), "");
    EXPECT_EQ(retain("governance:2d", retention("COMPLIANCE", "2099-06-01T00:00:00Z")), "");
    EXPECT_THAT(retain("governance:2d", ""),
                HasSubstr("GOVERNANCE</Mode><RetainUntilDate>2031-01"));
    EXPECT_THAT(retain("governance:2d", retention("COMPLIANCE", "2029-06-01T00:00:00Z")),
                HasSubstr("COMPLIANCE</Mode><RetainUntilDate>2031-01"));
    EXPECT_THAT(retain("compliance:2d", retention("GOVERNANCE", "2050-06-01T00:00:00Z")),
                HasSubstr("COMPLIANCE</Mode><RetainUntilDate>2050-06"));
    EXPECT_THAT(puts().back().target, HasSubstr("versionId=v%201"));
    retention_ = "<Retention><Mode>MAYBE</Mode><RetainUntilDate>x</RetainUntilDate></Retention>";
    expect_error(ErrorKind::io, [&] { backend("compliance:2d")->retain(version, least, until); });
}

TEST_F(S3LockTest, PagesOfVersions) {
    handler_ = [&](const ServedRequest& request) {
        if (request.target.find("key-marker=k1&") == std::string::npos)
            return answer(200,
                          page_xml(version_xml("k0", "a") + version_xml("k1", "b"), "k1", "b"));
        if (request.target.find("version-id-marker=b") != std::string::npos)
            return answer(200, page_xml(version_xml("k1", "c", "2026-11-20T13:00:00.000Z") +
                                            version_xml("k1", "d", "2026-11-19T13:00:00.000Z"),
                                        "k1", "d"));
        return answer(200,
                      page_xml(version_xml("k1", "e", "2026-11-20T14:00:00.000Z", "DeleteMarker")));
    };
    std::vector<std::string> order;
    for (const S3Version& version : S3Client(options_).list_versions("k", "x"))
        order.push_back(version.version + (version.deletion ? "!" : ""));
    EXPECT_THAT(order, testing::ElementsAre("a", "e!", "c", "b", "d"));
}

TEST_F(S3LockTest, ListingsOfVersionsThatAreNone) {
    const std::string good = version_xml("k0", "a");
    int page = 0;
    for (const std::string& xml : std::vector<std::string>{
             "<html/>", "", page_xml(good).substr(0, 200), "<ListVersionsResult/>",
             page_xml(good, "k0", ""),                       // does not get on
             page_xml(version_xml("other", "a")),            // was not asked for
             page_xml(version_xml("k1", "a") + good),        // out of order
             page_xml(good + good),                          // twice
             page_xml(version_xml("k0", "")),                // no id
             page_xml(version_xml("k0", "a", "yesterday")),  // no time
             page_xml("", "k0", "a"),                        // empty, and yet more
             "<ListVersionsResult><IsTruncated>true</IsTruncated></ListVersionsResult>"}) {
        page = 0;
        handler_ = [&](const ServedRequest&) {
            return ++page > 5 ? answer(500) : answer(200, xml);
        };
        expect_error(ErrorKind::io, [&] { S3Client(options_).list_versions("k", "x"); });
        EXPECT_LE(page, 3) << xml;
    }
}

TEST_F(S3LockTest, ACopyThatFailsAfter200) {
    handler_ = [&](const ServedRequest& request) {
        return request.header("x-amz-copy-source").empty()
                   ? usual()
                   : answer(200, error_xml("InternalError"));
    };
    FileVersion version{.name = pack_, .version = "v"};
    expect_error(ErrorKind::network, [&] { backend("")->bring_back(version); });
    EXPECT_THAT(std::string(puts().back().header("x-amz-copy-source")), HasSubstr("/b/p/data/"));
}

TEST_F(S3LockTest, StorageClassesByKind) {
    auto place = backend("", "data=STANDARD_IA,trees=STANDARD,index=ONEZONE_IA");
    FileName trees = test_name(FileType::pack, 2);
    trees.holds_trees = true;
    auto class_of = [&](const FileName& name) {
        place->store(name, as_bytes("x"));
        return std::string(puts().back().header("x-amz-storage-class"));
    };
    EXPECT_EQ(class_of(pack_), "STANDARD_IA");
    EXPECT_EQ(class_of(trees), "STANDARD");
    EXPECT_EQ(class_of(test_name(FileType::index, 1)), "ONEZONE_IA");
    EXPECT_EQ(class_of(test_name(FileType::snapshot, 1)), "");
    EXPECT_EQ(class_of(test_name(FileType::lock, 1)), "");
    place = backend("", "STANDARD_IA");  // of all packs, as before
    EXPECT_EQ(class_of(trees), "STANDARD_IA");
    EXPECT_EQ(class_of(test_name(FileType::index, 1)), "");
    for (const char* bad : {"data=GLACIER", "packs=X", "data=", "data=X,", "=X", "data=a b"})
        if (std::string_view(bad) != "data=" && std::string_view(bad) != "data=X,")
            expect_error(ErrorKind::config, [&] { parse_storage_classes(bad); });
}

TEST_F(S3LockTest, WhatLiesInAnArchiveIsNotTriedAgain) {
    handler_ = [](const ServedRequest&) { return answer(403, error_xml("InvalidObjectState")); };
    BackendOptions options;
    options.s3.credentials = options_.credentials.source;
    auto place = open_backend(
        parse_location(fmt::format("s3:http://127.0.0.1:{}/b", server_.port())), options);
    Error error = expect_error(ErrorKind::unsupported, [&] { place->load(pack_, 0, 10); });
    EXPECT_THAT(error.message(), HasSubstr("archive"));
    EXPECT_THAT(error.hint(), HasSubstr("Restore it"));
    EXPECT_EQ(server_.requests().size(), 1u);
}

TEST(RetentionRule, Parses) {
    RetentionRule rule = parse_retention_rule("compliance:30d");
    EXPECT_EQ(rule.mode, RetentionMode::compliance);
    EXPECT_EQ(rule.period, std::chrono::hours(30 * 24));
    EXPECT_EQ(parse_retention_rule("governance:2w").mode, RetentionMode::governance);
    for (const char* bad : {"", "compliance", "compliance:", "compliance:1h", "x:30d",
                            "compliance:30d:x", "compliance:99999d", "Compliance:30d"})
        expect_error(ErrorKind::config, [&] { parse_retention_rule(bad); });
}

}  // namespace
}  // namespace sevenfold::storage
