// A place of versions in memory; the real one is asked in tests/e2e/test_object_lock.py.
#include "storage/past_backend.h"

#include <gmock/gmock.h>

#include <atomic>

#include "storage/memory/memory_backend.h"
#include "storage/recovery.h"
#include "storage/testing/contract.h"

namespace sevenfold::storage {
namespace {

// What was stored and deleted, and when; the newest last.
struct History {
    std::vector<std::pair<FileVersion, std::string>> entries;
    int listings = 0;
    std::vector<std::string> removed, copied;

    void add(FileType type, uint64_t number, int64_t second, const std::string& body) {
        FileVersion version{.name = test_name(type, number),
                            .version = std::to_string(entries.size()),
                            .stored = {.seconds = second},
                            .size = body.size(),
                            .digest = body,
                            .deletion = body == "deleted"};
        if (type == FileType::config) version.name.id = {};
        entries.push_back({version, body});
    }
};

class HistoricBackend : public MemoryBackend, public Versions {
  public:
    explicit HistoricBackend(History& history) : history_(history) {}
    Versions* versions() override { return this; }
    void list_versions(FileType type, std::optional<uint8_t> pack_folder,
                       const std::function<void(const FileVersion&)>& each) override {
        ++history_.listings;
        std::map<Id, std::vector<FileVersion>> found;
        for (const auto& [version, body] : history_.entries)
            if (version.name.type == type &&
                (!pack_folder || version.name.id.bytes[0] == *pack_folder))
                found[version.name.id].insert(found[version.name.id].begin(), version);
        for (const auto& [id, versions] : found)
            for (const FileVersion& version : versions) each(version);
    }
    Bytes load_version(const FileVersion& version, uint64_t offset, size_t length) override {
        Bytes whole = load_whole_version(version, UINT64_MAX);
        return Bytes(whole.begin() + static_cast<ptrdiff_t>(offset),
                     whole.begin() + static_cast<ptrdiff_t>(offset + length));
    }
    Bytes load_whole_version(const FileVersion& version, uint64_t) override {
        const std::string& body = history_.entries[std::stoul(version.version)].second;
        return Bytes(body.begin(), body.end());
    }
    void remove_version(const FileVersion& version) override {
        history_.removed.push_back(version.version);
    }
    void bring_back(const FileVersion& version) override {
        history_.copied.push_back(version.version);
    }
    std::optional<RetentionRule> retention_rule() const override { return std::nullopt; }
    void check_can_lock() override {}
    std::optional<Retention> retention(const FileVersion&) override { return std::nullopt; }
    bool retain(const FileVersion&, const Time&, const Time&) override { return false; }

  private:
    History& history_;
};

class PastBackendTest : public testing::Test {
  protected:
    void SetUp() override {
        history_.add(FileType::config, 0, 10, "config");
        history_.add(FileType::pack, 1, 20, "one");
        history_.add(FileType::pack, 2, 20, "two");
        history_.add(FileType::pack, 3, 20, "three");
        history_.add(FileType::pack, 3, 30, "deleted");
        // What somebody did later.
        history_.add(FileType::pack, 1, 50, "garbage");
        history_.add(FileType::pack, 1, 51, "deleted");
        history_.add(FileType::pack, 2, 50, "deleted");
        history_.add(FileType::pack, 2, 51, "deleted");
        history_.add(FileType::pack, 4, 52, "new");
        history_.add(FileType::config, 0, 53, "other");
        history_.add(FileType::config, 0, 54, "config");
    }
    std::unique_ptr<PastBackend> past(int64_t second) {
        return std::make_unique<PastBackend>(std::make_unique<HistoricBackend>(history_),
                                             Time{.seconds = second});
    }
    History history_;
};

TEST_F(PastBackendTest, ReadsWhatWasThere) {
    auto place = past(40);
    auto name = [](uint64_t number) { return test_name(FileType::pack, number); };
    EXPECT_EQ(as_text(place->load_all(name(1))), "one");
    EXPECT_EQ(as_text(place->load(name(2), 1, 2)), "wo");
    EXPECT_EQ(place->size(name(2)), 3u);
    EXPECT_EQ(as_text(place->load_all({FileType::config})), "config");
    expect_error(ErrorKind::not_found, [&] { place->load_all(name(3)); });
    expect_error(ErrorKind::not_found, [&] { place->size(name(4)); });
    EXPECT_EQ(place->list_all(FileType::pack).size(), 2u);
    EXPECT_EQ(past(25)->list_all(FileType::pack).size(), 3u);
    EXPECT_EQ(past(5)->list_all(FileType::pack).size(), 0u);
    EXPECT_EQ(as_text(past(50)->load_all(name(1))), "garbage");
    int before = history_.listings;
    for (int i = 0; i < 10; ++i) place->load_all(name(1));
    EXPECT_EQ(history_.listings, before) << "asked once";
}

TEST_F(PastBackendTest, OnlyLocksAreWritten) {
    auto place = past(40);
    expect_error(ErrorKind::refused, [&] { place->create(); });
    expect_error(ErrorKind::refused,
                 [&] { place->store(test_name(FileType::pack, 9), as_bytes("x")); });
    expect_error(ErrorKind::refused, [&] { place->remove(test_name(FileType::pack, 1)); });
    FileName lock = test_name(FileType::lock, 1);
    place->store(lock, as_bytes("lock"));
    EXPECT_EQ(as_text(place->load(lock, 1, 2)), "oc");
    expect_error(ErrorKind::io, [&] { place->load(lock, 1, 9); });
    EXPECT_EQ(place->list_all(FileType::lock).size(), 1u);
    place->remove(lock);
    expect_error(ErrorKind::not_found, [&] { place->remove(lock); });
    EXPECT_TRUE(place->list_all(FileType::lock).empty());
    expect_error(ErrorKind::config, [] { PastBackend(std::make_unique<MemoryBackend>(), Time{}); });
}

TEST_F(PastBackendTest, WhatComesBack) {
    HistoricBackend place(history_);
    RecoveryPlan plan = plan_recovery(place, {.seconds = 40});
    EXPECT_EQ(plan.deleted, 1u);
    EXPECT_EQ(plan.overwritten, 1u);
    EXPECT_EQ(plan.untouched, 1u) << "overwritten, but with the same again";
    EXPECT_EQ(plan.newer, 1u);
    EXPECT_EQ(plan.bytes, 6u);
    EXPECT_EQ(plan.copied_bytes, 3u);
    std::atomic<int> steps{0};
    recover(place, plan, [&] { ++steps; }, {});
    EXPECT_EQ(steps, 2);
    EXPECT_THAT(history_.removed, testing::UnorderedElementsAre("7", "8"));
    EXPECT_THAT(history_.copied, testing::ElementsAre("1"));
    std::stop_source stopped;
    stopped.request_stop();
    expect_error(ErrorKind::interrupted, [&] {
        recover(
            place, plan, [] {}, stopped.get_token());
    });
}

}  // namespace
}  // namespace sevenfold::storage
