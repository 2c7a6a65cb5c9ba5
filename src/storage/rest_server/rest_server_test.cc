#include "storage/rest_server/rest_server.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "core/parallel.h"
#include "core/random.h"
#include "crypto/bcrypt.h"
#include "crypto/sha256.h"
#include "net/http_client.h"
#include "os/file.h"
#include "storage/rest_server/rest_path.h"
#include "storage/testing/rest_server.h"

namespace sevenfold::storage {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

net::HttpResponse ask(TestRestServer& server, const std::string& method, const std::string& path,
                      std::vector<net::HttpHeader> headers = {}, std::string_view body = {}) {
    net::HttpClient client;
    return client.perform({.method = method,
                           .url = server.url(path),
                           .headers = std::move(headers),
                           .body = as_bytes(body)});
}

std::string id_of(std::string_view body) { return crypto::sha256(as_bytes(body)).hex(); }

TEST(RestPath, Parses) {
    std::string id(64, 'a');
    auto what = [](std::string_view target) {
        auto path = parse_rest_path(target);
        return path ? fmt::format("{} {} {}", path->repository, static_cast<int>(path->what),
                                  path->file.display().substr(0, 12))
                    : "none";
    };
    EXPECT_EQ(what("/config"), " 2 config");
    EXPECT_EQ(what("/a/b%20c/config"), "/a/b c 2 config");
    EXPECT_EQ(what("/a/data/" + id), "/a 2 data/aaaaaaa");
    EXPECT_EQ(what("/data/" + id), " 2 data/aaaaaaa");
    EXPECT_EQ(what("/a/keys/"), "/a 1 keys/0000000");
    EXPECT_EQ(what("/a/"), "/a 0 config");
    EXPECT_EQ(what("/"), " 0 config");
    EXPECT_EQ(what("/data/data/"), "/data 1 data/0000000");
}

TEST(RestPath, NothingLeadsOut) {
    std::string id(64, 'a');
    for (const std::string& target :
         std::vector<std::string>{"",
                                  "x",
                                  "/..",
                                  "/../config",
                                  "/a/../config",
                                  "/%2e%2e/config",
                                  "/a/%2E./config",
                                  "/.hidden/config",
                                  "/.htpasswd",
                                  "/a/./config",
                                  "//config",
                                  "/a//config",
                                  "/a%2f..%2fb/config",
                                  "/a%2fb/config",
                                  "/a%00/config",
                                  "/a%0a/config",
                                  "/a\\b/config",
                                  "/%zz/config",
                                  "/%/config",
                                  "/" + std::string(300, 'a') + "/config",
                                  std::string(3000, '/')})
        EXPECT_FALSE(parse_rest_path(target)) << target;
    std::string deep;
    for (int i = 0; i < 20; ++i) deep += "/a";
    EXPECT_FALSE(parse_rest_path(deep + "/config"));
    // Names that are not 64 lower-case digits are no files.
    for (const std::string& target :
         {"/a/data/" + std::string(63, 'a'), "/a/data/" + std::string(64, 'A'), "/a/data/aa/" + id,
          "/a/other/" + id})
        EXPECT_NE(parse_rest_path(target)->what, RestPath::What::file) << target;
}

// Whatever bytes: a path that is accepted stays below the root.
TEST(RestPath, RandomTargets) {
    SplitMix64 random(7);
    const std::string alphabet[] = {"/",    ".",    "..",     "%2e", "%2f", "%5c", "%00", "a",
                                    "data", "keys", "config", "%",   "\\",  "\n",  "~"};
    for (int i = 0; i < 20'000; ++i) {
        std::string target = "/";
        for (uint64_t n = random.below(8); n > 0; --n)
            target += alphabet[random.below(std::size(alphabet))];
        auto path = parse_rest_path(target);
        if (!path) continue;
        fs::path whole = fs::path("/root" + path->repository).lexically_normal();
        EXPECT_TRUE(whole.string().starts_with("/root")) << target;
        EXPECT_EQ(path->repository.find("/."), std::string::npos) << target;
    }
}

TEST(RightsFile, SaysWhatIsWrong) {
    EXPECT_EQ(parse_rights("", "f").size(), 0u);
    for (const char* text : {"a", "a /x", "a x full", "a /x fool", "a /x full much", "a /../x full",
                             "a /x full 1GiB more", "a /x full 0"}) {
        Error error = expect_error(ErrorKind::config,
                                   [&] { parse_rights("# c\n" + std::string(text), "f"); });
        EXPECT_THAT(error.message(), HasSubstr("f:2: "));
    }
}

TEST(RestServer, SpeaksBothVersions) {
    TestRestServer server(RestServerOptions{});
    EXPECT_EQ(ask(server, "GET", "/shop/data/").status, 404);
    EXPECT_EQ(ask(server, "POST", "/shop/?create=true").status, 200);
    EXPECT_EQ(ask(server, "POST", "/shop/?create=true").status, 200);
    std::string body = "some bytes", id = id_of(body);
    EXPECT_EQ(ask(server, "POST", "/shop/data/" + id, {}, body).status, 200);
    EXPECT_EQ(ask(server, "POST", "/shop/data/" + id, {}, body).status, 403);
    auto one = ask(server, "GET", "/shop/data/");
    EXPECT_EQ(as_text(one.body), "[\"" + id + "\"]");
    EXPECT_EQ(one.header("content-type"), "application/vnd.x.restic.rest.v1");
    auto two = ask(server, "GET", "/shop/data/", {{"Accept", "application/vnd.x.restic.rest.v2"}});
    EXPECT_EQ(as_text(two.body), "[{\"name\":\"" + id + "\",\"size\":10}]");
    EXPECT_EQ(two.header("content-type"), "application/vnd.x.restic.rest.v2");
    auto head = ask(server, "HEAD", "/shop/data/" + id);
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.content_length(), 10u);
    EXPECT_EQ(ask(server, "DELETE", "/shop/data/" + id).status, 200);
    EXPECT_EQ(ask(server, "DELETE", "/shop/data/" + id).status, 200);
    EXPECT_EQ(ask(server, "GET", "/shop/data/" + id).status, 404);
    EXPECT_EQ(ask(server, "PUT", "/shop/config").status, 405);
    EXPECT_EQ(ask(server, "POST", "/shop/").status, 405);
    EXPECT_EQ(ask(server, "GET", "/shop/").status, 404);
    EXPECT_EQ(ask(server, "GET", "/metrics").status, 404);
}

