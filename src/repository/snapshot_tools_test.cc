// diff, stats, tag and dump, against what restic and tar make of the same repository.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "os/file.h"
#include "repository/diff.h"
#include "repository/dump.h"
#include "repository/stats.h"
#include "repository/tag.h"
#include "repository/testing/restic_repo.h"

namespace sevenfold::repository {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::ElementsAre;
using testing::ResticRepo;

void write_file(const std::string& path, std::string_view content) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << content;
}
std::string read_text(const std::string& path) { return std::string(as_text(os::read_file(path))); }

// Two snapshots of one folder that changed in every way in between.
class SnapshotTools : public ::testing::Test {
  protected:
    void SetUp() override {
        source_ = repo_.beside("source");
        write_file(source_ + "/same/deep/file", "unchanged");
        write_file(source_ + "/changed", "before");
        write_file(source_ + "/becomes a folder", "file");
        write_file(source_ + "/gone/a", "gone");
        write_file(source_ + "/gone/b", "unchanged");
        write_file(source_ + "/meta", "metadata");
        write_file(source_ + "/big", std::string(3'000'000, 'x') + "end");
        fs::create_symlink("target", source_ + "/link");
        backup();
        write_file(source_ + "/changed", "after!");
        fs::remove(source_ + "/becomes a folder");
        write_file(source_ + "/becomes a folder/inside", "new");
        fs::remove_all(source_ + "/gone");
        fs::permissions(source_ + "/meta", fs::perms::owner_all);
        write_file(source_ + "/new \xff name/x", "unchanged");
        fs::remove(source_ + "/link");
        fs::create_symlink("other", source_ + "/link");
        backup();
        repository_ = repo_.open();
        repository_->load_index();
        snapshots_ = load_snapshots(*repository_);
        ASSERT_EQ(snapshots_.size(), 2u);
    }
    void backup() {
        repo_.restic_ok({"backup", "-q", "--force", source_});
        // Snapshots are ordered by time; the next one is younger on every clock.
    }

    ResticRepo repo_;
    std::string source_;
    std::unique_ptr<Repository> repository_;
    std::vector<Snapshot> snapshots_;
};

json counts(const DiffCounts& c) {
    return {{"files", c.files},           {"dirs", c.dirs},
            {"others", c.others},         {"data_blobs", c.data_blobs},
            {"tree_blobs", c.tree_blobs}, {"bytes", c.bytes}};
}

TEST_F(SnapshotTools, DiffSaysWhatResticSays) {
    for (bool metadata : {false, true}) {
        std::vector<std::string> arguments = {"diff", "--json", snapshots_[0].id.hex(),
                                              snapshots_[1].id.hex()};
        if (metadata) arguments.push_back("--metadata");
        std::vector<std::pair<std::string, std::string>> theirs, ours;
        json statistics;
        std::istringstream lines(repo_.restic_ok(arguments));
        for (std::string line; std::getline(lines, line);) {
            json object = json::parse(line);
            if (object["message_type"] == "change")
                theirs.emplace_back(object["modifier"], object["path"]);
            else
                statistics = object;
        }
        auto each = [&](const std::string& modifier, const std::string& path) {
            // As Go prints bytes that are not UTF-8.
            std::string shown = path;
            if (size_t at = shown.find('\xff'); at != shown.npos) shown.replace(at, 1, "\uFFFD");
            ours.emplace_back(modifier, shown);
        };
        DiffStats stats = diff_trees(*repository_, snapshots_[0].tree, snapshots_[1].tree,
                                     {.metadata = metadata}, each);
        EXPECT_EQ(ours, theirs);
        EXPECT_EQ(stats.changed_files, statistics["changed_files"]);
        EXPECT_EQ(counts(stats.added), statistics["added"]);
        EXPECT_EQ(counts(stats.removed), statistics["removed"]);
    }
    DiffStats none = diff_trees(*repository_, snapshots_[0].tree, snapshots_[0].tree, {},
                                [](auto&, auto&) { FAIL(); });
    EXPECT_EQ(none.added.tree_blobs + none.removed.tree_blobs, 0u);
}

TEST_F(SnapshotTools, StatsCountAsResticDoes) {
    for (const char* mode : {"restore-size", "raw-data", "blobs-per-file"}) {
        SCOPED_TRACE(mode);
        json theirs = json::parse(repo_.restic_ok({"stats", "--json", "--mode", mode}));
        RepositoryStats ours = repository_stats(*repository_, snapshots_, parse_stats_mode(mode));
        EXPECT_EQ(ours.size, theirs["total_size"]);
        EXPECT_EQ(ours.blobs, theirs.value("total_blob_count", 0u));
        if (mode != std::string("raw-data")) {
            EXPECT_EQ(ours.files, theirs["total_file_count"]);
        }
    }
    EXPECT_THROW(parse_stats_mode("raw"), Error);
}

