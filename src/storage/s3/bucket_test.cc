// Against a real S3 server; and what servers do wrong, played by one of the test's own.
#include "storage/s3/bucket.h"

#include <gmock/gmock.h>

#include <thread>

#include "core/error.h"
#include "core/parallel.h"
#include "core/random.h"
#include "crypto/hmac.h"
#include "net/testing/http_server.h"
#include "os/file.h"
#include "storage/s3/bucket_path.h"
#include "storage/testing/contract.h"
#include "storage/testing/rgw.h"

namespace sevenfold::storage {
namespace {

using net::answer;
using net::ServedRequest;
using testing::HasSubstr;

class BucketTest : public testing::Test {
  protected:
    static void SetUpTestSuite() { server_ = std::make_unique<TestRgw>(); }
    static void TearDownTestSuite() { server_.reset(); }
    static std::unique_ptr<TestRgw> server_;

    std::string name_ = server_->make_bucket();
    Bucket bucket_{{.client = server_->options(name_), .location = "s3:http://host/" + name_}};

    std::vector<std::string> keys(const std::string& prefix = "", unsigned parallel = 8) {
        std::vector<std::string> out;
        for (const ListedObject& object : bucket_.list(prefix, parallel)) out.push_back(object.key);
        return out;
    }
    std::string text(const std::string& key, const GetOptions& options = {}) {
        ObjectInfo info;
        return std::string(as_text(bucket_.get(key, 1 << 20, info, options)));
    }
    void put(const std::string& key, std::string_view body, const PutOptions& options = {}) {
        bucket_.put(key, as_bytes(body), options);
    }
};
std::unique_ptr<TestRgw> BucketTest::server_;

TEST_F(BucketTest, EverythingThatGoesWithAnObject) {
    PutOptions options{.headers = {.content_type = "text/css",
                                   .cache_control = "max-age=5",
                                   .content_disposition = "attachment; filename=\"a b\"",
                                   .content_encoding = "gzip",
                                   .content_language = "de",
                                   .expires = "Wed, 21 Oct 2037 07:28:00 GMT",
                                   .metadata = {{"owner", "a  b"}, {"x-1", "\xc3\xbc"}}},
                       .tags = {{"a b", "c&=+"}, {"k", ""}}};
    Stored stored = bucket_.put("dir/key", as_bytes("body"), options);
    ObjectInfo info;
    EXPECT_EQ(as_text(bucket_.get("dir/key", 100, info)), "body");
    EXPECT_EQ(info.headers, options.headers);
    EXPECT_EQ(info.etag, stored.etag);
    EXPECT_EQ(bucket_.head("dir/key").headers, options.headers);
    EXPECT_EQ(bucket_.tags("dir/key"), options.tags);
    EXPECT_EQ(as_text(bucket_.get_range("dir/key", 1, 2, {.if_match = stored.etag})), "od");
    Acl acl = bucket_.acl("dir/key");
    EXPECT_EQ(acl.owner, "owner");
    ASSERT_EQ(acl.grants.size(), 1u);
    EXPECT_EQ(acl.grants[0], (Grant{{Grantee::Kind::user, "owner"}, AclRight::full}));
    expect_error(ErrorKind::refused, [&] { bucket_.get("dir/key", 3, info); });
    expect_error(ErrorKind::not_found, [&] { bucket_.head("dir/none"); });
    expect_error(ErrorKind::not_found, [&] { bucket_.get("none", 100, info); });
    expect_error(ErrorKind::exists, [&] { bucket_.get("dir/key", 100, info, {.if_match = "x"}); });
    expect_error(ErrorKind::exists, [&] { bucket_.get_range("dir/key", 2, 9); });

    // A copy keeps headers and tags, and is private.
    bucket_.put_acl("dir/key",
                    {.owner = "owner",
                     .grants = {{{Grantee::Kind::group, std::string(kAllUsers)}, AclRight::read},
                                {{Grantee::Kind::user, "owner"}, AclRight::full}}});
    EXPECT_EQ(bucket_.acl("dir/key").grants.size(), 2u);
    bucket_.copy("dir/key", "", "copy + \xc3\xbc?", {});
    EXPECT_EQ(bucket_.head("copy + \xc3\xbc?").headers, options.headers);
    EXPECT_EQ(bucket_.tags("copy + \xc3\xbc?"), options.tags);
    EXPECT_EQ(bucket_.acl("copy + \xc3\xbc?").grants.size(), 1u);
    bucket_.remove("dir/key");
    bucket_.remove("dir/key");
    EXPECT_EQ(keys(), (std::vector<std::string>{"copy + \xc3\xbc?"}));
}

TEST_F(BucketTest, GrantsAtOnce) {
    PutOptions options{.grants = {{{Grantee::Kind::group, std::string(kAllUsers)}, AclRight::read},
                                  {{Grantee::Kind::user, "other"}, AclRight::read_acl},
                                  {{Grantee::Kind::user, "owner"}, AclRight::full}}};
    put("key", "body", options);
    Acl acl = bucket_.acl("key");
    std::ranges::sort(options.grants);
    EXPECT_EQ(acl.grants, options.grants);
    EXPECT_EQ(parse_acl_text(to_text(acl)), acl);
    put("public", "body", {.canned_acl = "public-read"});
    EXPECT_EQ(bucket_.acl("public").grants.size(), 2u);
    EXPECT_ANY_THROW(
        put("nobody", "x", {.grants = {{{Grantee::Kind::user, "nobody-knows"}, AclRight::read}}}));
    EXPECT_FALSE(bucket_.any("nobody"));
}

TEST_F(BucketTest, Conditions) {
    Stored first = bucket_.put("key", as_bytes("1"), {.create_only = true});
    expect_error(ErrorKind::exists, [&] { put("key", "2", {.create_only = true}); });
    expect_error(ErrorKind::exists, [&] { put("key", "2", {.if_match = "0123"}); });
    put("key", "2", {.if_match = first.etag});
    EXPECT_EQ(text("key"), "2");
    expect_error(ErrorKind::exists, [&] { bucket_.copy("key", "", "key", {.create_only = true}); });
}

TEST_F(BucketTest, LargeObjectsInParts) {
    const uint64_t size = Bucket::part_size(0) * 2 + 5;
    auto read = [&](uint64_t offset, size_t length) {
        Bytes bytes(length);
        for (size_t i = 0; i < length; ++i) bytes[i] = static_cast<uint8_t>((offset + i) >> 10);
        return bytes;
    };
    PutOptions options{.headers = {.content_type = "image/png", .metadata = {{"a", "b"}}},
                       .tags = {{"t", "v"}},
                       .grants = {{{Grantee::Kind::user, "other"}, AclRight::read},
                                  {{Grantee::Kind::user, "owner"}, AclRight::full}}};
    Stored stored = bucket_.put_from("large", size, read, options);
    EXPECT_TRUE(stored.etag.ends_with("-3"));
    ObjectInfo info = bucket_.head("large");
    EXPECT_EQ(info.size, size);
    EXPECT_EQ(info.headers, options.headers);
    EXPECT_EQ(bucket_.tags("large"), options.tags);
    EXPECT_EQ(bucket_.acl("large").grants[0].grantee.id, "other");
    EXPECT_EQ(bucket_.get_range("large", size - 7, 7), read(size - 7, 7));
    // One that fails leaves nothing, seen or unseen.
    EXPECT_ANY_THROW(bucket_.put_from("broken", size,
                                      [&](uint64_t offset, size_t length) {
                                          if (offset != 0) throw Error(ErrorKind::corrupt, "lost");
                                          return read(offset, length);
                                      },
                                      {}));
    expect_error(ErrorKind::exists,
                 [&] { bucket_.put_from("large", size, read, {.create_only = true}); });
    EXPECT_EQ(keys(), (std::vector<std::string>{"large"}));
    const std::string what;
    auto uploads = bucket_.client().send(
        {.method = "GET", .key = "", .query = {{"uploads", ""}}, .limit = 1 << 20, .what = what});
    EXPECT_THAT(std::string(as_text(uploads.body)), testing::Not(HasSubstr("<Upload>")));
}

TEST_F(BucketTest, HostileKeys) {
    std::vector<std::string> all = {"/lead",  "a",         "a/",          "a//b",   "a/b",
                                    "a/../b", "./x",       "..",          "%41",    "100%",
                                    "n\nl",   "q?#&=+ *'", "\xc3\xbc<&>", "s/t/u/", "x\x01y"};
    for (const std::string& key : all) put(key, key);
    std::ranges::sort(all);
    EXPECT_EQ(keys(), all);
    for (const std::string& key : all) EXPECT_EQ(text(key), key);
    for (const std::string& key : all) bucket_.remove(key);
    EXPECT_TRUE(keys().empty());
}

TEST_F(BucketTest, LongListingsInRanges) {
    std::vector<std::string> all;
    for (int i = 0; i < 5200; ++i) all.push_back(fmt::format("p/d{:02}/{:05}", i % 37, i));
    parallel_for(all.size(), 16, [&](size_t i) { put(all[i], ""); });
    std::ranges::sort(all);
    uint64_t before = bucket_.requests();
    EXPECT_EQ(keys("p/"), all);
    EXPECT_LE(bucket_.requests() - before, 4u + 2 + 8 + 4);
    EXPECT_EQ(keys("p/", 1), all);
    EXPECT_EQ(keys("p/d03").size(), 141u);
}

TEST_F(BucketTest, AsItWas) {
    ASSERT_EQ(s3_request(server_->options(name_), "PUT", "", "versioning",
                         "<VersioningConfiguration><Status>Enabled</Status>"
                         "</VersioningConfiguration>"),
              200);
    EXPECT_TRUE(bucket_.is_versioned());
    put("a", "1");
    put("gone", "g");
    put("a/b", "x");
    Time then = bucket_.list("")[0].modified;
    for (const ListedObject& object : bucket_.list("")) then = std::max(then, object.modified);
    ASSERT_TRUE(net::eventually([&] { return Clock::system().now().seconds > then.seconds + 1; }));
    put("a", "2");
    bucket_.remove("gone");
    put("new", "n");
    EXPECT_EQ(keys(), (std::vector<std::string>{"a", "a/b", "new"}));
    EXPECT_EQ(bucket_.list_versions("").size(), 6u);
    std::vector<std::string> was;
    for (const ListedObject& object : bucket_.list_at("", then)) {
        was.push_back(object.key + "=" + text(object.key, {.version = object.version}));
        EXPECT_EQ(bucket_.acl(object.key, object.version).owner, "owner");
    }
    EXPECT_EQ(was, (std::vector<std::string>{"a=1", "a/b=x", "gone=g"}));
    EXPECT_TRUE(bucket_.list_at("", then.plus(-std::chrono::hours(1))).empty());
}

TEST_F(BucketTest, WhoMayNot) {
    put("key", "x");
    S3ClientOptions other = server_->options(name_);
    other.credentials.source = server_->other_user();
    Bucket theirs({.client = other, .location = "s3:http://host/b"});
    expect_error(ErrorKind::permission, [&] { theirs.list(""); });
    expect_error(ErrorKind::permission, [&] { theirs.head("key"); });
    expect_error(ErrorKind::permission, [&] { theirs.acl("key"); });
    expect_error(ErrorKind::permission, [&] { theirs.put("key2", as_bytes("x"), {}); });
}

// Faults.

class BucketFaultTest : public testing::Test {
  protected:
    TestFolder folder_;
    int tries_ = 0;
    std::vector<std::chrono::nanoseconds> pauses_;
    net::TestHttpServer::Handler handler_ = [](const ServedRequest&) { return answer(500); };
    net::TestHttpServer server_{[this](const ServedRequest& request) {
        ++tries_;
        return handler_(request);
    }};
    std::unique_ptr<Bucket> bucket_;

