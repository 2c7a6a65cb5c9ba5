// Backups of what changes, vanishes or cannot be read, to places that fail, and interrupted ones.
#include "files/archive.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "files/testing/archive_fixture.h"

namespace sevenfold::files {
namespace {

namespace fs = std::filesystem;
using repository::BlobType;
using repository::Node;
using repository::NodeType;
using repository::Repository;
using repository::testing::MemoryRepo;
using storage::expect_error;
using storage::FileName;
using storage::FileType;
using storage::test_body;
using testing::ArchiveTest;
using testing::content_of;
using ::testing::ElementsAre;
using testing::find_node;
using testing::in_snapshot;
using testing::in_step;
using ::testing::IsEmpty;
using ::testing::Key;
using testing::on_disk;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;
using State = PlaceResult::State;

TEST_F(ArchiveTest, AFileThatChangesOnceIsReadAgain) {
    repo_a_.hooks.connections = repo_b_.hooks.connections = 1;
    write("busy", 24 << 20, 1);
    std::atomic<bool> changed{false};
    repo_a_.hooks.on_store = [&](const FileName& name, ByteView) {
        if (name.type != FileType::pack || changed.exchange(true)) return;
        std::fstream(source_ + "/busy", std::ios::in | std::ios::out) << "changed";
    };
    ArchiveResult result = run(in_step());
    EXPECT_TRUE(changed);
    EXPECT_THAT(issues_, IsEmpty());
    EXPECT_EQ(result.changed_while_read, 0u);
    expect_saved(result);
}

TEST_F(ArchiveTest, AFileThatKeepsChangingIsSavedAndReported) {
    repo_a_.hooks.connections = repo_b_.hooks.connections = 1;
    write("busy", 24 << 20, 1);
    std::atomic<uint64_t> stores{0};
    repo_a_.hooks.on_store = [&](const FileName& name, ByteView) {
        if (name.type != FileType::pack) return;
        // Every chunk becomes another one, so that the second reading must wait for stores too.
        std::string mark = fmt::format("{:08}", ++stores);
        std::fstream file(source_ + "/busy", std::ios::in | std::ios::out | std::ios::binary);
        for (int offset = 0; offset < 24 << 20; offset += 256 << 10) {
            file.seekp(offset);
            file << mark;
        }
        file.seekp(0, std::ios::end);
        file << "more";
    };
    ArchiveResult result = run(in_step());
    ASSERT_THAT(issues_, SizeIs(1));
    EXPECT_EQ(issues_[0].path, source_ + "/busy");
    EXPECT_TRUE(issues_[0].saved);
    EXPECT_EQ(result.changed_while_read, 1u);
    EXPECT_EQ(result.unreadable, 0u);
    EXPECT_EQ(result.places[0].state, State::saved);
    Node node = find_node(*a_, *result.tree, source_ + "/busy");
    EXPECT_EQ(content_of(*a_, node).size(), node.size);
}

TEST_F(ArchiveTest, AFileThatVanishesIsReported) {
    repo_a_.hooks.connections = repo_b_.hooks.connections = 1;
    write("a", 24 << 20, 1);
    write("m", 10, 2);
    write("z", 10, 3);
    fs::create_directory(source_ + "/zz");
    repo_a_.hooks.on_store = [&](const FileName&, ByteView) {
        fs::remove(source_ + "/m");
        fs::remove(source_ + "/zz");
    };
    ArchiveResult result = run(in_step());
    ASSERT_THAT(issues_, SizeIs(2));
    EXPECT_EQ(issues_[0].path, source_ + "/m");
    EXPECT_EQ(issues_[0].error.kind(), ErrorKind::not_found);
    EXPECT_FALSE(issues_[0].saved);
    EXPECT_EQ(issues_[1].path, source_ + "/zz");
    EXPECT_EQ(result.unreadable, 2u);
    EXPECT_THAT(in_snapshot(*a_, *result.tree, source_), UnorderedElementsAre(Key("a"), Key("z")));
}

// Runs as somebody whom permissions concern.
class Unprivileged {
  public:
    explicit Unprivileged(const std::string& own) {
        if (::geteuid() != 0) return;
        for (const auto& entry : fs::recursive_directory_iterator(own))
            if (::lchown(entry.path().c_str(), kNobody, kNobody) != 0) throw errno_error("chown");
        if (::chown(own.c_str(), kNobody, kNobody) != 0) throw errno_error("chown");
        if (::setegid(kNobody) != 0 || ::seteuid(kNobody) != 0) throw errno_error("seteuid");
        changed_ = true;
    }
    ~Unprivileged() {
        if (changed_ && (::seteuid(0) != 0 || ::setegid(0) != 0)) std::abort();
    }

