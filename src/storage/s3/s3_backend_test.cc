// The backend against a real server; what servers do wrong is in s3_client_test.cc.
#include "storage/s3/s3_backend.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "crypto/sha256.h"
#include "os/file.h"
#include "storage/open.h"
#include "storage/testing/rgw.h"
#include "storage/testing/sshd.h"

namespace sevenfold::storage {
namespace {

using testing::HasSubstr;
using testing::Not;

// One server for all tests of this file; each uses a bucket or prefix of its own.
TestRgw& server() {
    static TestRgw rgw;
    return rgw;
}

const std::string& shared_bucket() {
    static const std::string bucket = server().make_bucket();
    return bucket;
}

std::string fresh_prefix() {
    static std::atomic<int> count{0};
    return "some folder/repo" + std::to_string(++count);
}

std::unique_ptr<S3Backend> direct(const S3ClientOptions& options, const std::string& prefix,
                                  const std::string& storage_class = "") {
    return std::make_unique<S3Backend>(
        options, S3BackendOptions{.location = "s3:test",
                                  .prefix = prefix,
                                  .classes = parse_storage_classes(storage_class)});
}

struct RgwPlace : ContractPlace {
    std::string prefix = fresh_prefix();
    std::unique_ptr<Backend> open() override {
        return direct(server().options(shared_bucket()), prefix);
    }
};

// Through a URL, with limits and retries, at the top of a bucket.
struct UrlPlace : ContractPlace {
    std::string bucket = server().make_bucket();
    std::unique_ptr<Backend> open() override {
        BackendOptions options{.upload_limit = 200 << 20, .download_limit = 200 << 20};
        options.s3.credentials = server().owner();
        return open_backend(
            parse_location(fmt::format("s3:http://127.0.0.1:{}/{}", server().port(), bucket)),
            options);
    }
};

INSTANTIATE_TEST_SUITE_P(
    S3, BackendContract,
    testing::Values(contract("prefix", [] { return std::make_unique<RgwPlace>(); }),
                    contract("url", [] { return std::make_unique<UrlPlace>(); })),
    contract_name);

class S3Test : public testing::Test {
  protected:
    std::string bucket_ = server().make_bucket();
    S3ClientOptions options_ = server().options(bucket_);
    FileName pack_ = test_name(FileType::pack, 1);
};

TEST_F(S3Test, HasResticsLayout) {
    auto backend = direct(options_, "p");
    backend->create();
    backend->store({FileType::config}, as_bytes("c"));
    backend->store(pack_, as_bytes("pack"));
    FileName snapshot = test_name(FileType::snapshot, 2);
    backend->store(snapshot, as_bytes("s"));
    std::vector<std::string> keys;
    for (const S3Object& object : backend->client().list("", "test")) keys.push_back(object.key);
    std::string hex = pack_.id.hex();
    EXPECT_THAT(keys, testing::ElementsAre("p/config", "p/data/" + hex.substr(0, 2) + "/" + hex,
                                           "p/snapshots/" + snapshot.id.hex()));
    EXPECT_FALSE(backend->free_space());
    EXPECT_TRUE(backend->capabilities().remote);
}

TEST_F(S3Test, ListsMoreThanAPage) {
    S3Client client(options_);
    auto put = [&](const std::string& key) {
        S3Client::Body body{as_bytes("x"), crypto::sha256(as_bytes("x")).hex(), ""};
        EXPECT_TRUE(client.put(key, body, {}, "test"));
    };
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (int i = t; i < 1100; i += 4)
                put("snapshots/" + test_name(FileType::snapshot, i).id.hex());
        });
    for (std::thread& thread : threads) thread.join();
    for (const char* stranger :
         {"snapshots/README", "snapshots/a/b", "snapshotsx", "snapshots/\u00fc +%&<"})
        put(stranger);
    put("data/ab/" + test_name(FileType::pack, 1).id.hex());
    put("data/" + test_name(FileType::pack, 1).id.hex());
    EXPECT_EQ(client.list("snapshots/", "test").size(), 1103u);
    auto backend = direct(options_, "");
    EXPECT_EQ(backend->list_all(FileType::snapshot).size(), 1100u);
    EXPECT_TRUE(backend->list_all(FileType::pack).empty()) << "where load() would not look";
}

