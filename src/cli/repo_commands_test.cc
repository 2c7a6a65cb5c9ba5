// The commands on one repository, from the command line to the exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "cli/cli.h"
#include "repository/key.h"
#include "repository/testing/restic_repo.h"
#include "storage/local/local_backend.h"

namespace sevenfold::cli {
namespace {

using repository::testing::ResticRepo;
using testing::HasSubstr;
using testing::Not;

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

class RepoCommands : public testing::Test {
  protected:
    RepoCommands() {
        std::ofstream(repo_.beside("password")) << ResticRepo::kPassword;
        ::chmod(repo_.beside("password").c_str(), 0600);
        std::filesystem::create_directories(repo_.beside("source/sub"));
        std::ofstream(repo_.beside("source/sub/file")) << "content";
        for (const char* time :
             {"2026-01-01 10:00:00", "2026-01-01 11:00:00", "2026-01-02 10:00:00"})
            repo_.restic_ok(
                {"backup", "-q", "--host", "web1", "--time", time, repo_.beside("source")});
    }
    Result run(std::vector<std::string> arguments) {
        std::vector<std::string> all = {"repo",       "-r", repo_.path(),
                                        "--no-cache", "-p", repo_.beside("password")};
        all.insert(all.end(), arguments.begin(), arguments.end());
        std::FILE* out = std::tmpfile();
        std::FILE* err = std::tmpfile();
        int code;
        {
            Terminal terminal(out, err);
            code = run_command_line(all, terminal, {});
        }
        std::string text = contents(out);
        return {code, text, contents(err)};
    }
    size_t snapshot_count() {
        return repo_.open()->backend().list_all(storage::FileType::snapshot).size();
    }
    size_t lock_count() { return repo_.open()->backend().list_all(storage::FileType::lock).size(); }

