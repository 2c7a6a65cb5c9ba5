#include "net/http_client.h"

#include <gmock/gmock.h>

#include <thread>

#include "core/error.h"
#include "net/testing/http_server.h"

namespace sevenfold::net {
namespace {

using testing::HasSubstr;

Error error_of(HttpClient& client, const HttpRequest& request, ErrorKind kind) {
    try {
        client.perform(request);
    } catch (const Error& error) {
        EXPECT_EQ(name(error.kind()), name(kind)) << error.message();
        return error;
    }
    ADD_FAILURE() << "no error";
    return Error(ErrorKind::internal, "none");
}

TEST(PercentEncoding, BothWays) {
    EXPECT_EQ(percent_encode("az AZ09-._~/+\xc3\xbc"), "az%20AZ09-._~%2F%2B%C3%BC");
    EXPECT_EQ(percent_encode("a/b c", "/"), "a/b%20c");
    EXPECT_EQ(percent_decode("a%2fb%C3%BC+"), "a/b\xc3\xbc+");
    for (const char* bad : {"%", "a%2", "%g0", "%%20"}) EXPECT_FALSE(percent_decode(bad)) << bad;
}

TEST(HttpClient, OneConnectionServesManyRequests) {
    TestHttpServer server([](const ServedRequest& request) {
        return answer(request.method == "DELETE" ? 204 : 200, request.method + request.body,
                      {{"X-Thing", " two words "}});
    });
    HttpClient client;
    HttpResponse got = client.perform(
        {.url = server.url("/a%20b/../c?q=1"), .headers = {{"X-Mine", "1"}, {"X-Empty", ""}}});
    EXPECT_EQ(got.status, 200);
    EXPECT_EQ(as_text(got.body), "GET");
    EXPECT_EQ(got.header("x-thing"), "two words");
    EXPECT_EQ(got.content_length(), 3u);
    client.perform({.method = "PUT", .url = server.url(), .body = as_bytes("body")});
    client.perform({.method = "PUT", .url = server.url(), .body = {}, .ask_first = true});
    EXPECT_TRUE(client.perform({.method = "HEAD", .url = server.url("/h")}).body.empty());
    auto requests = server.requests();
    ASSERT_EQ(requests.size(), 4u);
    EXPECT_EQ(requests[0].target, "/a%20b/../c?q=1");
    EXPECT_EQ(requests[0].header("x-mine"), "1");
    EXPECT_EQ(requests[0].header("expect"), "");
    EXPECT_EQ(requests[1].body, "body");
    EXPECT_EQ(requests[2].header("content-length"), "0");
    EXPECT_EQ(client.connections(), 1u);
}

TEST(HttpClient, ARefusedBodyIsNotSent) {
    TestHttpServer server([](const ServedRequest&) { return answer(200); });
    server.before_body([](const ServedRequest& request) {
        return request.target == "/no" ? answer(403, "denied") : ServedAnswer{};
    });
    HttpClient client;
    std::string body(3 << 20, 'x');
    HttpRequest request{
        .method = "PUT", .url = server.url("/no"), .body = as_bytes(body), .ask_first = true};
    for (int i = 0; i < 3; ++i) {
        HttpResponse refused = client.perform(request);
        EXPECT_EQ(refused.status, 403);
        EXPECT_EQ(as_text(refused.body), "denied");
    }
    request.url = server.url("/yes");
    EXPECT_EQ(client.perform(request).status, 200);
    auto requests = server.requests();
    ASSERT_EQ(requests.size(), 4u) << "what was sent of a body would count as a request";
    for (int i = 0; i < 3; ++i) EXPECT_EQ(requests[i].target, "/no");
    EXPECT_EQ(requests[3].body, body);
}

TEST(HttpClient, AServerThatNeverAgreesIsAskedOnce) {
    TestHttpServer server([](const ServedRequest&) { return answer(200); });
    server.never_continue();
    HttpClient client;
    HttpRequest request{
        .method = "PUT", .url = server.url(), .body = as_bytes("abc"), .ask_first = true};
    client.perform(request);
    client.perform(request);
    auto requests = server.requests();
    ASSERT_EQ(requests.size(), 2u);
    EXPECT_EQ(requests[0].header("expect"), "100-continue");
    EXPECT_EQ(requests[1].header("expect"), "");
    EXPECT_EQ(requests[1].body, "abc");
}

// A server closes an idle connection without a word: the body goes again over a new one.
TEST(HttpClient, AClosedConnectionIsReplaced) {
    TestHttpServer server([](const ServedRequest&) {
        ServedAnswer reply = answer(200);
        reply.close = true;
        return reply;
    });
    HttpClient client;
    std::string body(1 << 20, 'x');
    for (int i = 0; i < 4; ++i)
        EXPECT_EQ(
            client.perform({.method = "PUT", .url = server.url(), .body = as_bytes(body)}).status,
            200);
    for (const ServedRequest& request : server.requests()) EXPECT_EQ(request.body, body);
    EXPECT_EQ(server.requests().size(), 4u);
}

TEST(HttpClient, WrongAnswersAreErrors) {
    ServedAnswer reply;
    TestHttpServer server([&](const ServedRequest&) { return reply; });
    HttpClient client;
    HttpRequest request{.url = server.url()};
    const std::pair<const char*, const char*> kWrong[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "cut off"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc", ""},
        {"HTTP/1.1 200 OK\r\nContent-Le", ""},
        {"", "without an answer"},
        {"hello\r\n\r\n", ""}};
    for (auto [bytes, said] : kWrong) {
        reply = {bytes, true};
        EXPECT_THAT(error_of(client, request, ErrorKind::network).message(), HasSubstr(said))
            << bytes;
    }
    reply = {"HTTP/1.1 200 OK\r\n", true};
    while (reply.bytes.size() < (1 << 20)) reply.bytes += "X-Filler: 0123456789\r\n";
    EXPECT_THAT(error_of(client, request, ErrorKind::network).message(), HasSubstr("header"));
    reply = answer(200, "fine");
    EXPECT_EQ(client.perform(request).status, 200);
}

TEST(HttpClient, KeepsToTheLimitOfAnAnswer) {
    TestHttpServer server([](const ServedRequest& request) {
        return answer(200, std::string(request.target == "/large" ? 1'000'001 : 1'000'000, 'x'));
    });
    HttpClient client;
    HttpResponse fits = client.perform({.url = server.url(), .response_limit = 1'000'000});
    EXPECT_FALSE(fits.cut);
    EXPECT_EQ(fits.body.size(), 1'000'000u);
    HttpResponse large = client.perform({.url = server.url("/large"), .response_limit = 1'000'000});
    EXPECT_TRUE(large.cut);
    EXPECT_EQ(large.content_length(), 1'000'001u);
    EXPECT_EQ(client.perform({.url = server.url()}).body.size(), 1'000'000u);
}

TEST(HttpClient, GivesUpOnAServerThatStandsStill) {
    TestHttpServer server([](const ServedRequest&) {
        return ServedAnswer{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", false};
    });
    HttpClient client({.stall_timeout = std::chrono::milliseconds(200)});
    error_of(client, {.url = server.url()}, ErrorKind::timeout);
    std::stop_source stop;
    HttpClient stopped({.stop = stop.get_token()});
    stop.request_stop();
    error_of(stopped, {.url = server.url()}, ErrorKind::interrupted);
}

// An interrupted run still removes its lock.
TEST(HttpClient, ARequestThatMovesIsFinishedWhenAskedToStop) {
    TestHttpServer server([](const ServedRequest&) { return answer(200); });
    std::stop_source stop;
    stop.request_stop();
    HttpClient client({.stop = stop.get_token()});
    EXPECT_EQ(client.perform({.url = server.url()}).status, 200);
}

TEST(HttpClient, NamesWhyAServerIsNotReached) {
    uint16_t port;
    {
        TestHttpServer server([](const ServedRequest&) { return answer(200); });
        port = server.port();
    }
    HttpClient client;
    std::string url = "http://127.0.0.1:" + std::to_string(port) + "/?secret";
    Error refused = error_of(client, {.url = url}, ErrorKind::network);
    EXPECT_THAT(refused.message(), HasSubstr("refused"));
    Error unknown = error_of(client, {.url = "http://no.such.host.invalid/"}, ErrorKind::network);
    EXPECT_THAT(unknown.message(), HasSubstr("no.such.host.invalid"));
    error_of(client, {.url = "file:///etc/passwd"}, ErrorKind::network);
    HttpClient strange({.ca_file = "/nonexistent/ca.pem"});
    TestHttpServer plain([](const ServedRequest&) { return answer(200); });
    std::string https = "https://127.0.0.1:" + std::to_string(plain.port()) + "/";
    EXPECT_THAT(error_of(strange, {.url = https}, ErrorKind::config).message(),
                HasSubstr("/nonexistent/ca.pem"));
    Error no_tls = error_of(client, {.url = https}, ErrorKind::network);
    EXPECT_THAT(no_tls.hint(), HasSubstr("https"));
}

TEST(HttpClient, SeveralThreadsAndPacing) {
    TestHttpServer server(
        [](const ServedRequest& request) { return answer(200, std::string(request.body)); });
    std::atomic<size_t> up{0}, down{0};
    HttpClient client({.pace_upload = [&](size_t bytes) { up += bytes; },
                       .pace_download = [&](size_t bytes) { down += bytes; }});
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&, i] {
            for (int k = 0; k < 10; ++k) {
                std::string body(100'000 + i, static_cast<char>('a' + i));
                EXPECT_EQ(
                    as_text(client
                                .perform(
                                    {.method = "POST", .url = server.url(), .body = as_bytes(body)})
                                .body),
                    body);
            }
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_LE(client.connections(), 4u);
    EXPECT_EQ(up, 10u * 400'006);
    EXPECT_EQ(down, up);
}

}  // namespace
}  // namespace sevenfold::net