TEST_F(S3Test, CreatesOnlyOnce) {
    S3Client client(options_);
    S3Client::Body one{as_bytes("one"), crypto::sha256(as_bytes("one")).hex(), ""};
    S3Client::Body two{as_bytes("two"), crypto::sha256(as_bytes("two")).hex(), ""};
    EXPECT_TRUE(client.put("k", one, {.create_only = true}, "test"));
    EXPECT_FALSE(client.put("k", two, {.create_only = true}, "test"));
    EXPECT_TRUE(client.knows_create_only());
    EXPECT_EQ(as_text(client.get("k", 10, "test").bytes), "one");
    auto backend = direct(options_, "");
    backend->store({FileType::config}, as_bytes("config"));
    backend->store({FileType::config}, as_bytes("config"));  // as after a lost answer
    Error error =
        expect_error(ErrorKind::exists, [&] { backend->store({FileType::config}, as_bytes("x")); });
    EXPECT_THAT(error.message(), HasSubstr("config"));
    EXPECT_EQ(as_text(backend->load_all({FileType::config})), "config");
}

// The server itself finds out what was changed on the way.
TEST_F(S3Test, TheServerChecksWhatArrives) {
    S3Client client(options_);
    S3Client::Body wrong{as_bytes("one"), crypto::sha256(as_bytes("two")).hex(), ""};
    expect_error(ErrorKind::network, [&] { client.put("k", wrong, {}, "test"); });
    S3Client::Body wrong_md5{as_bytes("one"), crypto::sha256(as_bytes("one")).hex(),
                             std::string(32, '0')};
    expect_error(ErrorKind::network, [&] { client.put("k", wrong_md5, {}, "test"); });
    expect_error(ErrorKind::not_found, [&] { client.head("k", "test"); });
}

TEST_F(S3Test, MissingBucket) {
    options_.bucket = "no-such-bucket";
    auto backend = direct(options_, "p");
    for (const std::function<void()>& call : std::vector<std::function<void()>>{
             [&] { backend->create(); }, [&] { backend->store(pack_, as_bytes("x")); },
             [&] { backend->load_all(pack_); }, [&] { backend->list_all(FileType::pack); }}) {
        Error error = expect_error(ErrorKind::not_found, call);
        EXPECT_THAT(error.message(), HasSubstr("bucket no-such-bucket does not exist"));
        EXPECT_THAT(error.hint(), HasSubstr("create the bucket"));
    }
}

TEST_F(S3Test, WrongCredentials) {
    TestFolder folder;
    auto with = [&](const std::string& text) {
        os::write_file_atomically(folder / "keys", as_bytes(text));
        S3ClientOptions options = options_;
        options.credentials.source = "file:" + (folder / "keys");
        return direct(options, "p");
    };
    auto says = [&](Backend& backend, const char* what) {
        for (const std::function<void()>& call : std::vector<std::function<void()>>{
                 [&] { backend.store(pack_, test_body(1 << 20, 1)); }, [&] { backend.size(pack_); },
                 [&] { backend.list_all(FileType::pack); }, [&] { backend.remove(pack_); }}) {
            Error error = expect_error(ErrorKind::permission, call);
            EXPECT_THAT(error.message(), HasSubstr(what));
            EXPECT_THAT(error.message() + error.hint(), Not(HasSubstr("hunter2")));
            EXPECT_FALSE(error.hint().empty());
        }
    };
    says(*with("aws_access_key_id=NOBODY\naws_secret_access_key=hunter2\n"),
         "access key is not known");
    says(*with("aws_access_key_id=SFTESTKEY\naws_secret_access_key=hunter2\n"),
         "secret key is wrong");
    options_.credentials.source = server().other_user();
    says(*direct(options_, "p"), "access denied");
    options_.credentials.source = "anonymous";
    says(*direct(options_, "p"), "access denied");
}

