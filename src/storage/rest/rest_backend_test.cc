#include "storage/rest/rest_backend.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <thread>

#include "core/error.h"
#include "crypto/bcrypt.h"
#include "crypto/sha256.h"
#include "net/testing/http_server.h"
#include "os/file.h"
#include "storage/open.h"
#include "storage/testing/rest_server.h"
#include "storage/testing/sshd.h"

namespace sevenfold::storage {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

BackendOptions no_retries() {
    BackendOptions options;
    options.retry_for = std::chrono::nanoseconds(0);
    return options;
}

TestRestServer& shared_server() {
    static TestRestServer server;
    return server;
}

std::string fresh_name() {
    static std::atomic<int> count{0};
    return "a b/r\u00e9po" + std::to_string(++count);
}

struct RestPlace : ContractPlace {
    std::string name = fresh_name();
    std::unique_ptr<Backend> open() override {
        return open_backend(shared_server().location(name), no_retries());
    }
};

INSTANTIATE_TEST_SUITE_P(Rest, BackendContract,
                         testing::Values(contract("served",
                                                  [] { return std::make_unique<RestPlace>(); })),
                         contract_name);

// A name and a body that fit each other.
struct Stored {
    FileName name;
    Bytes body;
    explicit Stored(FileType type, uint64_t seed = 1, size_t size = 1000)
        : name{type}, body(test_body(size, seed)) {
        name.id = crypto::sha256(body);
    }
};

TEST(RestBackend, TheServerLooksAtWhatItGets) {
    TestRestServer server(RestServerOptions{});
    auto backend = open_backend(server.location("shop"), no_retries());
    backend->create();
    Stored good(FileType::pack, 1, 3 << 20);
    backend->store(good.name, good.body);
    backend->store(good.name, good.body);  // as after a lost answer
    FileName wrong = test_name(FileType::pack, 2);
    Error error =
        expect_error(ErrorKind::network, [&] { backend->store(wrong, as_bytes("other")); });
    EXPECT_THAT(error.message(), HasSubstr("hash"));
    EXPECT_FALSE(backend->exists(wrong));
    // Nothing is left of what was refused.
    size_t files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(server.folder()))
        files += entry.is_regular_file();
    EXPECT_EQ(files, 1u);
}

TEST(RestBackend, KeepsTheFirstOfTwoConfigs) {
    auto backend = open_backend(shared_server().location(fresh_name()), no_retries());
    backend->create();
    backend->store({FileType::config}, as_bytes("first"));
    backend->store({FileType::config}, as_bytes("first"));
    expect_error(ErrorKind::exists,
                 [&] { backend->store({FileType::config}, as_bytes("second")); });
    EXPECT_EQ(as_text(backend->load_all({FileType::config})), "first");
}

TEST(RestBackend, MissingRepositoriesAreNotEmpty) {
    auto backend = open_backend(shared_server().location(fresh_name()), no_retries());
    for (FileType type : kListedTypes)
        expect_error(ErrorKind::not_found, [&] { backend->list_all(type); });
    expect_error(ErrorKind::not_found,
                 [&] { backend->store(test_name(FileType::pack, 1), as_bytes("x")); });
}

TEST(RestBackend, AppendOnly) {
    TestRestServer server({.rights = {.most = Right::append}});
    auto backend = open_backend(server.location("shop"), no_retries());
    backend->create();
    Stored key(FileType::key), second_key(FileType::key, 2), pack(FileType::pack, 3),
        lock(FileType::lock, 4), snapshot(FileType::snapshot, 5);
    backend->store(key.name, key.body);  // the first one, before the config
    backend->store({FileType::config}, as_bytes("c"));
    for (const Stored* file : {&pack, &lock, &snapshot}) backend->store(file->name, file->body);
    Error error = expect_error(ErrorKind::permission,
                               [&] { backend->store(second_key.name, second_key.body); });
    EXPECT_THAT(error.message(), HasSubstr("key"));
    for (const Stored* file : {&pack, &key, &snapshot}) {
        expect_error(ErrorKind::permission, [&] { backend->remove(file->name); });
        expect_error(ErrorKind::permission,
                     [&] { backend->store(file->name, as_bytes("overwritten")); });
        EXPECT_EQ(backend->load_all(file->name), file->body);
    }
    expect_error(ErrorKind::permission, [&] { backend->remove({FileType::config}); });
    backend->remove(lock.name);
}

