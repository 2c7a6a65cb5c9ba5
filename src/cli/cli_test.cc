#include "cli/cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cli/command_tree.h"
#include "cli/help.h"

namespace sevenfold::cli {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

std::string contents(std::FILE* file) {
    std::string text;
    std::rewind(file);
    for (int c; (c = std::fgetc(file)) != EOF;) text += static_cast<char>(c);
    std::fclose(file);
    return text;
}

struct Result {
    int code;
    std::string out, err;
};

// The program's whole command line, in a folder of its own.
class Cli : public testing::Test {
  protected:
    Cli() {
        std::string pattern = testing::TempDir() + "cli-test-XXXXXX";
        folder_ = fs::canonical(::mkdtemp(pattern.data()));
    }
    ~Cli() override { fs::remove_all(folder_); }

    Result run(const std::vector<std::string>& arguments, std::stop_token stop = {}) {
        std::FILE* out = std::tmpfile();
        std::FILE* err = std::tmpfile();
        int code;
        {
            Terminal terminal(out, err);
            code = run_command_line(arguments, terminal, stop);
        }
        std::string text = contents(out);
        return {code, text, contents(err)};
    }
    std::string at(const std::string& name) const { return folder_ / name; }
    void write(const std::string& name, const std::string& text) {
        std::ofstream(at(name)) << text;
    }
    std::string read(const std::string& name) {
        std::ifstream file(at(name));
        return {std::istreambuf_iterator<char>(file), {}};
    }
    // Two local places.
    Result init(std::vector<std::string> more = {}) {
        fs::create_directories(at("data"));
        std::vector<std::string> arguments = {"-c",       at("s.toml"),
                                              "init",     "--yes",
                                              "--name",   "shop",
                                              "--source", "uploads=" + at("data"),
                                              "--place",  "main@a=" + at("r1"),
                                              "--place",  "off@b=" + at("r2")};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return run(arguments);
    }

