#include "storage/open.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "storage/testing/contract.h"

namespace sevenfold::storage {
namespace {

using Driver = Location::Driver;

TEST(ParseLocation, Local) {
    for (const char* url : {"/srv/repo", "./x:y", "../r", "relative", "relative/with dir"}) {
        EXPECT_EQ(parse_location(url), (Location{.path = url}));
        EXPECT_EQ(parse_location(parse_location(url).display()).path, url);
    }
    EXPECT_EQ(parse_location("local:a:b").path, "a:b");
}

TEST(ParseLocation, Sftp) {
    auto sftp = [](std::string user, std::string host, uint16_t port, std::string path) {
        return Location{Driver::sftp, path, host, user, port};
    };
    EXPECT_EQ(parse_location("sftp:backup@vault.example.net:/srv/x/"),
              sftp("backup", "vault.example.net", 0, "/srv/x"));
    EXPECT_EQ(parse_location("sftp:host:dir/./sub"), sftp("", "host", 0, "dir/sub"));
    EXPECT_EQ(parse_location("sftp:u@dom@host:/d"), sftp("u@dom", "host", 0, "/d"));
    EXPECT_EQ(parse_location("sftp://u@host:2222//abs/dir"), sftp("u", "host", 2222, "/abs/dir"));
    EXPECT_EQ(parse_location("sftp://u@host:2222/rel/dir"), sftp("u", "host", 2222, "rel/dir"));
    EXPECT_EQ(parse_location("sftp://host//abs"), sftp("", "host", 0, "/abs"));
    EXPECT_EQ(parse_location("sftp://u@[::1]:22//abs"), sftp("u", "::1", 22, "/abs"));
    EXPECT_EQ(parse_location("sftp:u@[fe80::1]:/abs"), sftp("u", "fe80::1", 0, "/abs"));
    EXPECT_EQ(parse_location("sftp:host:.//./~x"), sftp("", "host", 0, "./~x"));
    for (const char* url :
         {"sftp:u@h:/d", "sftp:h:rel", "sftp:h:./~x", "sftp://h:22/./~x", "sftp://u@h:22//abs",
          "sftp://h:22/rel", "sftp://u@[::1]:22//abs", "sftp:u@[::1]:/d"})
        EXPECT_EQ(parse_location(parse_location(url).display()), parse_location(url)) << url;
}

TEST(ParseLocation, S3) {
    auto s3 = [](std::string host, uint16_t port, std::string bucket, std::string prefix,
                 bool tls = true) {
        return Location{.driver = Driver::s3,
                        .path = prefix,
                        .host = host,
                        .port = port,
                        .bucket = bucket,
                        .tls = tls};
    };
    EXPECT_EQ(parse_location("s3:https://s3.example.net/shop"),
              s3("s3.example.net", 0, "shop", ""));
    EXPECT_EQ(parse_location("s3:https://h:9000/shop/a//./b c/"), s3("h", 9000, "shop", "a/b c"));
    EXPECT_EQ(parse_location("s3:http://127.0.0.1:80/b/p"), s3("127.0.0.1", 80, "b", "p", false));
    EXPECT_EQ(parse_location("s3:h.example/b/p@q:r"), s3("h.example", 0, "b", "p@q:r"));
    EXPECT_EQ(parse_location("s3://h.example/b/"), s3("h.example", 0, "b", ""));
    EXPECT_EQ(parse_location("s3:http://[::1]:9000/b"), s3("::1", 9000, "b", "", false));
    EXPECT_EQ(parse_location("s3:h:9000/b").display(), "s3:https://h:9000/b");
    EXPECT_EQ(parse_location("s3:http://[::1]/b/p").display(), "s3:http://[::1]/b/p");
    for (const char* url : {"s3:",
                            "s3://",
                            "s3:h",
                            "s3:https://h",
                            "s3:https://h/",
                            "s3:https:///b",
                            "s3:h//b",
                            "s3:https://h:0/b",
                            "s3:https://h:x/b",
                            "s3:https://h:/b",
                            "s3:h o/b",
                            "s3:-h/b",
                            "s3:https://h/b?x",
                            "s3:https://h/b/a%20b",
                            "s3:https://h/b/../c",
                            "s3:https://h/..",
                            "s3:https://h/b/a\nb",
                            "s3:[::1/b",
                            "s3:[h]/b",
                            "s3:ftp://h/b",
                            "s3:https://h/bu ket"})
        expect_error(ErrorKind::config, [&] { parse_location(url); });
}

TEST(OpenS3, RefusesWrongOptionsBeforeAnything) {
    Location place = parse_location("s3:http://127.0.0.1:1/b");
    for (const S3Options& wrong :
         {S3Options{.region = "a b"}, S3Options{.credentials = "hunter2"},
          S3Options{.storage_class = "GLACIER"}, S3Options{.bucket_lookup = "x"}}) {
        BackendOptions options;
        options.s3 = wrong;
        Error error = expect_error(ErrorKind::config, [&] { open_backend(place, options); });
        EXPECT_THAT(error.message() + error.hint(), testing::Not(testing::HasSubstr("hunter2")));
        EXPECT_FALSE(error.hint().empty());
    }
}

TEST(ParseLocation, RefusesNonsense) {
    for (const char* url :
         {"", "local:", "sftp:", "sftp:host", "sftp:host:", "sftp::/x", "sftp:@:/x", "sftp://host",
          "sftp://host/", "sftp://h:0//x", "sftp://h:99999//x", "sftp://h:2x//x", "sftp://[::1//x",
          "sftp:-oProxyCommand=evil:/x", "sftp:-l@host:/x", "sftp:ho st:/x", "sftp:h:~/x",
          "ftp://host/x", "c:\\repo"})
        expect_error(ErrorKind::config, [&] { parse_location(url); });
    for (const char* url : {"b2:bucket:path", "swift:c:/x"}) {
        Error error = expect_error(ErrorKind::unsupported, [&] { parse_location(url); });
        EXPECT_FALSE(error.hint().empty());
    }
}

TEST(ParseLocation, NeverRepeatsAPassword) {
    for (const char* url :
         {"rest:https://joe:hunter2@host:x/", "rest:joe:hunter2@host/",
          "sftp://joe:hunter2@host//x", "sftp:joe:hunter2@host:/x", "ftp://joe:hunter2@host/",
          "s3:https://key:hunter2@host/bucket", "s3:key:hunter2@host/bucket"}) {
        try {
            parse_location(url);
            ADD_FAILURE() << url;
        } catch (const Error& error) {
            EXPECT_THAT(error.message() + error.hint(), testing::Not(testing::HasSubstr("hunter2")))
                << url;
        }
    }
    EXPECT_EQ(redact_url("rest:https://joe:pw@host:8000/x"), "rest:https://joe:***@host:8000/x");
    EXPECT_EQ(redact_url("sftp:joe@host:/x"), "sftp:joe@host:/x");
    EXPECT_EQ(redact_url(""), "");
}

INSTANTIATE_TEST_SUITE_P(OpenLocal, BackendContract,
                         testing::Values(folder_contract("local",
                                                         [](const std::string& path) {
                                                             return open_backend(
                                                                 parse_location(path));
                                                         })),
                         contract_name);

}  // namespace
}  // namespace sevenfold::storage
