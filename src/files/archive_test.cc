#include "files/archive.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "files/testing/archive_fixture.h"
#include "os/file.h"
#include "storage/local/local_backend.h"

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

struct stat stat_of(const std::string& path) {
    struct stat st {};
    if (::lstat(path.c_str(), &st) != 0) throw errno_error("stat " + path);
    return st;
}

TEST_F(ArchiveTest, StoresWhatIsThere) {
    write("empty", 0, 0);
    write("small", 100, 1);
    write("dir/sub/large", 3 << 20, 2);
    write("dir/\xff\nodd", 10, 3);
    fs::create_directories(source_ + "/dir/nothing/in/here");
    fs::create_symlink("nowhere at all", source_ + "/dangling");
    fs::create_symlink("dir", source_ + "/to-dir");
    fs::create_hard_link(source_ + "/small", source_ + "/dir/second-name");
    ASSERT_EQ(::mkfifo((source_ + "/pipe").c_str(), 0640), 0);
    ASSERT_EQ(::chmod((source_ + "/small").c_str(), 04711), 0);
    int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{.sun_family = AF_UNIX};
    std::string socket_path = source_ + "/s";
    ASSERT_LT(socket_path.size(), sizeof address.sun_path);
    socket_path.copy(address.sun_path, socket_path.size());
    ASSERT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::close(socket);

    ArchiveResult result = run({.tags = {"x"}, .program_version = "test"});
    EXPECT_THAT(issues_, IsEmpty());
    expect_saved(result);
    EXPECT_EQ(result.unreadable, 0u);
    EXPECT_EQ(result.summary.total_files_processed, 5u);
    EXPECT_EQ(result.summary.files_new, 5u);
    EXPECT_EQ(result.summary.total_bytes_processed, (3u << 20) + 210);
    auto snapshots = load_snapshots(*a_);
    ASSERT_THAT(snapshots, SizeIs(1));
    EXPECT_EQ(snapshots[0].id, result.places[0].snapshot.id);
    EXPECT_THAT(snapshots[0].paths, ElementsAre(source_));
    EXPECT_EQ(snapshots[0].hostname, "host");
    EXPECT_THAT(snapshots[0].tags, ElementsAre("x"));
    EXPECT_EQ(find_node(*a_, *result.tree, source_ + "/small").links, 2u);
}

TEST_F(ArchiveTest, StoresToALocalRepositoryToo) {
    write("d/file", 2 << 20, 1);
    auto local = Repository::create(std::make_unique<storage::LocalBackend>(folder_ / "repo"),
                                    MemoryRepo::password(),
                                    {.chunker_polynomial = MemoryRepo::polynomial(),
                                     .key = {.kdf_time = std::chrono::milliseconds(0)}});
    a_ = repo_a_.open();
    ArchiveResult result =
        archive({{"memory", a_.get()}, {"local", local.get()}}, {.targets = {source_}});
    auto again = Repository::open(std::make_unique<storage::LocalBackend>(folder_ / "repo"),
                                  MemoryRepo::password(), {});
    again->load_index();
    EXPECT_EQ(in_snapshot(*again, *result.tree, source_), on_disk(source_));
    EXPECT_THAT(load_snapshots(*again), SizeIs(1));
}

TEST_F(ArchiveTest, AnUnchangedSourceIsNotRead) {
    for (uint64_t n = 0; n < 100; ++n) write(fmt::format("d{}/f{}", n % 7, n), 500, n);
    write("large", 2 << 20, 1000);
    ArchiveResult first = run();
    EXPECT_EQ(first.files_read, 101u);
    ArchiveResult second = run();
    EXPECT_EQ(second.files_read, 0u);
    // Not the root tree: it holds the times of the temporary folder, which others change.
    EXPECT_EQ(find_node(*a_, *second.tree, source_).subtree,
              find_node(*a_, *first.tree, source_).subtree);
    EXPECT_EQ(second.summary.files_unmodified, 101u);
    EXPECT_EQ(second.summary.dirs_new + second.summary.dirs_changed, 0u);
    EXPECT_EQ(second.places[0].stats.data_blobs, 0u) << "something was stored again";
    expect_saved(second);

    write("d3/f3", 500, 7777);
    ArchiveResult third = run();
    EXPECT_EQ(third.files_read, 1u);
    EXPECT_EQ(third.summary.files_changed, 1u);
    EXPECT_EQ(third.places[1].stats.data_blobs, 1u);
    expect_saved(third);
    EXPECT_EQ(run({.force = true}).files_read, 101u);
}