TEST_F(SnapshotTools, TagsChangeAndTheOriginalIsRemembered) {
    Snapshot snapshot = snapshots_[1];
    EXPECT_FALSE(apply({.set = std::nullopt, .remove = {"none"}}, snapshot));
    ASSERT_TRUE(apply({.set = std::nullopt, .add = {"a", "b", "a"}}, snapshot));
    replace_snapshot(*repository_, snapshot);
    ASSERT_TRUE(apply({.set = std::nullopt, .add = {"c"}, .remove = {"a"}}, snapshot));
    replace_snapshot(*repository_, snapshot);
    EXPECT_THAT(snapshot.tags, ElementsAre("b", "c"));
    EXPECT_EQ(snapshot.original, snapshots_[1].id);
    json listed = json::parse(repo_.restic_ok({"snapshots", "--json", "--tag", "b,c"}));
    ASSERT_EQ(listed.size(), 1u);
    EXPECT_EQ(listed[0]["original"], snapshots_[1].id.hex());
    EXPECT_EQ(listed[0]["id"], snapshot.id.hex());
    EXPECT_EQ(load_snapshots(*repository_).size(), 2u);
    ASSERT_TRUE(apply({.set = std::vector<std::string>{}}, snapshot));
    EXPECT_TRUE(snapshot.tags.empty());
    repo_.restic_ok({"check"});
}

TEST_F(SnapshotTools, DumpsAFile) {
    Id tree = find_subtree(*repository_, snapshots_[0].tree, source_);
    std::string content;
    for (const Node& node : repository_->load_tree(tree))
        if (node.name == "big")
            dump_file(*repository_, node, [&](ByteView bytes) { content += as_text(bytes); });
    EXPECT_EQ(content, read_text(source_ + "/big"));
}

TEST(TarDump, ComesBackThroughTar) {
    ResticRepo repo;
    std::string source = repo.beside("source");
    std::string longish(120, 'n');
    write_file(source + "/" + longish + "/" + longish, "long name");
    write_file(source + "/odd \xff\n name", "odd");
    write_file(source + "/empty", "");
    write_file(source + "/block", std::string(512, 'b'));
    write_file(source + "/setuid", "s");
    chmod((source + "/setuid").c_str(), 04751);
    fs::create_symlink(std::string(150, 't'), source + "/long link");
    ASSERT_EQ(mkfifo((source + "/fifo").c_str(), 0640), 0);
    std::string value = "line\nbreak";
    bool xattrs =
        setxattr((source + "/empty").c_str(), "user.note", value.data(), value.size(), 0) == 0;
    timespec times[2] = {{1'000'000'000, 123'456'789}, {1'000'000'000, 123'456'789}};
    ASSERT_EQ(utimensat(AT_FDCWD, (source + "/block").c_str(), times, 0), 0);
    repo.restic_ok({"backup", "-q", source});

    auto repository = repo.open();
    repository->load_index();
    Bytes archive;
    dump_tar(*repository, load_snapshots(*repository).at(0).tree, "",
             [&](ByteView bytes) { append(archive, bytes); });
    EXPECT_EQ(archive.size() % 512, 0u);
    std::string target = repo.beside("target");
    fs::create_directories(target);
    os::ChildOptions tar;
    tar.argv = {"tar", "-C", target, "--xattrs", "-xpf", "-"};
    auto result = os::run_command(std::move(tar), archive);
    ASSERT_TRUE(result.status.ok()) << result.errors;

    size_t seen = 0;
    for (const auto& entry : fs::recursive_directory_iterator(source)) {
        SCOPED_TRACE(entry.path());
        std::string copy = target + entry.path().string();
        struct stat a {
        }, b{};
        ASSERT_EQ(lstat(entry.path().c_str(), &a), 0);
        ASSERT_EQ(lstat(copy.c_str(), &b), 0);
        EXPECT_EQ(a.st_mode, b.st_mode);
        EXPECT_EQ(a.st_uid, b.st_uid);
        EXPECT_EQ(a.st_mtim.tv_sec, b.st_mtim.tv_sec);
        EXPECT_EQ(a.st_mtim.tv_nsec, b.st_mtim.tv_nsec);
        if (S_ISREG(a.st_mode)) {
            EXPECT_EQ(read_text(entry.path()), read_text(copy));
        }
        if (S_ISLNK(a.st_mode)) {
            EXPECT_EQ(fs::read_symlink(entry.path()), fs::read_symlink(copy));
        }
        ++seen;
    }
    EXPECT_EQ(seen, 8u);
    if (xattrs) {
        char got[64];
        ssize_t n = getxattr((target + source + "/empty").c_str(), "user.note", got, sizeof got);
        ASSERT_GT(n, 0);
        EXPECT_EQ(std::string(got, static_cast<size_t>(n)), value);
    }
}

TEST(TarDump, LargeNumbersGoIntoExtendedHeaders) {
    std::string out;
    TarWriter tar([&](ByteView bytes) { out += as_text(bytes); });
    Node node;
    node.name = "x";
    node.uid = 4'000'000'000;
    node.mtime = {-1, 750'000'000, 0};
    ASSERT_TRUE(tar.header("/x", node));
    EXPECT_NE(out.find("uid=4000000000\n"), out.npos);
    EXPECT_NE(out.find("mtime=-0.250000000\n"), out.npos);
    node.type = NodeType::socket;
    EXPECT_FALSE(tar.header("/socket", node));
}

}  // namespace
}  // namespace sevenfold::repository