TEST(RestServer, Ranges) {
    TestRestServer server(RestServerOptions{});
    ask(server, "POST", "/?create=true");
    std::string body = "0123456789", path = "/data/" + id_of(body);
    ask(server, "POST", path, {}, body);
    auto range = [&](const std::string& text) {
        auto response = ask(server, "GET", path, {{"Range", text}});
        return fmt::format("{} {}", response.status,
                           response.status == 416 ? "" : as_text(response.body));
    };
    EXPECT_EQ(range("bytes=0-3"), "206 0123");
    EXPECT_EQ(range("bytes=8-"), "206 89");
    EXPECT_EQ(range("bytes=8-100"), "206 89");
    EXPECT_EQ(range("bytes=9-18446744073709551615"), "206 9");
    EXPECT_EQ(range("bytes=-3"), "206 789");
    EXPECT_EQ(range("bytes=-30"), "206 0123456789");
    EXPECT_EQ(range("bytes=10-"), "416 ");
    EXPECT_EQ(range("bytes=99999999999999999999999-"), "416 ");
    for (const char* text : {"bytes=3-1", "bytes=x", "bytes=-", "items=1-2", "bytes=1-2,4-5"})
        EXPECT_EQ(range(text), "200 0123456789") << text;
}

TEST(RestServer, TraversalIsRefused) {
    TestRestServer server(RestServerOptions{});
    ask(server, "POST", "/shop/?create=true");
    std::ofstream(server.folder() + "/.htpasswd") << "secret";
    fs::create_symlink("/etc/passwd", server.folder() + "/shop/keys/" + std::string(64, 'a'));
    EXPECT_EQ(ask(server, "GET", "/.htpasswd").status, 404);
    EXPECT_EQ(ask(server, "GET", "/shop/../.htpasswd").status, 404);
    EXPECT_EQ(ask(server, "GET", "/shop/%2e%2e/.htpasswd").status, 404);
    EXPECT_NE(ask(server, "GET", "/shop/keys/" + std::string(64, 'a')).status, 200);
    EXPECT_EQ(ask(server, "POST", "/../evil/?create=true").status, 404);
    EXPECT_EQ(ask(server, "POST", "/shop/%2e%2e/evil/?create=true").status, 404);
    EXPECT_FALSE(fs::exists(server.folder() + "/evil"));
}