TEST_F(ArchiveTest, SaysWhatCountsAsUnchanged) {
    write("f", 500, 1);
    run();
    // Another inode and ctime, all else alike.
    fs::copy_file(source_ + "/f", source_ + "/g");
    struct stat st = stat_of(source_ + "/f");
    timespec times[2] = {st.st_mtim, st.st_mtim};
    ASSERT_EQ(::utimensat(AT_FDCWD, (source_ + "/g").c_str(), times, 0), 0);
    fs::rename(source_ + "/g", source_ + "/f");
    EXPECT_EQ(run({.ignore_inode = true, .ignore_ctime = true, .dry_run = true}).files_read, 0u);
    EXPECT_EQ(run({.ignore_inode = true, .dry_run = true}).files_read, 1u);
    EXPECT_EQ(run({.ignore_ctime = true, .dry_run = true}).files_read, 1u);
    EXPECT_EQ(run().files_read, 1u);
    EXPECT_EQ(run().files_read, 0u);
}

TEST_F(ArchiveTest, AnUnchangedFileIsReadWhereItsContentIsMissing) {
    for (uint64_t n = 0; n < 5; ++n) write(fmt::format("f{}", n), 500, n);
    run();
    for (const Id& id : repo_b_.ids(FileType::index)) repo_b_.files.remove({FileType::index, id});
    ArchiveResult second = run();
    EXPECT_EQ(second.files_read, 5u);
    EXPECT_EQ(second.places[0].stats.data_blobs, 0u);
    EXPECT_EQ(second.places[1].stats.data_blobs, 5u);
    auto opened = repo_b_.open();
    EXPECT_EQ(in_snapshot(*opened, *second.tree, source_), on_disk(source_));
}

TEST_F(ArchiveTest, AnEarlierTreeThatIsLostOnlyCostsTime) {
    write("d/f", 500, 1);
    run();
    last_ = Id{};
    ArchiveResult second = run();
    EXPECT_EQ(second.files_read, 1u);
    expect_saved(second);
}

TEST_F(ArchiveTest, LeavesOutWhatIsExcluded) {
    write("keep", 10, 1);
    write("skip.tmp", 10, 2);
    write("cache/CACHEDIR.TAG", as_bytes("Signature: 8a477f597d28d172789f06886806bc55\n"));
    write("cache/thing", 10, 3);
    write("gone/keep", 10, 4);
    write("large", 5000, 5);
    Exclude exclude(
        {.patterns = {"*.tmp", source_ + "/gone"}, .caches = true, .larger_than = 1000});
    ArchiveResult result = run({.exclude = &exclude});
    EXPECT_THAT(in_snapshot(*a_, *result.tree, source_),
                UnorderedElementsAre(Key("keep"), Key("cache"), Key("cache/CACHEDIR.TAG")));
    EXPECT_THAT(result.places[0].snapshot.excludes, ElementsAre("*.tmp", source_ + "/gone"));
    EXPECT_THAT(issues_, IsEmpty());
}

uint64_t bytes_read_by_this_process() {
    std::ifstream in("/proc/self/io");
    std::string key;
    uint64_t value = 0;
    in >> key >> value;
    EXPECT_EQ(key, "rchar:");
    return value;
}

void make_sparse(const std::string& path, uint64_t size,
                 const std::vector<std::pair<uint64_t, size_t>>& islands) {
    std::ofstream(path).close();
    fs::resize_file(path, size);
    std::fstream out(path, std::ios::in | std::ios::out | std::ios::binary);
    for (auto [offset, length] : islands) {
        Bytes body = test_body(length, offset);
        out.seekp(static_cast<std::streamoff>(offset));
        out.write(reinterpret_cast<const char*>(body.data()), static_cast<std::streamsize>(length));
    }
}

