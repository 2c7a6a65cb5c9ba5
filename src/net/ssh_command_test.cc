#include "net/ssh_command.h"

#include <gmock/gmock.h>

namespace sevenfold::net {
namespace {

TEST(SshCommand, PutsTheUsersArgumentsFirst) {
    auto argv = ssh_subsystem_command({"host", "joe", 2222}, "sftp", {"-F", "file"}, false);
    EXPECT_EQ(argv[0], "ssh");
    EXPECT_EQ(argv[1], "-F");
    EXPECT_THAT(argv, testing::IsSupersetOf({"BatchMode=yes", "-p", "2222", "-l", "joe"}));
    EXPECT_EQ(std::vector<std::string>(argv.end() - 4, argv.end()),
              (std::vector<std::string>{"-s", "--", "host", "sftp"}));
    for (const std::string& word : argv)
        EXPECT_THAT(word, testing::Not(testing::HasSubstr("StrictHostKeyChecking")));
    auto asking = ssh_subsystem_command({"host", "", 0}, "sftp", {}, true);
    EXPECT_THAT(asking, testing::Not(testing::Contains("BatchMode=yes")));
}

TEST(SshCommand, ExplainsFailures) {
    auto kind = [](std::string_view words) { return explain_ssh_failure("x", words, "").kind(); };
    EXPECT_EQ(kind("joe@host: Permission denied (publickey).\r\n"), ErrorKind::permission);
    EXPECT_EQ(kind("No ED25519 host key is known for h.\nHost key verification failed.\r\n"),
              ErrorKind::refused);
    EXPECT_EQ(kind("ssh: Could not resolve hostname h: Name or service not known"),
              ErrorKind::network);
    EXPECT_EQ(kind("subsystem request failed on channel 0"), ErrorKind::unsupported);
    Error error = explain_ssh_failure("sftp:h:/x", "", "exit code 255");
    EXPECT_EQ(error.message(), "sftp:h:/x: the connection failed: exit code 255");
    EXPECT_EQ(error.kind(), ErrorKind::network);
}

TEST(SshCommand, LastLinesAreSafeToPrint) {
    EXPECT_EQ(last_lines("a\nb\r\n\nc\x1b[31m\n", 2), "b; c\\x1b[31m");
    EXPECT_EQ(last_lines("", 2), "");
}

}  // namespace
}  // namespace sevenfold::net