TEST(RestBackend, RightsByUserAndFolder) {
    TestFolder folder;
    // Cost 4, so that the test is fast: "one" and "two".
    os::write_file_atomically(
        folder / "users", as_bytes("one:" + crypto::bcrypt_hash("1", 4) +
                                   "\n\n# nobody\ntwo:" + crypto::bcrypt_hash("2:@", 4) + "\n"));
    RestServerOptions options{.password_file = folder / "users"};
    options.rights.by_rules = true;
    options.rights.rules = parse_rights(
        "one /        full\n"
        "two /shop    read  # a comment\n"
        "*   /shared  append\n"
        "one /shared/old read\n",
        "rights");
    TestRestServer server(std::move(options));
    auto open = [&](const std::string& name, const std::string& user) {
        return open_backend(server.location(name, user), no_retries());
    };
    Stored pack(FileType::pack);
    auto mine = open("shop", "one:1@");
    mine->create();
    mine->store({FileType::config}, as_bytes("c"));
    mine->store(pack.name, pack.body);
    auto theirs = open("shop", "two:2%3A%40@");
    EXPECT_EQ(theirs->load_all(pack.name), pack.body);
    EXPECT_EQ(theirs->list_all(FileType::pack).size(), 1u);
    Stored more(FileType::pack, 2);
    expect_error(ErrorKind::permission, [&] { theirs->store(more.name, more.body); });
    expect_error(ErrorKind::permission, [&] { theirs->remove(pack.name); });
    expect_error(ErrorKind::permission, [&] { open("elsewhere", "two:2%3A%40@")->create(); });
    expect_error(ErrorKind::permission, [&] { open("shop2", "two:2%3A%40@")->create(); });
    auto shared = open("shared", "two:2%3A%40@");
    shared->create();
    shared->store(pack.name, pack.body);
    expect_error(ErrorKind::permission, [&] { shared->remove(pack.name); });
    expect_error(ErrorKind::permission, [&] { open("shared/old", "one:1@")->create(); });
    for (const char* user : {"", "one:2@", "one@", "nobody:1@", "two:2@"}) {
        Error error = expect_error(ErrorKind::permission,
                                   [&] { open("shop", user)->load_all({FileType::config}); });
        EXPECT_THAT(error.message(), HasSubstr("401")) << user;
        EXPECT_THAT(error.hint(), HasSubstr("RESTIC_REST_PASSWORD"));
    }
    // A new password counts soon, and the old one no more.
    os::write_file_atomically(folder / "users", as_bytes("one:" + crypto::bcrypt_hash("new", 4)));
    auto works = [&](const char* user) {
        try {
            return open("shop", user)->exists({FileType::config});
        } catch (const Error&) {
            return false;
        }
    };
    EXPECT_TRUE(net::eventually([&] { return works("one:new@"); }));
    EXPECT_FALSE(works("one:1@"));
}

TEST(RestBackend, Quotas) {
    RestServerOptions options;
    options.rights.by_rules = true;
    options.rights.rules = parse_rights("* / full\n* /small full 10KiB\n", "rights");
    options.quota = 100'000;
    TestRestServer server(std::move(options));
    auto small = open_backend(server.location("small"), no_retries());
    auto large = open_backend(server.location("large"), no_retries());
    small->create();
    large->create();
    Stored first(FileType::pack, 1, 6000), second(FileType::pack, 2, 6000);
    small->store(first.name, first.body);
    Error error =
        expect_error(ErrorKind::no_space, [&] { small->store(second.name, second.body); });
    EXPECT_THAT(error.message(), HasSubstr("quota"));
    EXPECT_FALSE(small->exists(second.name));
    small->remove(first.name);
    small->store(second.name, second.body);
    Stored big(FileType::pack, 3, 95'000), fits(FileType::pack, 4, 90'000);
    expect_error(ErrorKind::no_space, [&] { large->store(big.name, big.body); });
    large->store(fits.name, fits.body);
}

TEST(RestBackend, NoRepositoryInsideOfAnother) {
    TestRestServer server;
    auto outer = open_backend(server.location("shop"), no_retries());
    outer->create();
    outer->store({FileType::config}, as_bytes("c"));
    for (const char* name : {"shop/inner", "shop/data", "shop/data/00"}) {
        auto inner = open_backend(server.location(name), no_retries());
        expect_error(ErrorKind::permission, [&] { inner->create(); });
        expect_error(ErrorKind::permission,
                     [&] { inner->store({FileType::config}, as_bytes("x")); });
    }
    // But a folder may be called so.
    auto named = open_backend(server.location("data"), no_retries());
    named->create();
    named->store({FileType::config}, as_bytes("d"));
    EXPECT_EQ(as_text(named->load_all({FileType::config})), "d");
}

std::unique_ptr<Backend> at_port(uint16_t port) {
    return open_backend(parse_location(fmt::format("rest:http://127.0.0.1:{}", port)),
                        no_retries());
}

