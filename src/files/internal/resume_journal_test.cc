#include "files/internal/resume_journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "core/random.h"
#include "storage/testing/contract.h"

namespace sevenfold::files::internal {
namespace {

namespace fs = std::filesystem;
using repository::Node;

Node node(const std::string& name, uint64_t n) {
    Node out;
    out.name = name;
    out.size = n;
    out.inode = 1000 + n;
    out.mtime = {1600000000 + static_cast<int64_t>(n), 5};
    out.content.push_back(storage::test_name(storage::FileType::pack, n).id);
    return out;
}

void expect_node(ResumeJournal& journal, const std::string& path, uint64_t n) {
    auto found = journal.find(path);
    ASSERT_TRUE(found) << path;
    EXPECT_EQ(found->size, n);
    EXPECT_EQ(found->inode, 1000 + n);
    EXPECT_EQ(found->mtime, (Time{1600000000 + static_cast<int64_t>(n), 5}));
    EXPECT_EQ(found->content, node("", n).content);
}

class ResumeJournalTest : public ::testing::Test {
  protected:
    std::string path(uint64_t n) const { return "/source/f" + std::to_string(n); }
    void fill(uint64_t first, uint64_t last) {
        ResumeJournal journal(path_);
        for (uint64_t n = first; n < last; ++n) journal.record(path(n), node("f", n));
        journal.flush();
    }
    storage::TestFolder folder_;
    std::string path_ = folder_ / "some/where/journal";
};

TEST_F(ResumeJournalTest, RemembersFromRunToRun) {
    fill(0, 10);
    fill(10, 20);
    ResumeJournal journal(path_);
    EXPECT_FALSE(journal.empty());
    for (uint64_t n = 0; n < 20; ++n) expect_node(journal, path(n), n);
    EXPECT_FALSE(journal.find("/source/f20"));
    EXPECT_FALSE(journal.find(""));
}

TEST_F(ResumeJournalTest, TheLastRecordOfAPathCounts) {
    fill(1, 2);
    {
        ResumeJournal journal(path_);
        journal.record(path(1), node("f", 77));
        journal.flush();
    }
    ResumeJournal journal(path_);
    expect_node(journal, path(1), 77);
}

TEST_F(ResumeJournalTest, IsGoneAfterRemove) {
    fill(0, 3);
    ResumeJournal(path_).remove();
    EXPECT_FALSE(fs::exists(path_));
    ResumeJournal journal(path_);
    EXPECT_TRUE(journal.empty());
}

TEST_F(ResumeJournalTest, IsOffWithoutAPathAndForASecondProcess) {
    ResumeJournal none("");
    none.record("/x", node("x", 1));
    none.flush();
    EXPECT_FALSE(none.find("/x"));
    fill(0, 1);
    ResumeJournal first(path_), second(path_);
    EXPECT_TRUE(first.find(path(0)));
    EXPECT_FALSE(second.find(path(0)));
    second.record(path(5), node("f", 5));
    second.remove();
    EXPECT_TRUE(fs::exists(path_)) << "it belongs to the first";
}

TEST_F(ResumeJournalTest, CutsOffADamagedEnd) {
    fill(0, 5);
    auto whole = fs::file_size(path_);
    for (uint64_t lost = 1; lost < whole / 5; lost += 7) {
        fs::remove(path_);
        fill(0, 5);
        fs::resize_file(path_, whole - lost);
        {
            ResumeJournal journal(path_);
            for (uint64_t n = 0; n < 4; ++n) expect_node(journal, path(n), n);
            EXPECT_FALSE(journal.find(path(4)));
            journal.record(path(6), node("f", 6));
            journal.flush();
        }
        ResumeJournal journal(path_);
        expect_node(journal, path(0), 0);
        expect_node(journal, path(6), 6);
    }
}

// Whatever lies in the file: no crash, and what is found carries the asked path's record.
TEST_F(ResumeJournalTest, SurvivesAnyDamage) {
    fill(0, 20);
    Bytes good = os::read_file(path_);
    for (uint64_t seed = 0; seed < 300; ++seed) {
        SplitMix64 random(seed);
        Bytes bad = good;
        for (uint64_t i = random.below(4) + 1; i > 0; --i)
            bad[random.below(bad.size())] = static_cast<uint8_t>(random.next());
        std::ofstream(path_, std::ios::binary | std::ios::trunc)
            .write(reinterpret_cast<const char*>(bad.data()),
                   static_cast<std::streamsize>(bad.size()));
        ResumeJournal journal(path_);
        for (uint64_t n = 0; n < 20; ++n) (void)journal.find(path(n));
        journal.record(path(50), node("f", 50));
        journal.flush();
        ResumeJournal closed("");
    }
}

uint64_t peak_kib() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmPeak:")) return std::stoull(line.substr(7));
    return 0;
}

// The file may change under us once it is open.
TEST_F(ResumeJournalTest, BelievesNoLengthThatTheFileCannotHold) {
    fill(0, 2);
    ResumeJournal journal(path_);
    auto overwrite = [&](const std::string& head) {
        std::fstream(path_, std::ios::in | std::ios::out | std::ios::binary) << head;
    };
    uint64_t before = peak_kib();
    ASSERT_GT(before, 0u);
    overwrite(std::string(8, '\xff'));
    EXPECT_FALSE(journal.find(path(0)));
    overwrite(std::string("\x0a\0\0\0\xff\xff\xff\xff", 8));
    EXPECT_FALSE(journal.find(path(0)));
    expect_node(journal, path(1), 1);
    fs::resize_file(path_, 3);
    EXPECT_FALSE(journal.find(path(0)));
    EXPECT_LT(peak_kib() - before, 1u << 20) << "memory for lengths that are not there";
}

TEST_F(ResumeJournalTest, TakesRecordsFromManyThreads) {
    {
        ResumeJournal journal(path_);
        std::vector<std::thread> threads;
        for (uint64_t t = 0; t < 4; ++t)
            threads.emplace_back([&, t] {
                for (uint64_t n = 0; n < 500; ++n) {
                    journal.record(path(1000 * t + n), node("f", 1000 * t + n));
                    (void)journal.find(path(n));
                }
            });
        for (auto& thread : threads) thread.join();
        journal.flush();
    }
    ResumeJournal journal(path_);
    for (uint64_t t = 0; t < 4; ++t)
        for (uint64_t n = 0; n < 500; n += 50)
            expect_node(journal, path(1000 * t + n), 1000 * t + n);
}

}  // namespace
}  // namespace sevenfold::files::internal
