#include "repository/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "os/file.h"
#include "repository/key.h"
#include "repository/testing/restic_repo.h"
#include "repository/walk.h"
#include "storage/local/local_backend.h"
#include "storage/memory/memory_backend.h"

namespace sevenfold::repository {
namespace {

namespace fs = std::filesystem;
using storage::FileName;
using storage::FileType;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing::ResticRepo;

TEST(ReadDataSubset, Parses) {
    ReadData part = parse_read_data_subset("2/5");
    EXPECT_EQ(part.kind, ReadData::Kind::bucket);
    EXPECT_EQ(part.bucket, 2u);
    EXPECT_EQ(part.buckets, 5u);
    EXPECT_DOUBLE_EQ(parse_read_data_subset("2.5%").percent, 2.5);
    EXPECT_EQ(parse_read_data_subset("50M").bytes, 50u << 20);
    for (const char* text : {"", "0/5", "6/5", "1/257", "1/", "/2", "a/b", "0%", "101%", "nan%",
                             "-1%", "0", "x", "1/2/3", "inf%"})
        EXPECT_THROW(parse_read_data_subset(text), Error) << text;
}

void write_file(const std::string& path, ByteView content) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(content.data()),
               static_cast<std::streamsize>(content.size()));
}

std::vector<Id> ids(const std::string& folder) {
    std::vector<Id> out;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        if (auto id = Id::parse(entry.path().filename().string())) out.push_back(*id);
    std::sort(out.begin(), out.end());
    return out;
}

// Two snapshots by restic that share nothing: each has its own index file, data and tree pack.
struct Corpus {
    ResticRepo repo;
    Id snapshots[2], indexes[2], data[2], trees[2];