    void SetUp() override {
        os::write_file_atomically(folder_ / "keys", as_bytes("aws_access_key_id=K\n"
                                                             "aws_secret_access_key=hunter2\n"));
        S3ClientOptions client{
            .host = "127.0.0.1", .port = server_.port(), .tls = false, .bucket = "b"};
        client.credentials.source = "file:" + (folder_ / "keys");
        bucket_ = std::make_unique<Bucket>(
            Bucket::Options{.client = client,
                            .location = "s3:http://host/b",
                            .sleep = [this](std::chrono::nanoseconds pause,
                                            const std::stop_token&) { pauses_.push_back(pause); }});
    }
    static std::string etag(std::string_view text) {
        return "\"" + to_hex(crypto::md5(as_bytes(text)).value()) + "\"";
    }
    static std::string slow_down() {
        return "<Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>";
    }
};

TEST_F(BucketFaultTest, ThrottlingIsWaitedFor) {
    handler_ = [&](const ServedRequest&) {
        if (tries_ < 5) return answer(503, slow_down());
        return answer(200, "body", {{"ETag", etag("body")}});
    };
    ObjectInfo info;
    EXPECT_EQ(as_text(bucket_->get("k", 100, info)), "body");
    ASSERT_EQ(pauses_.size(), 4u);
    EXPECT_GT(pauses_[3], pauses_[0]);
}

TEST_F(BucketFaultTest, AnswersThatAreCutOff) {
    handler_ = [&](const ServedRequest&) {
        net::ServedAnswer out = answer(200, "body", {{"ETag", etag("body")}});
        if (tries_ < 3) {
            out.bytes.resize(out.bytes.size() - 2);
            out.close = true;
        }
        return out;
    };
    ObjectInfo info;
    EXPECT_EQ(as_text(bucket_->get("k", 100, info)), "body");
    EXPECT_EQ(tries_, 3);
}

TEST_F(BucketFaultTest, BytesThatAreNotWhatTheETagSays) {
    handler_ = [&](const ServedRequest&) { return answer(200, "bodY", {{"ETag", etag("body")}}); };
    ObjectInfo info;
    expect_error(ErrorKind::io, [&] { bucket_->get("k", 100, info); });
    handler_ = [&](const ServedRequest&) { return answer(200, "", {{"ETag", etag("else")}}); };
    expect_error(ErrorKind::io, [&] { bucket_->put("k", as_bytes("body"), {}); });
}

TEST_F(BucketFaultTest, AStoredObjectWhoseAnswerWasLost) {
    handler_ = [&](const ServedRequest& request) {
        if (request.method == "HEAD") return answer(200, "", {{"ETag", etag("body")}});
        if (tries_ == 1) return net::ServedAnswer{"", true};
        return answer(412, "<Error><Code>PreconditionFailed</Code></Error>");
    };
    EXPECT_NO_THROW(bucket_->put("k", as_bytes("body"), {.create_only = true}));
}

TEST_F(BucketFaultTest, CopiesThatFailAfterOk) {
    handler_ = [&](const ServedRequest& request) {
        if (request.method == "HEAD") return answer(200, "", {{"ETag", etag("body")}});
        if (tries_ < 4) return answer(200, "<Error><Code>InternalError</Code></Error>");
        return answer(200, "<CopyObjectResult><ETag>&quot;e&quot;</ETag></CopyObjectResult>");
    };
    EXPECT_EQ(bucket_->copy("k", "", "l", {}).etag, "e");
}

TEST_F(BucketFaultTest, ListingsThatLie) {
    auto list = [&](const std::string& inside) {
        handler_ = [inside](const ServedRequest&) {
            return answer(200, "<ListBucketResult>" + inside + "</ListBucketResult>");
        };
        tries_ = 0;
        expect_error(ErrorKind::io, [&] { bucket_->list("p/"); });
    };
    auto object = [](const std::string& key, const std::string& size = "7") {
        return fmt::format(
            "<Contents><Key>{}</Key><Size>{}</Size><LastModified>2026-01-01T00:00:"
            "00.000Z</LastModified><ETag>e</ETag></Contents>",
            key, size);
    };
    const std::string end = "<IsTruncated>false</IsTruncated>";
    list("");
    list(object("p/a"));
    list(end + object("elsewhere"));
    list(end + object("p/b") + object("p/a"));
    list(end + object("p/a") + object("p/a"));
    list(end + object("p/a", "-1"));
    list(end +
         "<Contents><Key>p/a</Key><Size>1</Size><LastModified>soon</LastModified></Contents>");
    list("<IsTruncated>true</IsTruncated>" + object("p/a"));
    list("<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>" +
         object("p/a"));
    list("<EncodingType>url</EncodingType>" + end + object("p/%zz"));
    list("<!DOCTYPE x [<!ENTITY a 'p/'>]>" + object("&a;"));
}

TEST_F(BucketFaultTest, WhatIsNoHeaderIsNotSent) {
    expect_error(ErrorKind::unsupported, [&] {
        bucket_->put("k", {}, {.headers = {.metadata = {{"a", "b\r\nx-amz-acl: public-read"}}}});
    });
    expect_error(ErrorKind::unsupported, [&] {
        bucket_->put("k", {}, {.headers = {.metadata = {{"a: b\r\nc", ""}}}});
    });
    expect_error(ErrorKind::unsupported, [&] {
        bucket_->put("k", {},
                     {.grants = {{{Grantee::Kind::user, "x\", uri=\"y"}, AclRight::read}}});
    });
    EXPECT_EQ(tries_, 0);
}

TEST(BucketXmlTest, GrantsAndTags) {
    EXPECT_ANY_THROW(parse_acl("<AccessControlPolicy/>"));
    EXPECT_ANY_THROW(parse_acl(
        "<AccessControlPolicy><AccessControlList><Grant><Grantee><ID>a</ID></Grantee>"
        "<Permission>EVERYTHING</Permission></Grant></AccessControlList></AccessControlPolicy>"));
    EXPECT_ANY_THROW(parse_acl(
        "<AccessControlPolicy><AccessControlList><Grant><Grantee/><Permission>READ</Permission>"
        "</Grant></AccessControlList></AccessControlPolicy>"));
    Acl acl{.owner = "a b\n<&>",
            .grants = {{{Grantee::Kind::user, "x y=:%"}, AclRight::read},
                       {{Grantee::Kind::group, std::string(kAllUsers)}, AclRight::read},
                       {{Grantee::Kind::email, "a@b"}, AclRight::full}}};
    std::ranges::sort(acl.grants);
    EXPECT_EQ(parse_acl(acl_xml(acl)), acl);
    EXPECT_EQ(parse_acl_text(to_text(acl)), acl);
    EXPECT_EQ(parse_acl_text("owner="), Acl{});
    for (const char* text : {"", "x", "owner=a READ", "owner=a READ=id", "owner=a ALL=id:x",
                             "owner=a READ=who:x", "owner=%4"})
        expect_error(ErrorKind::corrupt, [&] { parse_acl_text(text); });
    Tags tags{{"", ""}, {" ", "&<>=\n+"}, {"b", "\xc3\xbc"}};
    EXPECT_EQ(parse_tags(tags_xml(tags)), tags);
    EXPECT_EQ(parse_tags_text(to_text(tags)), tags);
}

TEST(BucketPathTest, EveryKeyHasAPathAndBack) {
    const std::pair<std::string, std::string> known[] = {
        {"a/b.txt", "a/b.txt"}, {"/a", "%/a"},      {"a//b", "a/%/b"},
        {"a/", "a/%"},          {"", "%"},          {"a/../b", "a/%2E%2E/b"},
        {"./x", "%2E/x"},       {"100%", "100%25"}, {"%41", "%2541"},
        {"5% of", "5% of"},     {"a\nb", "a\nb"},   {"%", "%25"},
        {"%-", "%25-"},         {"...", "..."},     {"%%", "%%25"}};
    for (const auto& [key, path] : known) {
        EXPECT_EQ(path_of_key(key), path);
        EXPECT_EQ(key_of_path(path), key);
        EXPECT_EQ(key_of_path(path_of_key_beside_folder(key)), key);
    }
    SplitMix64 random(7);
    std::map<std::string, std::string> seen;
    for (int i = 0; i < 100'000; ++i) {
        std::string key;
        constexpr std::string_view kLetters("%%%//..-2E40a\0\n\xc3\xbc", 18);
        size_t length = random.below(i % 50 == 0 ? 1024 : 12);
        while (key.size() < length) key += kLetters[random.below(kLetters.size())];
        if (i % 50 == 25) key = std::string(random.below(600), '%') + key;
        for (bool beside : {false, true}) {
            std::string path = beside ? path_of_key_beside_folder(key) : path_of_key(key);
            ASSERT_EQ(key_of_path(path), key) << path;
            auto [it, fresh] = seen.try_emplace(path, key);
            ASSERT_TRUE(fresh || it->second == key) << path;
            for (size_t at = 0; at <= path.size();) {
                size_t slash = std::min(path.find('/', at), path.size());
                std::string name = path.substr(at, slash - at);
                ASSERT_TRUE(!name.empty() && name != "." && name != ".." && name.size() <= 255 &&
                            name.find('\0') == name.npos)
                    << path;
                at = slash + 1;
            }
        }
    }
}

}  // namespace
}  // namespace sevenfold::storage
