#include "storage/s3/credentials.h"

#include <gmock/gmock.h>

#include <map>

#include "net/testing/http_server.h"
#include "os/file.h"
#include "storage/testing/contract.h"

namespace sevenfold::storage {
namespace {

using testing::HasSubstr;
using testing::Not;

struct TestClock : Clock {
    Time at = parse_rfc3339("2026-01-01T00:00:00Z");
    Time now() const override { return at; }
    std::chrono::steady_clock::time_point steady() const override { return {}; }
};

class S3CredentialTest : public testing::Test {
  protected:
    TestFolder home_;
    TestClock clock_;
    std::map<std::string, std::string> environment_{{"HOME", home_.path()},
                                                    {"AWS_EC2_METADATA_DISABLED", "true"}};

    S3CredentialSource source(std::string name = "") {
        return S3CredentialSource({.source = std::move(name),
                                   .environment = [this](const char* variable) -> const char* {
                                       auto found = environment_.find(variable);
                                       return found == environment_.end() ? nullptr
                                                                          : found->second.c_str();
                                   },
                                   .clock = &clock_});
    }
    std::string write(const std::string& name, std::string_view text) {
        os::make_dirs(os::parent_dir(home_ / name));
        os::write_file_atomically(home_ / name, as_bytes(text));
        return home_ / name;
    }
    void expect(const std::string& name, const std::string& key, const std::string& secret,
                const std::string& token = "") {
        auto from = source(name);
        auto found = from.get();
        ASSERT_TRUE(found);
        EXPECT_EQ(found->access_key, key);
        EXPECT_EQ(found->secret_key.reveal(), secret);
        EXPECT_EQ(found->session_token.reveal(), token);
    }
    Error failure(const std::string& name) {
        Error error = expect_error(ErrorKind::config, [&] { source(name).get(); });
        EXPECT_THAT(error.message() + error.hint(), Not(HasSubstr("hunter2")));
        return error;
    }
};

TEST_F(S3CredentialTest, Environment) {
    EXPECT_THAT(failure("environment").hint(), HasSubstr("AWS_ACCESS_KEY_ID"));
    environment_["AWS_SECRET_ACCESS_KEY"] = "hunter2";
    EXPECT_THAT(failure("").message(), HasSubstr("AWS_ACCESS_KEY_ID is not"));
    environment_["AWS_ACCESS_KEY_ID"] = "K";
    expect("", "K", "hunter2");
    environment_["AWS_SESSION_TOKEN"] = "T";
    expect("environment", "K", "hunter2", "T");
    environment_["AWS_SECRET_ACCESS_KEY"] = "hunter2\r\nX: y";
    failure("");
}

TEST_F(S3CredentialTest, Profiles) {
    EXPECT_THAT(failure("").message(), HasSubstr("no S3 credentials found"));
    write(
        ".aws/credentials",
        "# comment\n[default]\naws_access_key_id = D\n aws_secret_access_key=secret=d\n\n"
        "[backup]\r\naws_access_key_id=B\r\naws_secret_access_key=sb\r\naws_session_token = t\r\n");
    write(".aws/config",
          "[default]\nregion = eu-west-3\ns3 =\n  region = nested\n"
          "[profile backup]\nregion = eu-north-1\naws_access_key_id = ignored\n"
          "[profile process]\ncredential_process = echo '{\"Version\":1,\"AccessKeyId\":\"P\","
          "\"SecretAccessKey\":\"sp\"}'\n[profile role]\nrole_arn = arn:x\n");
    expect("", "D", "secret=d");
    expect("profile:backup", "B", "sb", "t");
    expect("profile:process", "P", "sp");
    EXPECT_EQ(source().region(), "eu-west-3");
    EXPECT_EQ(source("profile:backup").region(), "eu-north-1");
    environment_["AWS_PROFILE"] = "backup";
    expect("", "B", "sb", "t");
    EXPECT_EQ(source().region(), "eu-north-1");
    environment_["AWS_REGION"] = "us-west-2";
    EXPECT_EQ(source().region(), "us-west-2");
    EXPECT_THAT(failure("profile:none").message(), HasSubstr("profile none"));
    expect_error(ErrorKind::unsupported, [&] { source("profile:role").get(); });
    environment_["AWS_SHARED_CREDENTIALS_FILE"] =
        write("elsewhere", "[backup]\naws_access_key_id=E\naws_secret_access_key=se\n");
    expect("", "E", "se");
}

TEST_F(S3CredentialTest, FilesAndCommands) {
    std::string path = write("keys", "aws_access_key_id = F\naws_secret_access_key = hunter2\n");
    expect("file:" + path, "F", "hunter2");
    expect("command:cat " + path, "F", "hunter2");
    expect(
        "command:echo '{\"AccessKeyId\":\"J\",\"SecretAccessKey\":\"s\",\"SessionToken\":\"t\"}'",
        "J", "s", "t");
    EXPECT_THAT(failure("file:/nonexistent").message(), HasSubstr("/nonexistent"));
    failure("file:" + write("empty", ""));
    failure("file:" + write("half", "aws_secret_access_key = hunter2\n"));
    failure("command:echo hunter2");
    EXPECT_THAT(failure("command:echo hunter2; exit 3").message(), HasSubstr("3"));
    failure("command:echo '{\"SecretAccessKey\":\"hunter2\"}'");
    failure("command:echo '{\"hunter2'");
    for (const char* wrong : {"hunter2", "file:", "profile:", "command:", "AKIA:hunter2"})
        expect_error(ErrorKind::config, [&] { source(wrong); });
    EXPECT_EQ(source("anonymous").get(), nullptr);
}

// A service as on an EC2 instance: version 2 only, a token for everything.
TEST_F(S3CredentialTest, TheMachinesRole) {
    int issued = 0;
    bool has_role = true;
    net::TestHttpServer server([&](const net::ServedRequest& request) {
        if (request.method == "PUT" && request.target == "/latest/api/token")
            return request.header("x-aws-ec2-metadata-token-ttl-seconds").empty()
                       ? net::answer(400)
                       : net::answer(200, "proof");
        if (request.header("x-aws-ec2-metadata-token") != "proof") return net::answer(401);
        if (!has_role) return net::answer(404, "<html/>");
        if (request.target == "/latest/meta-data/iam/security-credentials/")
            return net::answer(200, "backup role");
        if (request.target != "/latest/meta-data/iam/security-credentials/backup%20role")
            return net::answer(404);
        ++issued;
        return net::answer(200, fmt::format("{{\"Code\":\"Success\",\"AccessKeyId\":\"I{}\","
                                            "\"SecretAccessKey\":\"hunter2\",\"Token\":\"t\","
                                            "\"Expiration\":\"2026-01-01T0{}:00:00Z\"}}",
                                            issued, issued));
    });
    environment_.erase("AWS_EC2_METADATA_DISABLED");
    environment_["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = server.url("");
    auto from = source();
    auto first = from.get();
    EXPECT_EQ(first->access_key, "I1");
    EXPECT_EQ(first->session_token.reveal(), "t");
    clock_.at = parse_rfc3339("2026-01-01T00:54:59Z");
    EXPECT_EQ(from.get()->access_key, "I1");
    clock_.at = parse_rfc3339("2026-01-01T00:55:01Z");
    EXPECT_EQ(from.get()->access_key, "I2") << "renewed before it ends";
    from.renew(*first);  // that is the old one
    EXPECT_EQ(from.get()->access_key, "I2");
    from.renew(*from.get());
    EXPECT_EQ(from.get()->access_key, "I3");
    has_role = false;
    EXPECT_THAT(failure("instance").message(), HasSubstr("no role"));
    failure("");
}

}  // namespace
}  // namespace sevenfold::storage