TEST_F(ArchiveTest, HolesAreNotRead) {
    constexpr uint64_t kSize = (1ULL << 36) + 12345;
    make_sparse(source_ + "/huge", kSize, {{0, 5000}, {1ULL << 35, 700'000}});
    uint64_t before = bytes_read_by_this_process();
    ArchiveResult result = run();
    EXPECT_LT(bytes_read_by_this_process() - before, 64u << 20);
    Node node = find_node(*a_, *result.tree, source_ + "/huge");
    EXPECT_EQ(node.size, kSize);
    EXPECT_LT(result.places[0].stats.data_blobs, 20u);
    // The lengths of the chunks add up, and the island is where it was.
    std::map<Id, uint64_t> lengths;
    uint64_t at = 0, island_at = 0;
    Bytes island = test_body(700'000, 1ULL << 35);
    std::map<Id, Bytes> bodies;
    for (const Id& id : node.content) {
        auto [it, fresh] = bodies.try_emplace(id);
        if (fresh) it->second = a_->load_blob({BlobType::data, id});
        const Bytes& body = it->second;
        if (at <= 1ULL << 35 && at + body.size() > 1ULL << 35) {
            island_at =
                at + static_cast<uint64_t>(std::search(body.begin(), body.end(), island.begin(),
                                                       island.begin() + 4096) -
                                           body.begin());
        }
        at += body.size();
    }
    EXPECT_EQ(at, kSize);
    EXPECT_EQ(island_at, 1ULL << 35);
}

TEST_F(ArchiveTest, ASparseFileIsCutLikeADenseOne) {
    constexpr uint64_t kSize = (20 << 20) + 7;
    std::vector<std::pair<uint64_t, size_t>> layouts[] = {
        {},
        {{0, 100}},
        {{kSize - 100, 100}},
        {{3 << 20, 4096}, {(9 << 20) + 4096, 2'000'000}, {18 << 20, 1}},
        {{(512 << 10) - 4096, 8192}, {1 << 20, 600'000}},
    };
    for (size_t i = 0; i < std::size(layouts); ++i) {
        make_sparse(source_ + fmt::format("/sparse{}", i), kSize, layouts[i]);
        Bytes content = os::read_file(source_ + fmt::format("/sparse{}", i));
        write(fmt::format("dense{}", i), content);
        ASSERT_GE(
            static_cast<uint64_t>(stat_of(source_ + fmt::format("/dense{}", i)).st_blocks) * 512,
            kSize);
    }
    ArchiveResult result = run();
    for (size_t i = 0; i < std::size(layouts); ++i)
        EXPECT_EQ(find_node(*a_, *result.tree, source_ + fmt::format("/sparse{}", i)).content,
                  find_node(*a_, *result.tree, source_ + fmt::format("/dense{}", i)).content)
            << i;
    expect_saved(result);
}

TEST_F(ArchiveTest, AnInodeWithSeveralNamesIsReadOnce) {
    write("a/one", 2000, 1);
    for (const char* name : {"two", "three"})
        fs::create_hard_link(source_ + "/a/one", source_ + "/" + name);
    write("other", 2000, 2);
    ArchiveResult result = run({.workers = 1});
    EXPECT_EQ(result.files_read, 2u);
    expect_saved(result);
}

TEST_F(ArchiveTest, ALargeFileIsCutByOneThreadAndStoredByMany) {
    write("large", 40 << 20, 1);
    ArchiveResult result = run({.workers = 4});
    EXPECT_GT(find_node(*a_, *result.tree, source_ + "/large").content.size(), 8u);
    expect_saved(result);
    EXPECT_EQ(result.files_read, 1u);
}

TEST_F(ArchiveTest, StaysOnOneFileSystem) {
    std::vector<std::string> foreign;
    dev_t own = stat_of("/dev").st_dev;
    for (const auto& entry : fs::directory_iterator("/dev"))
        if (fs::is_directory(entry.symlink_status()) && stat_of(entry.path()).st_dev != own)
            foreign.push_back(entry.path());
    if (foreign.empty()) GTEST_SKIP() << "this machine has nothing mounted below /dev";
    Exclude exclude({.patterns = {"/dev/fd", "/dev/mapper"}});
    ArchiveResult result = run({.targets = {"/dev"}, .exclude = &exclude, .one_file_system = true});
    for (const std::string& folder : foreign) {
        Node node = find_node(*a_, *result.tree, folder);
        ASSERT_TRUE(node.is_dir()) << folder;
        EXPECT_THAT(a_->load_tree(*node.subtree), IsEmpty()) << folder;
    }
    EXPECT_EQ(find_node(*a_, *result.tree, "/dev/null").type, NodeType::chardev);
}

class InFolder {
  public:
    explicit InFolder(const std::string& path) : before_(fs::current_path()) {
        fs::current_path(path);
    }
    ~InFolder() { fs::current_path(before_); }

  private:
    fs::path before_;
};

TEST_F(ArchiveTest, TargetsKeepTheirPlaceInTheTree) {
    write("x/a", 10, 1);
    write("x/deep/b", 10, 2);
    write("y/x/c", 10, 3);
    InFolder here(source_ + "/y");
    auto paths = [&](std::vector<std::string> targets) {
        ArchiveResult result = run({.targets = std::move(targets)}, false);
        std::vector<std::string> out;
        for (const auto& [path, what] : in_snapshot(*a_, *result.tree, "/"))
            if (what.starts_with("file")) out.push_back(path);
        return out;
    };
    EXPECT_THAT(paths({"x"}), ElementsAre("x/c"));
    EXPECT_THAT(paths({"x/"}), ElementsAre("x/c"));
    EXPECT_THAT(paths({"."}), ElementsAre("x/c"));
    EXPECT_THAT(paths({".", "x"}), ElementsAre("x/c"));
    EXPECT_THAT(paths({".."}), ElementsAre("x/a", "x/deep/b", "y/x/c"));
    EXPECT_THAT(paths({"../x", "../x/deep"}), ElementsAre("x/a", "x/deep/b"));
    EXPECT_THAT(paths({"../x/deep", "../x"}), ElementsAre("x/a", "x/deep/b"));
    EXPECT_THAT(paths({"../x/deep"}), ElementsAre("x/deep/b"));
    EXPECT_THAT(paths({"x", "../x"}), ElementsAre("x-1/a", "x-1/deep/b", "x/c"));
    EXPECT_THAT(paths({source_ + "/x"}),
                ElementsAre(source_.substr(1) + "/x/a", source_.substr(1) + "/x/deep/b"));
    EXPECT_THAT(paths({"x/c"}), ElementsAre("x/c"));
}

TEST_F(ArchiveTest, ALinkOnTheWayToATargetIsWalkedThrough) {
    write("real/dir/file", 10, 1);
    fs::create_symlink("real", source_ + "/link");
    ArchiveResult result = run({.targets = {source_ + "/link/dir"}});
    EXPECT_THAT(in_snapshot(*a_, *result.tree, source_ + "/link/dir"), ElementsAre(Key("file")));
    EXPECT_TRUE(find_node(*a_, *result.tree, source_ + "/link").is_dir());
    // A target that is a link itself stays one.
    result = run({.targets = {source_ + "/link"}}, false);
    EXPECT_EQ(find_node(*a_, *result.tree, source_ + "/link").link_target, "real");
}

TEST_F(ArchiveTest, AMissingTargetIsReportedAndIfAllMissRefused) {
    write("there", 10, 1);
    ArchiveResult result = run({.targets = {source_ + "/there", source_ + "/not"}});
    ASSERT_THAT(issues_, SizeIs(1));
    EXPECT_EQ(issues_[0].path, source_ + "/not");
    EXPECT_EQ(result.unreadable, 1u);
    EXPECT_EQ(result.places[0].state, State::saved);
    size_t snapshots = repo_a_.ids(FileType::snapshot).size();
    expect_error(ErrorKind::not_found, [&] { run({.targets = {source_ + "/not"}}); });
    EXPECT_EQ(repo_a_.ids(FileType::snapshot).size(), snapshots);
}

TEST_F(ArchiveTest, PlacesThatCutDifferentlyAreRefused) {
    write("f", 10, 1);
    MemoryRepo other({.chunker_polynomial = repository::random_polynomial()});
    auto a = repo_a_.open(), c = other.open();
    expect_error(ErrorKind::usage, [&] {
        archive({{"a", a.get()}, {"c", c.get()}}, {.targets = {source_}});
    });
}

}  // namespace
}  // namespace sevenfold::files