    ResticRepo repo_;
};

TEST_F(RepoCommands, ListAndFind) {
    Result all = run({"snapshots"});
    EXPECT_EQ(all.code, 0) << all.err;
    EXPECT_THAT(all.out, HasSubstr("3 snapshots"));
    EXPECT_THAT(run({"snapshots", "--latest", "1"}).out, HasSubstr("2026-01-02"));
    EXPECT_THAT(run({"snapshots", "--host", "other"}).out, HasSubstr("0 snapshots"));
    EXPECT_THAT(run({"--json", "snapshots"}).out, HasSubstr("\"short_id\":"));
    EXPECT_THAT(run({"ls", "latest"}).out, HasSubstr("/source/sub/file\n"));
    EXPECT_THAT(run({"ls", "latest:" + repo_.beside("source")}).out, HasSubstr("/sub/file\n"));
    EXPECT_THAT(run({"ls", "latest", repo_.beside("source")}).out, Not(HasSubstr("/file")));
    EXPECT_EQ(run({"ls", "latest", "source"}).code, 2);
    EXPECT_THAT(run({"find", "fi*"}).out, HasSubstr("/source/sub/file\n"));
    EXPECT_THAT(run({"find", "nowhere"}).out, Not(HasSubstr("/")));
    EXPECT_EQ(run({"find", "--oldest", "yesterday", "x"}).code, 2);
    EXPECT_THAT(run({"stats", "latest"}).out, HasSubstr("7 B"));
    EXPECT_EQ(run({"cat", "nothing", "x"}).code, 2);
    EXPECT_EQ(lock_count(), 0u);
}

TEST_F(RepoCommands, ForgetShowsReasonsAndKeepsWhatThePolicyKeeps) {
    EXPECT_EQ(run({"forget"}).code, 1);
    EXPECT_EQ(run({"forget", "--keep-tag", "nowhere"}).code, 1);
    EXPECT_EQ(run({"forget", "--keep-daily", "many"}).code, 2);
    EXPECT_EQ(run({"forget", "--keep-last", "1", "latest"}).code, 2);
    Result dry = run({"forget", "--dry-run", "--keep-daily", "2"});
    EXPECT_EQ(dry.code, 0) << dry.err;
    EXPECT_THAT(dry.out, HasSubstr("daily snapshot"));
    EXPECT_THAT(dry.out, HasSubstr("would remove 1 snapshots"));
    EXPECT_EQ(snapshot_count(), 3u);
    Result real = run({"forget", "--keep-daily", "2"});
    EXPECT_EQ(real.code, 0) << real.err;
    EXPECT_THAT(real.err, HasSubstr("prune"));
    EXPECT_EQ(snapshot_count(), 2u);
    EXPECT_EQ(run({"forget", "latest"}).code, 0);
    EXPECT_EQ(snapshot_count(), 1u);
    EXPECT_EQ(lock_count(), 0u);
    repo_.restic_ok({"check"});
}

TEST_F(RepoCommands, ForgetRemovesEverythingOnlyWhenToldWhose) {
    EXPECT_EQ(run({"forget", "--unsafe-allow-remove-all"}).code, 1);
    EXPECT_EQ(snapshot_count(), 3u);
    EXPECT_EQ(run({"forget", "--unsafe-allow-remove-all", "--host", "web1"}).code, 0);
    EXPECT_EQ(snapshot_count(), 0u);
}

TEST_F(RepoCommands, CheckSaysWhatIsLost) {
    Result good = run({"check", "--read-data"});
    EXPECT_EQ(good.code, 0) << good.out << good.err;
    EXPECT_THAT(good.out, HasSubstr("no errors were found"));
    EXPECT_EQ(run({"check", "--read-data", "--read-data-subset", "1/2"}).code, 2);
    EXPECT_EQ(run({"check", "--read-data-subset", "3/2"}).code, 2);

    auto repository = repo_.open();
    repository->load_index();
    auto packs = repository->backend().list_all(storage::FileType::pack);
    for (const auto& pack : packs)
        if (!repository->index().is_tree_pack(pack.id))
            repository->backend().remove({storage::FileType::pack, pack.id});
    Result bad = run({"check"});
    EXPECT_EQ(bad.code, 1);
    EXPECT_THAT(bad.out, HasSubstr("/source/sub/file"));
    EXPECT_THAT(bad.out, HasSubstr("1 files and 0 folders cannot be restored"));
    EXPECT_THAT(run({"--json", "check"}).out, HasSubstr("\"num_errors\":1"));
    EXPECT_EQ(lock_count(), 0u);
}

TEST_F(RepoCommands, KeysAndTags) {
    std::ofstream(repo_.beside("new")) << "another one";
    ::chmod(repo_.beside("new").c_str(), 0600);
    EXPECT_EQ(run({"key", "add", "--new-password-file", repo_.beside("new"), "--user", "bob"}).code,
              0);
    Result keys = run({"key", "list"});
    EXPECT_THAT(keys.out, HasSubstr("bob"));
    EXPECT_EQ(repo_.open()->backend().list_all(storage::FileType::key).size(), 2u);
    EXPECT_NE(run({"key", "remove", repo_.open()->key_id().hex()}).code, 0) << "the one in use";
    EXPECT_EQ(run({"key", "passwd", "--new-password-file", repo_.beside("new")}).code, 0);
    EXPECT_EQ(run({"snapshots"}).code, 12);
    std::filesystem::copy(repo_.beside("new"), repo_.beside("password"),
                          std::filesystem::copy_options::overwrite_existing);
    EXPECT_EQ(run({"tag"}).code, 2);
    EXPECT_THAT(run({"tag", "--add", "a,b", "latest"}).out, HasSubstr("1 snapshots"));
    EXPECT_THAT(run({"snapshots", "--tag", "a,b"}).out, HasSubstr("1 snapshots"));
    EXPECT_EQ(run({"unlock"}).code, 0);
}

}  // namespace
}  // namespace sevenfold::cli