  private:
    static constexpr uid_t kNobody = 65534;
    bool changed_ = false;
};

TEST_F(ArchiveTest, WhatCannotBeReadIsLeftOutAndReported) {
    write("closed/file", 10, 1);
    write("open/secret", 10, 2);
    write("open/plain", 10, 3);
    ASSERT_EQ(::chmod((source_ + "/closed").c_str(), 0), 0);
    ASSERT_EQ(::chmod((source_ + "/open/secret").c_str(), 0), 0);
    ArchiveResult result;
    {
        Unprivileged nobody(folder_.path());
        result = run();
    }
    ASSERT_EQ(::chmod((source_ + "/closed").c_str(), 0700), 0);
    std::map<std::string, ErrorKind> kinds;
    for (const ItemIssue& issue : issues_) kinds.emplace(issue.path, issue.error.kind());
    EXPECT_THAT(kinds, UnorderedElementsAre(Pair(source_ + "/closed", ErrorKind::permission),
                                            Pair(source_ + "/open/secret", ErrorKind::permission)));
    EXPECT_EQ(result.unreadable, 2u);
    EXPECT_EQ(result.places[0].state, State::saved);
    EXPECT_THAT(in_snapshot(*a_, *result.tree, source_),
                UnorderedElementsAre(Key("open"), Key("open/plain")));
}

TEST_F(ArchiveTest, AFailingPlaceDoesNotKeepTheOtherFromBeingSaved) {
    for (uint64_t n = 0; n < 50; ++n) write(fmt::format("f{}", n), 5000, n);
    repo_b_.hooks.on_store = [&](const FileName& name, ByteView) {
        if (name.type == FileType::pack) throw Error(ErrorKind::no_space, "the disk is full");
    };
    ArchiveResult result = run({.writer = {.pack_target = 10'000}});
    EXPECT_EQ(result.places[0].state, State::saved);
    EXPECT_EQ(result.places[1].state, State::failed);
    EXPECT_EQ(result.places[1].error->kind(), ErrorKind::no_space);
    EXPECT_THAT(repo_b_.ids(FileType::snapshot), IsEmpty());
    EXPECT_EQ(in_snapshot(*repo_a_.open(), *result.tree, source_), on_disk(source_));

    repo_b_.hooks.on_store = [&](const FileName& name, ByteView) {
        if (name.type == FileType::snapshot) throw Error(ErrorKind::network, "gone");
    };
    result = run();
    EXPECT_EQ(result.places[1].state, State::failed);
    EXPECT_EQ(result.places[1].error->kind(), ErrorKind::network);
    repo_b_.hooks.on_store = nullptr;
    expect_saved(run());
}

TEST_F(ArchiveTest, NothingIsReadForPlacesThatAllFailed) {
    for (uint64_t n = 0; n < 300; ++n) write(fmt::format("d{}/f{}", n / 50, n), 50'000, n);
    for (MemoryRepo* repo : {&repo_a_, &repo_b_}) {
        repo->hooks.connections = 1;
        repo->hooks.on_store = [&](const FileName&, ByteView) {
            throw Error(ErrorKind::no_space, "the disk is full");
        };
    }
    ArchiveResult result = run(in_step());
    for (const PlaceResult& place : result.places) {
        EXPECT_EQ(place.state, State::failed);
        EXPECT_EQ(place.error->kind(), ErrorKind::no_space);
    }
    EXPECT_FALSE(result.tree);
    EXPECT_LT(result.files_read, 100u);
}

TEST_F(ArchiveTest, AnInterruptedRunIsResumed) {
    constexpr uint64_t kFiles = 200, kSize = 3000;
    for (uint64_t n = 0; n < kFiles; ++n) write(fmt::format("d{}/f{:03}", n / 20, n), kSize, n);
    std::stop_source stop;
    std::atomic<int> packs{0};
    repo_a_.hooks.on_store = [&](const FileName& name, ByteView) {
        if (name.type == FileType::pack && ++packs == 10) stop.request_stop();
    };
    Progress progress;
    ArchiveOptions options{.workers = 1,
                           .resume_path = folder_ / "state/journal",
                           .writer = {.pack_target = 10'000},
                           .progress = &progress,
                           .stop = stop.get_token()};
    expect_error(ErrorKind::interrupted, [&] { run(options); });
    uint64_t done = progress.bytes_done / kSize;
    EXPECT_GE(done, 10u);
    EXPECT_LT(done, kFiles);
    EXPECT_THAT(repo_a_.ids(FileType::snapshot), IsEmpty());

    repo_a_.hooks.on_store = nullptr;
    options.stop = {};
    options.progress = nullptr;
    ArchiveResult result = run(options);
    EXPECT_EQ(result.files_read, kFiles - done);
    expect_saved(result);
    EXPECT_FALSE(fs::exists(options.resume_path));
}

TEST_F(ArchiveTest, AJournalIsNotBelievedWithoutTheContent) {
    write("f1", 3000, 1);
    std::stop_source stop;
    repo_a_.hooks.on_store = [&](const FileName&, ByteView) { stop.request_stop(); };
    ArchiveOptions options{.workers = 1,
                           .resume_path = folder_ / "journal",
                           .writer = {.pack_target = 1000, .checkpoint_every = {}},
                           .stop = stop.get_token()};
    write("f2", 24 << 20, 2);
    expect_error(ErrorKind::interrupted, [&] { run(options); });
    repo_a_.hooks.on_store = nullptr;
    for (const Id& id : repo_a_.ids(FileType::index)) repo_a_.files.remove({FileType::index, id});
    options.stop = {};
    ArchiveResult result = run(options);
    EXPECT_EQ(result.files_read, 2u);
    expect_saved(result);
}

TEST_F(ArchiveTest, ASingleRelativeFileIsResumedToo) {
    write("f1", 3000, 1);
    write("f2", 24 << 20, 2);
    fs::path before = fs::current_path();
    fs::current_path(source_);
    repo_a_.hooks.connections = repo_b_.hooks.connections = 1;
    std::stop_source stop;
    repo_a_.hooks.on_store = [&](const FileName&, ByteView) { stop.request_stop(); };
    ArchiveOptions options = in_step();
    options.targets = {"f1", "f2"};
    options.resume_path = folder_ / "journal";
    options.stop = stop.get_token();
    expect_error(ErrorKind::interrupted, [&] { run(options); });
    repo_a_.hooks.on_store = nullptr;
    options.stop = {};
    EXPECT_EQ(run(options).files_read, 1u);
    fs::current_path(before);
}

TEST_F(ArchiveTest, AStopBeforeTheStartSavesNothing) {
    write("f", 10, 1);
    std::stop_source stop;
    stop.request_stop();
    expect_error(ErrorKind::interrupted, [&] { run({.stop = stop.get_token()}); });
    EXPECT_THAT(repo_a_.ids(FileType::snapshot), IsEmpty());
    EXPECT_THAT(repo_a_.ids(FileType::pack), IsEmpty());
}

TEST_F(ArchiveTest, ADryRunStoresNothing) {
    write("f", 3 << 20, 1);
    auto before = repo_a_.files.files();
    ArchiveResult result = run({.dry_run = true});
    EXPECT_EQ(result.files_read, 1u);
    EXPECT_EQ(result.places[0].state, State::saved);
    EXPECT_GT(result.places[0].stats.bytes_added, 3u << 20);
    EXPECT_EQ(repo_a_.files.files(), before);
    ArchiveResult real = run();
    // Not the root tree: it holds the times of the temporary folder, which others change.
    EXPECT_EQ(real.places[0].stats.data_blobs, result.places[0].stats.data_blobs);
    EXPECT_EQ(real.summary.total_bytes_processed, result.summary.total_bytes_processed);
}

}  // namespace
}  // namespace sevenfold::files