    fs::path folder_;
};

TEST_F(Cli, HelpOfEveryCommandHasExamples) {
    EXPECT_EQ(run({"--help"}).code, 0);
    Result help = run({"ping", "--help"});
    EXPECT_EQ(help.code, 0);
    EXPECT_THAT(help.out, HasSubstr("Usage: sevenfold ping [OPTION…] [PLACE…]"));
    EXPECT_THAT(help.out, HasSubstr("Examples:\n  sevenfold ping"));
    EXPECT_THAT(run({"repo", "init", "-h"}).out, HasSubstr("--password-file FILE"));
    EXPECT_EQ(run({}).code, 2);
}

TEST_F(Cli, VersionAndItsDetails) {
    EXPECT_EQ(run({"--version"}).out, "sevenfold " SEVENFOLD_VERSION "\n");
    EXPECT_THAT(run({"--version", "-v"}).out, HasSubstr("sha256"));
    EXPECT_THAT(run({"--version", "--json"}).out, StartsWith(R"({"type":"version")"));
}

struct Wrong {
    std::vector<std::string> arguments;
    const char* message;
    const char* hint;
};

TEST_F(Cli, WrongUsageIsExplained) {
    const Wrong all[] = {
        {{"pong"}, "unknown command 'pong'", "Did you mean `ping`?"},
        {{"config", "shwo"}, "unknown command 'shwo'", "Did you mean `show`?"},
        {{"config"}, "`sevenfold config` needs a command", "One of: show, check"},
        {{"ping", "--raed-only"}, "unknown option --raed-only", "Did you mean `--read-only`?"},
        {{"ping", "--jsn=x"}, "unknown option --jsn", "Did you mean `--json`?"},
        {{"config", "show", "extra"}, "unexpected argument 'extra'", "config show --help"},
        {{"-c"}, "config", "--help"},
        {{"repo", "init"}, "no repository given", "-r URL"},
        {{"repo", "-r", "/x", "-o", "nonsense=1", "init"},
         "unknown extended option",
         "sftp.command"},
    };
    for (const Wrong& wrong : all) {
        Result result = run(wrong.arguments);
        EXPECT_EQ(result.code, 2) << wrong.message;
        EXPECT_THAT(result.err, StartsWith("error: "));
        EXPECT_THAT(result.err, HasSubstr(wrong.message));
        EXPECT_THAT(result.err, HasSubstr("\nhint: "));
        EXPECT_THAT(result.err, HasSubstr(wrong.hint));
        EXPECT_THAT(result.out, IsEmpty());
    }
}

TEST_F(Cli, ErrorsAreJsonOnRequestWhereverTheFlagStands) {
    for (auto arguments :
         {std::vector<std::string>{"--json", "pong"}, {"ping", "--oops", "--json"}}) {
        Result result = run(arguments);
        EXPECT_EQ(result.code, 2);
        EXPECT_THAT(result.out, StartsWith(R"({"type":"error","kind":"usage","message":)"));
        EXPECT_THAT(result.out, HasSubstr(R"("exit_code":2})"));
        EXPECT_THAT(result.err, IsEmpty());
    }
}

TEST_F(Cli, NoConfigurationIsExitCodeTwo) {
    Result result = run({"-c", at("none.toml"), "ping"});
    EXPECT_EQ(result.code, 2);
    EXPECT_THAT(result.err, HasSubstr("sevenfold init"));
}

TEST_F(Cli, ConfigCheckNamesEveryProblem) {
    write("s.toml", "[app]\nname = \"x\"\noops = 1\n[[place]]\nname = \"p\"\nulr = \"/r\"\n");
    Result result = run({"-c", at("s.toml"), "config", "check"});
    EXPECT_EQ(result.code, 2);
    EXPECT_THAT(result.out, HasSubstr("s.toml:3: unknown key oops"));
    EXPECT_THAT(result.out, HasSubstr("s.toml:6: unknown key ulr"));
    EXPECT_THAT(result.out, HasSubstr("hint: Did you mean `url`?"));
    EXPECT_THAT(run({"-c", at("s.toml"), "ping"}).err, HasSubstr("shows all"));
}

TEST_F(Cli, InitMakesEverythingAndPingFindsItGood) {
    Result made = init();
    ASSERT_EQ(made.code, 0) << made.err;
    EXPECT_THAT(made.out, HasSubstr("created repository"));
    EXPECT_THAT(made.out, HasSubstr("secrets/off.password"));
    EXPECT_EQ(fs::status(at("s.toml")).permissions(), fs::perms(0600));
    EXPECT_EQ(fs::status(at("secrets/main.password")).permissions(), fs::perms(0600));
    EXPECT_EQ(read("secrets/main.password").size(), 33u);
    EXPECT_NE(read("secrets/main.password"), read("secrets/off.password"));
    EXPECT_THAT(made.out, Not(HasSubstr(read("secrets/main.password").substr(0, 32))));

    Result check = run({"-c", at("s.toml"), "config", "check"});
    EXPECT_EQ(check.code, 0) << check.out;
    EXPECT_THAT(check.out, HasSubstr("is right: 1 source, 2 places\n"));
    EXPECT_THAT(run({"-c", at("s.toml"), "config", "show"}).out, HasSubstr("s.toml:"));
    Result ping = run({"-c", at("s.toml"), "ping", "--json"});
    EXPECT_EQ(ping.code, 0) << ping.out;
    EXPECT_THAT(ping.out, HasSubstr(R"("name":"main","domain":"a")"));
    EXPECT_THAT(ping.out, HasSubstr(R"("ok":true,"opens":true,"writable":true)"));
    EXPECT_TRUE(fs::is_empty(at("r1/locks")));  // the probe is gone
}

TEST_F(Cli, InitNeverOverwritesAndAcceptsWhatExists) {
    ASSERT_EQ(init().code, 0);
    const std::string config = read("s.toml"), password = read("secrets/main.password");
    Result again = init();
    EXPECT_EQ(again.code, 1);
    EXPECT_THAT(again.err, HasSubstr("exists already"));
    EXPECT_EQ(read("s.toml"), config);

    Result forced = init({"--force", "--every", "5m"});
    EXPECT_EQ(forced.code, 0) << forced.err;
    EXPECT_THAT(forced.out, HasSubstr("found repository"));
    EXPECT_THAT(forced.out, Not(HasSubstr("created")));
    EXPECT_EQ(read("secrets/main.password"), password);
    EXPECT_THAT(read("s.toml"), HasSubstr("every = \"5m\""));

    fs::remove_all(at("r2"));
    Result repaired = run({"-c", at("s.toml"), "init", "--repositories"});
    EXPECT_EQ(repaired.code, 0) << repaired.err;
    EXPECT_THAT(repaired.out, HasSubstr("created repository"));
}

TEST_F(Cli, InitRefusesAPlaceInsideTheSourceBeforeAnythingIsWritten) {
    Result result = init({"--place", "inside=" + at("data/repo")});
    EXPECT_EQ(result.code, 2);
    EXPECT_THAT(result.err, HasSubstr("lies inside source"));
    EXPECT_FALSE(fs::exists(at("s.toml")));
    EXPECT_FALSE(fs::exists(at("secrets")));
    EXPECT_FALSE(fs::exists(at("r1")));
}

TEST_F(Cli, PingShowsTheBadPlaceBesideTheGoodOne) {
    ASSERT_EQ(init().code, 0);
    write("secrets/off.password", "wrong\n");
    Result wrong = run({"-c", at("s.toml"), "ping"});
    EXPECT_EQ(wrong.code, 12);
    EXPECT_THAT(wrong.out, HasSubstr("no snapshot yet"));
    EXPECT_THAT(wrong.out, HasSubstr("failed"));
    fs::remove_all(at("r2"));
    Result gone = run({"-c", at("s.toml"), "ping", "off"});
    EXPECT_EQ(gone.code, 10) << gone.out;
    EXPECT_THAT(gone.out, HasSubstr("init --repositories"));
    EXPECT_EQ(run({"-c", at("s.toml"), "ping", "mian"}).code, 2);
}

TEST_F(Cli, AStopIsExitCode130) {
    ASSERT_EQ(init().code, 0);
    std::stop_source stop;
    stop.request_stop();
    EXPECT_EQ(run({"-c", at("s.toml"), "ping"}, stop.get_token()).code, 130);
}

TEST_F(Cli, RepoInitTakesOverTheChunkerAndRefusesToOverwrite) {
    write("pw", "secret\n");
    auto repo = [&](const std::string& url, std::vector<std::string> more) {
        std::vector<std::string> arguments = {"repo", "-r", at(url), "-p", at("pw"), "init"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return run(arguments);
    };
    ASSERT_EQ(repo("a", {}).code, 0);
    EXPECT_EQ(repo("a", {}).code, 1);
    Result second = repo("b", {"--from-repo", at("a")});
    EXPECT_EQ(second.code, 0) << second.err;
}

TEST_F(Cli, CompletionScriptsAreValidShell) {
    Result bash = run({"completion", "bash"});
    EXPECT_EQ(bash.code, 0);
    write("c.bash", bash.out);
    // What bash offers for "sevenfold pi" and "sevenfold ping --re".
    write("t.bash", "set -e\nsource '" + at("c.bash") +
                        "'\nCOMP_WORDS=(sevenfold -c x pi); COMP_CWORD=3; _sevenfold\n"
                        "[ \"${COMPREPLY[*]}\" = ping ]\n"
                        "COMP_WORDS=(sevenfold ping --re); COMP_CWORD=2; _sevenfold\n"
                        "[ \"${COMPREPLY[*]}\" = --read-only ]\n"
                        "COMP_WORDS=(sevenfold config sh); COMP_CWORD=2; _sevenfold\n"
                        "[ \"${COMPREPLY[*]}\" = show ]\n");
    EXPECT_EQ(std::system(("bash '" + at("t.bash") + "'").c_str()), 0);
    Result zsh = run({"completion", "zsh"});
    EXPECT_THAT(zsh.out, StartsWith("#compdef sevenfold"));
    write("c.zsh", zsh.out);
    if (std::system("command -v zsh >/dev/null") == 0) {
        EXPECT_EQ(std::system(("zsh -n '" + at("c.zsh") + "'").c_str()), 0);
    }
}

TEST_F(Cli, ManPageNamesEveryCommand) {
    Result page = run({"manpage"});
    EXPECT_THAT(page.out, StartsWith(".TH SEVENFOLD 1"));
    for (const char* name : {".SS sevenfold init", ".SS sevenfold repo init", ".SH EXIT STATUS"})
        EXPECT_THAT(page.out, HasSubstr(name));
}

}  // namespace
}  // namespace sevenfold::cli