TEST(RestServer, OneOfManyWinsAName) {
    TestRestServer server({.verify_uploads = false});
    ask(server, "POST", "/?create=true");
    std::atomic<int> stored{0}, refused{0};
    std::string path = "/snapshots/" + std::string(64, 'b');
    parallel_for(16, 16, [&](size_t i) {
        int status = ask(server, "POST", path, {}, std::string(100'000, char('a' + i))).status;
        ++(status == 200 ? stored : refused);
    });
    EXPECT_EQ(stored, 1);
    EXPECT_EQ(refused, 15);
    auto body = ask(server, "GET", path).body;
    ASSERT_EQ(body.size(), 100'000u);
    for (uint8_t c : body) ASSERT_EQ(c, body[0]);
}

TEST(RestServer, MetricsHaveARightOfTheirOwn) {
    TestFolder folder;
    os::write_file_atomically(folder / "users", as_bytes("one:" + crypto::bcrypt_hash("1", 4) +
                                                         "\nmon:" + crypto::bcrypt_hash("m", 4)));
    RestServerOptions options{.password_file = folder / "users", .quota = 1 << 20, .metrics = true};
    options.rights.by_rules = true;
    options.rights.rules = parse_rights("one / full\nmon metrics\n", "rights");
    TestRestServer server(std::move(options));
    auto as = [](std::string_view pair) {
        return std::vector<net::HttpHeader>{
            {"Authorization", "Basic " + to_base64(as_bytes(pair))}};
    };
    EXPECT_EQ(ask(server, "GET", "/metrics").status, 401);
    EXPECT_EQ(ask(server, "GET", "/metrics", as("one:1")).status, 403);
    EXPECT_EQ(ask(server, "GET", "/x/config", as("mon:m")).status, 403);
    ask(server, "POST", "/a%22b/?create=true", as("one:1"));
    EXPECT_EQ(ask(server, "POST", "/a%22b/config", as("one:1"), "12345").status, 200);
    auto response = ask(server, "GET", "/metrics", as("mon:m"));
    EXPECT_EQ(response.status, 200);
    for (const char* line :
         {"rest_server_blob_write_total{repo=\"a\\\"b\",type=\"config\",user=\"one\"} 1\n",
          "rest_server_blob_write_bytes_total{repo=\"a\\\"b\",type=\"config\",user=\"one\"} 5\n",
          "sevenfold_serve_requests_total{method=\"GET\",status=\"401\"} 1\n",
          "sevenfold_serve_used_bytes{folder=\"/\"} 5\n"})
        EXPECT_THAT(std::string(as_text(response.body)), HasSubstr(line));
}

TEST(RestServer, PrivateFolders) {
    TestFolder folder;
    os::write_file_atomically(folder / "users", as_bytes("joe:" + crypto::bcrypt_hash("1", 4)));
    RestServerOptions options{.password_file = folder / "users", .metrics = true};
    options.rights.private_folders = true;
    TestRestServer server(std::move(options));
    std::vector<net::HttpHeader> joe{{"Authorization", "Basic " + to_base64(as_bytes("joe:1"))}};
    EXPECT_EQ(ask(server, "POST", "/joe/?create=true", joe).status, 200);
    EXPECT_EQ(ask(server, "POST", "/joe/shop/?create=true", joe).status, 200);
    EXPECT_EQ(ask(server, "POST", "/joe2/?create=true", joe).status, 403);
    EXPECT_EQ(ask(server, "POST", "/?create=true", joe).status, 403);
    EXPECT_EQ(ask(server, "GET", "/metrics", joe).status, 403);
}

TEST(RestServer, LogLines) {
    net::ServerRequest request{.method = "GET",
                               .target = "/a\"b\n",
                               .headers = {{"user-agent", "x\" y"}},
                               .peer = "1.2.3.4"};
    net::ServerResponse response{.status = 200, .user = "jo e"};
    std::string line = access_log_line({.request = request,
                                        .response = response,
                                        .sent = 7,
                                        .complete = true,
                                        .took = std::chrono::milliseconds(1500)});
    EXPECT_THAT(line,
                testing::MatchesRegex(
                    "1.2.3.4 - jo_e \\[.*\\] \"GET /a\\\\\"b\\\\x0[aA] HTTP/1.1\" 200 7 \"-\" "
                    "\"x\\\\\" y\" 1.500"));
}

}  // namespace
}  // namespace sevenfold::storage