TEST_F(S3Test, AClockThatIsWrong) {
    struct Ahead : Clock {
        Time now() const override { return system().now().plus(std::chrono::hours(3)); }
        std::chrono::steady_clock::time_point steady() const override { return {}; }
    } ahead;
    options_.clock = &ahead;
    auto backend = direct(options_, "p");
    for (const std::function<void()>& call : std::vector<std::function<void()>>{
             [&] { backend->store(pack_, as_bytes("x")); }, [&] { backend->size(pack_); }}) {
        Error error = expect_error(ErrorKind::permission, call);
        EXPECT_THAT(error.message(), HasSubstr("clock is 3 h ahead of the server's"));
        EXPECT_THAT(error.hint(), HasSubstr("clock"));
    }
}

TEST_F(S3Test, PresignedUrls) {
    S3Client client(options_);
    std::string key = "a b/\u00fc+&=.txt";
    client.put(key, {as_bytes("text"), crypto::sha256(as_bytes("text")).hex(), ""}, {}, "test");
    net::HttpClient anybody;
    net::HttpResponse response = anybody.perform({.url = client.presigned_get(key, 60)});
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(as_text(response.body), "text");
    response = anybody.perform({.url = client.presigned_get(key, 60) + "0"});
    EXPECT_EQ(response.status, 403);
}

TEST_F(S3Test, VersionsStayWhenFilesAreRemoved) {
    ASSERT_EQ(s3_request(options_, "PUT", "", "versioning",
                         "<VersioningConfiguration><Status>Enabled</Status>"
                         "</VersioningConfiguration>"),
              200);
    auto backend = direct(options_, "");
    backend->store(pack_, as_bytes("one"));
    backend->remove(pack_);
    EXPECT_FALSE(backend->exists(pack_));
    EXPECT_TRUE(backend->list_all(FileType::pack).empty());
    backend->store(pack_, as_bytes("two"));
    EXPECT_EQ(as_text(backend->load_all(pack_)), "two");
}

TEST_F(S3Test, StorageClasses) {
    auto backend = direct(options_, "", "STANDARD");
    backend->store(pack_, as_bytes("x"));
    expect_error(ErrorKind::config, [&] { direct(options_, "", "DEEP_ARCHIVE"); });
    expect_error(ErrorKind::config, [&] { direct(options_, "", "a\r\nb"); });
    auto unknown = direct(options_, "", "NO_SUCH_CLASS");
    unknown->store(test_name(FileType::index, 1), as_bytes("packs only"));
}

// Connections cut in the middle of everything: with tries again nothing is lost or doubled.
TEST_F(S3Test, SurvivesCutConnections) {
    ConnectionCutter cutter(server().port());
    BackendOptions options;
    options.s3.credentials = server().owner();
    auto backend = open_backend(
        parse_location(fmt::format("s3:http://127.0.0.1:{}/{}/x", cutter.port(), bucket_)),
        options);
    backend->create();
    Bytes body = test_body(5 << 20, 7);
    for (int64_t bytes : {100, 700, 100'000, 3'000'000, 5'242'000}) {
        FileName name = test_name(FileType::pack, static_cast<uint64_t>(bytes));
        cutter.cut_after_up(bytes);
        backend->store(name, body);
        cutter.cut_after_down(bytes);
        EXPECT_EQ(backend->load_all(name), body);
        cutter.cut_after_down(bytes);
        EXPECT_EQ(backend->load(name, 5, 4 << 20),
                  Bytes(body.begin() + 5, body.begin() + 5 + (4 << 20)));
    }
    cutter.cut();
    EXPECT_EQ(backend->list_all(FileType::pack).size(), 5u);
    EXPECT_GE(cutter.cuts(), 10);
    cutter.cut_after_down(100);
    backend->remove(test_name(FileType::pack, 100));
    EXPECT_EQ(backend->list_all(FileType::pack).size(), 4u);
}

TEST_F(S3Test, AServerThatIsDown) {
    ConnectionCutter cutter(server().port());
    cutter.refuse(true);
    auto backend = direct(server().options(bucket_, cutter.port()), "p");
    expect_error(ErrorKind::network, [&] { backend->size(pack_); });
    cutter.refuse(false);
    expect_error(ErrorKind::not_found, [&] { backend->size(pack_); });
}

}  // namespace
}  // namespace sevenfold::storage