    Corpus() {
        add_key(repo.open()->backend(), repo.open()->master_key(), Secret(ResticRepo::kPassword),
                {.kdf_time = std::chrono::milliseconds(0)});
        std::set<Id> known;
        auto fresh = [&](const std::string& folder) {
            std::vector<Id> out;
            for (const Id& id : ids(repo.path() + "/" + folder))
                if (known.insert(id).second) out.push_back(id);
            return out;
        };
        for (int i = 0; i < 2; ++i) {
            std::string source = repo.beside(fmt::format("source{}", i));
            for (uint64_t f = 0; f < 3; ++f)
                write_file(fmt::format("{}/d{}/f{}", source, i, f),
                           storage::test_body(700'000, 10 * i + f));
            write_file(source + "/top", storage::test_body(1000, 10 * i + 9));
            repo.restic_ok({"backup", "-q", source});
            snapshots[i] = fresh("snapshots").at(0);
            indexes[i] = fresh("index").at(0);
            auto opened = repo.open();
            opened->load_index();
            for (const Id& pack : fresh("data"))
                (opened->index().is_tree_pack(pack) ? trees : data)[i] = pack;
        }
    }
};

class DamagedRepository : public ::testing::Test {
  protected:
    static void SetUpTestSuite() { corpus_ = new Corpus; }
    static void TearDownTestSuite() {
        delete corpus_;
        corpus_ = nullptr;
    }
    void SetUp() override { repo_.become_copy_of(*&corpus_->repo); }

    std::string file(FileType type, const Id& id) const {
        return storage::LocalBackend(repo_.path()).path_of({type, id});
    }

    struct Verdict {
        std::optional<Error> not_opened;
        CheckReport report;
        bool found() const { return not_opened || report.errors > 0; }
        std::string text() const {
            std::string out = not_opened ? not_opened->message() + "\n" : "";
            for (const CheckFinding& f : report.findings) out += f.object + ": " + f.message + "\n";
            return out;
        }
    };
    Verdict verdict() const {
        Verdict out;
        try {
            auto repository = repo_.open();
            out.report = check(*repository, {.read_data = {.kind = ReadData::Kind::all}});
        } catch (const Error& error) {
            out.not_opened = error;
        }
        return out;
    }
    // Every blob of a snapshot can be read: it can be restored.
    static void expect_restorable(Repository& repository, const Id& snapshot) {
        std::vector<Error> ignored;
        repository.load_index(&ignored);
        size_t files = 0;
        PathVisitor visitor;
        visitor.visit = [&](const std::string&, const Node& node) {
            for (const Id& id : node.content) repository.load_blob({BlobType::data, id});
            files += node.is_file();
            return Step::into;
        };
        walk_paths(repository, load_snapshot(repository, snapshot).tree, "", visitor);
        EXPECT_EQ(files, 4u);
    }

    using Damage = std::function<void(const std::string& path, const std::string& sibling)>;
    struct Way {
        const char* name;
        Damage damage;
    };
    static std::vector<Way> ways() {
        return {{"bit flip", [](auto& path, auto&) { flip(path, 0.5); }},
                {"bit flip at the end", [](auto& path, auto&) { flip(path, 0.999999); }},
                {"truncated",
                 [](auto& path, auto&) { fs::resize_file(path, fs::file_size(path) / 2); }},
                {"one byte short",
                 [](auto& path, auto&) { fs::resize_file(path, fs::file_size(path) - 1); }},
                {"empty", [](auto& path, auto&) { fs::resize_file(path, 0); }},
                {"deleted", [](auto& path, auto&) { fs::remove(path); }},
                {"swapped", [](auto& path, auto& sibling) {
                     fs::rename(path, path + ".x");
                     fs::rename(sibling, path);
                     fs::rename(path + ".x", sibling);
                 }}};
    }
    static void flip(const std::string& path, double at) {
        Bytes content = os::read_file(path);
        content[static_cast<size_t>(static_cast<double>(content.size()) * at)] ^= 0x10;
        fs::remove(path);
        write_file(path, content);
    }

    // Damages one of two files in every way. `detectable` says which ways leave a trace at all.
    void run(FileType type, const Id& id, const Id& sibling, const std::set<std::string>& invisible,
             bool swap_hits_second) {
        for (const Way& way : ways()) {
            SCOPED_TRACE(fmt::format("{} {}", storage::folder(type), way.name));
            repo_.become_copy_of(corpus_->repo);
            way.damage(file(type, id), file(type, sibling));
            Verdict ours = verdict();
            // Where restic complains, we must too. It need not be asked when we did: it retries
            // what cannot be read for minutes.
            if (!ours.found()) {
                EXPECT_TRUE(repo_.restic({"check", "--read-data"}).status.ok());
            }
            if (invisible.contains(way.name)) continue;
            EXPECT_TRUE(ours.found());
            EXPECT_THAT(ours.text(), HasSubstr(id.hex()));
            if (ours.not_opened || (swap_hits_second && way.name == std::string_view("swapped")))
                continue;
            auto repository = repo_.open();
            expect_restorable(*repository, corpus_->snapshots[1]);
            for (const AffectedSnapshot& a : ours.report.affected)
                EXPECT_EQ(a.snapshot.id, corpus_->snapshots[0])
                    << "only the first one lost anything";
        }
    }

    static Corpus* corpus_;
    ResticRepo repo_;
};
Corpus* DamagedRepository::corpus_ = nullptr;

TEST_F(DamagedRepository, IsCleanBeforeAnyDamage) {
    Verdict ours = verdict();
    EXPECT_FALSE(ours.found()) << ours.text();
    EXPECT_EQ(ours.report.snapshots, 2u);
    EXPECT_EQ(ours.report.packs, 4u);
    EXPECT_EQ(ours.report.packs_read, 4u);
    EXPECT_GE(ours.report.trees, 4u);
    EXPECT_TRUE(ours.report.affected.empty());
    EXPECT_EQ(ours.report.warnings, 0u);
}

TEST_F(DamagedRepository, DataPack) {
    run(FileType::pack, corpus_->data[0], corpus_->data[1], {}, true);
}
TEST_F(DamagedRepository, TreePack) {
    run(FileType::pack, corpus_->trees[0], corpus_->trees[1], {}, true);
}
TEST_F(DamagedRepository, Index) {
    // A deleted index is known only by what is missing then.
    run(FileType::index, corpus_->indexes[0], corpus_->indexes[1], {"deleted"}, true);
    repo_.become_copy_of(corpus_->repo);
    fs::remove(file(FileType::index, corpus_->indexes[0]));
    Verdict ours = verdict();
    EXPECT_GT(ours.report.errors, 0u);
    EXPECT_GT(ours.report.unindexed_packs, 0u);
    ASSERT_EQ(ours.report.affected.size(), 1u);
    EXPECT_TRUE(ours.report.affected[0].root_lost);
}
TEST_F(DamagedRepository, Snapshot) {
    run(FileType::snapshot, corpus_->snapshots[0], corpus_->snapshots[1], {"deleted"}, true);
}
TEST_F(DamagedRepository, Key) {
    auto keys = ids(repo_.path() + "/keys");
    ASSERT_EQ(keys.size(), 2u);
    run(FileType::key, keys[0], keys[1], {"deleted"}, false);
}

TEST_F(DamagedRepository, Config) {
    for (const Way& way : ways()) {
        if (way.name == std::string_view("swapped")) continue;
        SCOPED_TRACE(way.name);
        repo_.become_copy_of(corpus_->repo);
        way.damage(repo_.path() + "/config", "");
        Verdict ours = verdict();
        ASSERT_TRUE(ours.not_opened);
        EXPECT_EQ(ours.not_opened->kind(), way.name == std::string_view("deleted")
                                               ? ErrorKind::no_repository
                                               : ErrorKind::corrupt);
    }
}

TEST_F(DamagedRepository, Lock) {
    Id id = repo_.open()->save_unpacked(FileType::lock, as_bytes("{}"));
    write_file(file(FileType::lock, Id{{1}}), storage::test_body(100, 1));
    Verdict ours = verdict();
    EXPECT_THAT(ours.text(), HasSubstr(Id{{1}}.hex()));
    EXPECT_GT(ours.report.errors, 0u);
    fs::remove(file(FileType::lock, Id{{1}}));
    fs::remove(file(FileType::lock, id));
    write_file(file(FileType::lock, Id{{2}}), {});
    EXPECT_FALSE(verdict().found()) << "an empty lock file is nobody's lock";
}

TEST_F(DamagedRepository, NamesTheFilesThatAreLost) {
    fs::remove(file(FileType::pack, corpus_->data[0]));
    auto repository = repo_.open();
    CheckReport report = check(*repository, {});
    ASSERT_EQ(report.affected.size(), 1u);
    EXPECT_EQ(report.affected[0].files, 4u);
    EXPECT_FALSE(report.affected[0].root_lost);
    EXPECT_THAT(report.affected[0].paths, Contains(HasSubstr("/source0/d0/f1")));
    EXPECT_THAT(report.broken_packs, Contains(corpus_->data[0]));
    EXPECT_EQ(report.intact_snapshots(), 1u);
}

TEST_F(DamagedRepository, ATruncatedPackStillGivesWhatIsLeft) {
    std::string path = file(FileType::pack, corpus_->data[0]);
    fs::resize_file(path, fs::file_size(path) - 60);  // the header goes, the blobs stay
    auto repository = repo_.open();
    CheckReport report = check(*repository, {.read_data = {.kind = ReadData::Kind::all}});
    EXPECT_GT(report.errors, 0u);
    EXPECT_TRUE(report.affected.empty());
}

// Gives wrong bytes for packs the first time each is read.
class FlakyBackend : public storage::MemoryBackend {
  public:
    using MemoryBackend::MemoryBackend;
    Bytes load(const FileName& name, uint64_t offset, size_t length) override {
        Bytes out = MemoryBackend::load(name, offset, length);
        std::lock_guard lock(mutex_);
        if (name.type == FileType::pack && armed_ && spoiled_.insert(name.id).second)
            out[out.size() / 2] ^= 1;
        return out;
    }
    void arm() { armed_ = true; }

  private:
    std::mutex mutex_;
    std::set<Id> spoiled_;
    std::atomic<bool> armed_{false};
};

TEST_F(DamagedRepository, ABadTransferIsNotBadData) {
    storage::LocalBackend disk(repo_.path());
    storage::MemoryBackend::Files files;
    files[{FileType::config, Id{}}] = disk.load_all({FileType::config, {}});
    for (FileType type : storage::kListedTypes)
        for (const auto& info : disk.list_all(type))
            files[{type, info.id}] = disk.load_all({type, info.id});
    auto backend = std::make_unique<FlakyBackend>(std::move(files));
    FlakyBackend& flaky = *backend;
    auto repository = Repository::open(std::move(backend), Secret(ResticRepo::kPassword), {});
    flaky.arm();
    CheckReport report = check(*repository, {.read_data = {.kind = ReadData::Kind::all}});
    EXPECT_EQ(report.errors, 0u);
    EXPECT_GT(report.warnings, 0u);
}

TEST_F(DamagedRepository, SubsetsTogetherReadEveryPack) {
    auto repository = repo_.open();
    uint64_t packs = 0;
    for (unsigned n = 1; n <= 3; ++n)
        packs += check(*repository, {.read_data = parse_read_data_subset(fmt::format("{}/3", n))})
                     .packs_read;
    EXPECT_EQ(packs, 4u);
    EXPECT_EQ(check(*repository, {.read_data = parse_read_data_subset("50%")}).packs_read, 2u);
    EXPECT_EQ(check(*repository, {.read_data = parse_read_data_subset("1")}).packs_read, 1u);
}

TEST_F(DamagedRepository, StopsWhenAsked) {
    std::stop_source stop;
    stop.request_stop();
    auto repository = repo_.open();
    EXPECT_THROW(check(*repository, {.stop = stop.get_token()}), Error);
}

}  // namespace
}  // namespace sevenfold::repository