TEST(RestBackend, ListingsOfVersion1) {
    std::string id(64, 'a'), gone(64, 'b');
    net::TestHttpServer server([&](const net::ServedRequest& request) -> net::ServedAnswer {
        if (request.method == "HEAD" && request.target == "/index/" + id)
            return {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"};
        if (request.method == "GET")
            return net::answer(200, "[\"" + id + "\",\"x\",\"" + gone + "\"]");
        return net::answer(404);
    });
    auto listed = at_port(server.port())->list_all(FileType::index);
    ASSERT_EQ(listed.size(), 1u);
    EXPECT_EQ(listed[0].size, 5u);
}

TEST(RestBackend, ListingsThatAreNone) {
    std::string text;
    net::TestHttpServer server([&](const net::ServedRequest&) {
        return net::answer(200, text, {{"Content-Type", "application/vnd.x.restic.rest.v2"}});
    });
    auto backend = at_port(server.port());
    for (const char* bad :
         {"", "[", "{}", "null", "[1]", "[[]]", "[{\"name\":\"x\"}]", "[{\"size\":1}]",
          "[{\"name\":\"x\",\"size\":-1}]", "[{\"name\":\"x\",\"size\":1.5}]",
          "[{\"name\":1,\"size\":1}]", "[{\"name\":\"x\",\"size\":{\"a\":1}}]", "<html>", "[] []",
          "[{\"name\":\"x\",\"size\":1}"}) {
        text = bad;
        SCOPED_TRACE(text);
        expect_error(ErrorKind::network, [&] { backend->list_all(FileType::pack); });
    }
    text = fmt::format(R"([{{"name":"{}","size":7,"more":"x"}},{{"name":"../x","size":1}}])",
                       std::string(64, 'a'));
    auto listed = backend->list_all(FileType::pack);
    ASSERT_EQ(listed.size(), 1u);
    EXPECT_EQ(listed[0].size, 7u);
}

TEST(RestBackend, SaysWhatTheServerAnswers) {
    struct Row {
        int status;
        ErrorKind kind;
    };
    for (Row row :
         {Row{401, ErrorKind::permission}, Row{403, ErrorKind::permission},
          Row{404, ErrorKind::not_found}, Row{413, ErrorKind::unsupported},
          Row{429, ErrorKind::network}, Row{500, ErrorKind::network}, Row{502, ErrorKind::network},
          Row{503, ErrorKind::network}, Row{504, ErrorKind::timeout}, Row{507, ErrorKind::no_space},
          Row{301, ErrorKind::unsupported}}) {
        SCOPED_TRACE(row.status);
        net::TestHttpServer server([&](const net::ServedRequest&) {
            return net::answer(row.status, "why\nmore", {{"Content-Type", "text/plain"}});
        });
        auto backend = at_port(server.port());
        Error error = expect_error(row.kind, [&] { backend->load_all({FileType::config}); });
        EXPECT_THAT(error.message(), HasSubstr(fmt::format("answers {}: why", row.status)));
        expect_error(row.kind, [&] { backend->load(test_name(FileType::pack, 1), 5, 10); });
        expect_error(row.kind, [&] { backend->list_all(FileType::pack); });
        expect_error(row.kind, [&] { backend->remove(test_name(FileType::pack, 1)); });
        expect_error(row.kind,
                     [&] { backend->store(test_name(FileType::pack, 1), as_bytes("x")); });
    }
}

TEST(RestBackend, AServerThatLies) {
    net::TestHttpServer server([&](const net::ServedRequest&) { return net::answer(206, "abc"); });
    auto backend = at_port(server.port());
    expect_error(ErrorKind::io, [&] { backend->load(test_name(FileType::pack, 1), 0, 10); });
    expect_error(ErrorKind::io, [&] { backend->load(test_name(FileType::pack, 1), 0, 2); });
    net::TestHttpServer whole([&](const net::ServedRequest&) { return net::answer(200, "abc"); });
    expect_error(ErrorKind::unsupported,
                 [&] { at_port(whole.port())->load(test_name(FileType::pack, 1), 0, 3); });
}

TEST(RestBackend, CutConnectionsLeaveNothingBehind) {
    ConnectionCutter cutter(shared_server().port());
    std::string name = fresh_name();
    auto open = [&] {  // anew: what breaks off on a connection used before goes again by itself
        return open_backend(shared_server().location(name, "", cutter.port()), no_retries());
    };
    open()->create();
    Stored pack(FileType::pack, 1, 4 << 20);
    for (int64_t bytes : {100, 70'000, 3'000'000}) {
        cutter.cut_after_up(bytes);
        expect_error(ErrorKind::network, [&] { open()->store(pack.name, pack.body); });
        EXPECT_FALSE(open()->exists(pack.name));
    }
    open()->store(pack.name, pack.body);
    cutter.cut_after_down(1'000'000);
    expect_error(ErrorKind::network, [&] { open()->load_all(pack.name); });
    EXPECT_EQ(open()->load_all(pack.name), pack.body);
    size_t leftovers = 0;
    for (const auto& entry :
         fs::recursive_directory_iterator(shared_server().folder() + "/" + name))
        leftovers += entry.is_regular_file() && entry.path().filename() != pack.name.id.hex();
    EXPECT_EQ(leftovers, 0u);
}

// Over ssh: a real sshd, and at the far end the server on a pipe.
TestSshd& sshd() {
    static TestSshd server;
    return server;
}

BackendOptions ssh_options(uint16_t port = 0) {
    BackendOptions options = sshd().options(port);
    options.ssh_program = SEVENFOLD_REST_PIPE;
    return options;
}

struct SshPlace : ContractPlace {
    std::string name = fresh_name();
    Location location() const {
        return parse_location("ssh:loopback:" + sshd().folder() + "/" + name);
    }
    std::unique_ptr<Backend> open() override { return open_backend(location(), ssh_options()); }
};

INSTANTIATE_TEST_SUITE_P(Ssh, BackendContract,
                         testing::Values(contract("sshd",
                                                  [] { return std::make_unique<SshPlace>(); })),
                         contract_name);

TEST(SshBackend, CutConnections) {
    SshPlace place;
    ConnectionCutter cutter(sshd().port());
    auto backend = open_backend(place.location(), ssh_options(cutter.port()));
    backend->create();
    Stored pack(FileType::pack, 1, 4 << 20);
    cutter.cut_after_up(2'000'000);
    Error error = expect_error(ErrorKind::network, [&] { backend->store(pack.name, pack.body); });
    EXPECT_THAT(error.message(), HasSubstr("ssh:loopback:"));
    EXPECT_FALSE(backend->exists(pack.name));
    backend->store(pack.name, pack.body);
    EXPECT_EQ(backend->load_all(pack.name), pack.body);
}

TEST(SshBackend, SaysWhyItCannotConnect) {
    SshPlace place;
    BackendOptions options = ssh_options();
    options.ssh_program = "/nonexistent/sevenfold";
    Error error = expect_error(ErrorKind::unsupported, [&] {
        open_backend(place.location(), options)->exists({FileType::config});
    });
    EXPECT_THAT(error.message(), HasSubstr("no such program"));
    options = ssh_options(1);  // nobody listens there
    error = expect_error(ErrorKind::network, [&] {
        open_backend(place.location(), options)->exists({FileType::config});
    });
    EXPECT_THAT(error.message(), HasSubstr("refused"));
    options = ssh_options();
    options.ssh_args.insert(options.ssh_args.end(), {"-o", "IdentityFile=/dev/null"});
    options.ssh_args[1] = "/dev/null";  // the configuration with the key
    options.ssh_args.insert(options.ssh_args.end(),
                            {"-o", "HostName=127.0.0.1", "-o", "HostKeyAlias=sevenfold-test", "-o",
                             "UserKnownHostsFile=" + sshd().known_hosts_path(), "-o",
                             "IdentitiesOnly=yes", "-o", "IdentityAgent=none"});
    expect_error(ErrorKind::permission,
                 [&] { open_backend(place.location(), options)->exists({FileType::config}); });
}

TEST(RestLocation, Parses) {
    auto parse = [](const std::string& url) { return parse_location(url); };
    Location full = parse("rest:https://joe:p%40ss@host:8000/a%20b//shop/");
    EXPECT_EQ(full.host, "host");
    EXPECT_EQ(full.port, 8000);
    EXPECT_EQ(full.user, "joe");
    EXPECT_EQ(full.password.reveal(), "p@ss");
    EXPECT_EQ(full.path, "a b/shop");
    EXPECT_EQ(full.display(), "rest:https://joe@host:8000/a%20b/shop/");
    for (const char* url :
         {"rest:http://127.0.0.1:1/", "rest:https://[::1]:8/x/", "rest:https://joe@host/",
          "ssh:joe@host:/dir", "ssh:host:dir", "ssh://joe@host:22//dir"})
        EXPECT_EQ(parse(parse(url).display()), parse(url)) << url;
    EXPECT_EQ(parse("ssh:joe@host:/dir").driver, Location::Driver::ssh);
    for (const char* url :
         {"rest:", "rest:host/x", "rest:https://", "rest:https:///x", "rest:https://host:0/",
          "rest:https://host:x/", "rest:https://-host/", "rest:https://@host/",
          "rest:https://host/../x", "rest:https://host/%2e%2e/", "rest:https://host/a%2fb/",
          "rest:https://host/%zz/", "rest:https://host/?a=b", "rest:https://ho st/",
          "rest:https://host/%00/", "ssh:joe:pw@host:/dir", "ssh:-x:/dir"})
        expect_error(ErrorKind::config, [&] { parse_location(url); });
}

}  // namespace
}  // namespace sevenfold::storage
