#include "os/child_process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "core/error.h"

namespace sevenfold::os {
namespace {

using Stream = ChildOptions::Stream;
using std::chrono::seconds;

TEST(RunCommand, FeedsInputAndCollectsOutput) {
    Bytes big(3'000'000, 'x');  // more than any pipe holds, both ways at once
    CommandOutput out = run_command({.argv = {"cat"}}, big);
    EXPECT_TRUE(out.status.ok());
    EXPECT_EQ(out.output, big);
}

TEST(RunCommand, ReportsExitAndStderr) {
    CommandOutput out = run_command({.argv = {"sh", "-c", "echo out; echo wrong >&2; exit 3"}});
    EXPECT_EQ(out.status.code, 3);
    EXPECT_EQ(out.status.display(), "exit code 3");
    EXPECT_EQ(as_text(out.output), "out\n");
    EXPECT_EQ(out.errors, "wrong\n");
    out = run_command({.argv = {"sh", "-c", "kill -TERM $$"}});
    EXPECT_EQ(out.status.signal, SIGTERM);
    EXPECT_FALSE(out.status.ok());
}

TEST(RunCommand, SurvivesAReaderThatStops) {
    Bytes big(3'000'000, 'x');
    CommandOutput out = run_command({.argv = {"true"}}, big);
    EXPECT_TRUE(out.status.ok());
}

TEST(RunCommand, Limits) {
    auto kind = [](auto call) {
        try {
            call();
        } catch (const Error& error) {
            return error.kind();
        }
        return ErrorKind::internal;
    };
    EXPECT_EQ(kind([] {
                  run_command({.argv = {"sleep", "100"}}, {}, std::chrono::milliseconds(1));
              }),
              ErrorKind::timeout);
    EXPECT_EQ(kind([] {
                  run_command({.argv = {"cat", "/dev/zero"}}, {}, seconds(60), 1000);
              }),
              ErrorKind::io);
    EXPECT_EQ(kind([] { run_command({.argv = {"no-such-program-here"}}); }), ErrorKind::not_found);
    EXPECT_EQ(kind([] { run_command({.argv = {"/etc/passwd"}}); }), ErrorKind::permission);
}

TEST(RunCommand, PassesArgumentsAndEnvironmentUntouched) {
    CommandOutput out =
        run_command({.argv = {"sh", "-c", "printf %s \"$1|$VALUE|$PATH\"", "sh", "a b;$(touch x)'"},
                     .environment = {{"VALUE", "v=1"}}});
    EXPECT_EQ(as_text(out.output), std::string("a b;$(touch x)'|v=1|") + ::getenv("PATH"));
}

TEST(ChildProcess, InheritsNothingElse) {
    int leaky = ::open("/dev/null", O_RDONLY);  // without O_CLOEXEC
    ASSERT_GT(leaky, 2);
    CommandOutput out = run_command({.argv = {"sh", "-c", "ls /proc/$$/fd"}});
    ::close(leaky);
    EXPECT_EQ(as_text(out.output), "0\n1\n2\n");
}

TEST(ChildProcess, StartsWithDefaultSignals) {
    auto former = ::signal(SIGTERM, SIG_IGN);
    CommandOutput out = run_command({.argv = {"sh", "-c", "kill -TERM $$; echo alive"}});
    ::signal(SIGTERM, former);
    EXPECT_EQ(out.status.signal, SIGTERM);
}

TEST(ChildProcess, DestructionKillsAndReaps) {
    pid_t pid;
    {
        ChildProcess child({.argv = {"sleep", "1000"}, .own_group = true});
        pid = child.pid();
        EXPECT_EQ(::getpgid(pid), pid);
        EXPECT_FALSE(child.wait_for(std::chrono::nanoseconds(0)));
    }
    EXPECT_EQ(::kill(pid, 0), -1);
    EXPECT_EQ(errno, ESRCH);
}

TEST(ChildProcess, DoesNotWaitForGrandchildrenThatHoldStderr) {
    auto started = std::chrono::steady_clock::now();
    CommandOutput out = run_command(
        {.argv = {"sh", "-c", "sleep 30 >/dev/null & echo $!; echo gone >&2"}}, {}, seconds(20));
    EXPECT_EQ(out.errors, "gone\n");
    EXPECT_LT(std::chrono::steady_clock::now() - started, seconds(15));
    ::kill(std::stoi(std::string(as_text(out.output))), SIGKILL);
}

TEST(ChildProcess, KeepsTheEndOfStderr) {
    CommandOutput out =
        run_command({.argv = {"sh", "-c", "seq 1 20000 >&2; echo the last line >&2"}});
    EXPECT_LE(out.errors.size(), 8192u);
    EXPECT_THAT(out.errors, testing::EndsWith("20000\nthe last line\n"));
}

TEST(ChildProcess, ForkedChildrenBehaveLikeSpawnedOnes) {
    ChildOptions options{.argv = {"sh", "-c", "cat; echo error >&2; exit 3"},
                         .environment = {{"SEVENFOLD_TEST", "x"}},
                         .own_group = true,
                         .die_with_parent = true};
    CommandOutput out = run_command(options, as_bytes("input"));
    EXPECT_EQ(as_text(out.output), "input");
    EXPECT_EQ(out.errors, "error\n");
    EXPECT_EQ(out.status.code, 3);
    // Nothing of ours is open there but the standard streams; ls opens one more.
    options.argv = {"ls", "/proc/self/fd"};
    EXPECT_EQ(as_text(run_command(options).output), "0\n1\n2\n3\n");
    options.argv = {"/nonexistent/program"};
    EXPECT_THROW(ChildProcess{options}, Error);
    options.argv = {"no-such-program-in-path"};
    try {
        ChildProcess child(options);
        ADD_FAILURE() << "started";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::not_found);
    }
}

TEST(ChildProcess, DiesWithItsParentAlsoWhenThatIsKilled) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    pid_t parent = ::fork();
    if (parent == 0) {
        // Only that the child is started from a thread which ends, so that not the thread counts.
        std::unique_ptr<ChildProcess> child;
        std::thread([&] {
            child = std::make_unique<ChildProcess>(
                ChildOptions{.argv = {"sleep", "1000"}, .die_with_parent = true});
        }).join();
        pid_t pid = child->pid();
        if (::write(ends[1], &pid, sizeof pid) != sizeof pid) ::_exit(1);
        for (;;) ::pause();
    }
    pid_t child = 0;
    ASSERT_EQ(::read(ends[0], &child, sizeof child), static_cast<ssize_t>(sizeof child));
    EXPECT_EQ(::kill(child, 0), 0);
    ::kill(parent, SIGKILL);
    ::waitpid(parent, nullptr, 0);
    auto state = [&] {  // gone, or a zombie that init has not taken yet
        try {
            std::string stat(as_text(read_file("/proc/" + std::to_string(child) + "/stat")));
            return stat[stat.rfind(')') + 2];
        } catch (const Error&) {
            return 'X';
        }
    };
    while (state() != 'X' && state() != 'Z') std::this_thread::yield();
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST(ChildProcess, RunsAsAnotherUserForRoot) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can change the user";
    ChildOptions options{.argv = {"id", "-u"}, .die_with_parent = true};
    options.run_as = ChildOptions::RunAs{65534, 65534};
    EXPECT_EQ(as_text(run_command(options).output), "65534\n");
    options.argv = {"id", "-G"};
    EXPECT_EQ(as_text(run_command(options).output), "65534\n");
}

TEST(WritePipe, ReportsAVanishedReader) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    ::close(ends[0]);
    uint8_t byte = 0;
    ConstBuffer buffer{&byte, 1};
    EXPECT_EQ(write_pipe(ends[1], &buffer, 1), -1);
    EXPECT_EQ(errno, EPIPE);
    ::close(ends[1]);
}

TEST(SplitCommand, SplitsAndQuotes) {
    using Words = std::vector<std::string>;
    EXPECT_EQ(split_command("ssh -p 22  host\t-s sftp"),
              (Words{"ssh", "-p", "22", "host", "-s", "sftp"}));
    EXPECT_EQ(split_command(R"(a "b c" 'd "e' f\ g "" "h\"i")"),
              (Words{"a", "b c", "d \"e", "f g", "", "h\"i"}));
    EXPECT_THROW(split_command("a 'b"), Error);
    EXPECT_THROW(split_command("  "), Error);
}

}  // namespace
}  // namespace sevenfold::os
