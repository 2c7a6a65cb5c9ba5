#include "storage/local/local_backend.h"

#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "os/file.h"
#include "storage/testing/contract.h"

namespace sevenfold::storage {
namespace {

namespace fs = std::filesystem;

INSTANTIATE_TEST_SUITE_P(Local, BackendContract,
                         testing::Values(folder_contract("local",
                                                         [](const std::string& path) {
                                                             return std::make_unique<LocalBackend>(
                                                                 path);
                                                         })),
                         contract_name);

mode_t mode_of(const std::string& path) {
    struct stat st {};
    EXPECT_EQ(::stat(path.c_str(), &st), 0) << path;
    return st.st_mode & 07777;
}

// Every regular file below a folder.
std::vector<std::string> files_below(const std::string& path) {
    std::vector<std::string> out;
    for (const auto& entry : fs::recursive_directory_iterator(path))
        if (entry.is_regular_file()) out.push_back(entry.path().string());
    return out;
}

TEST(LocalBackend, HasResticsLayoutAndModes) {
    TestFolder folder;
    LocalBackend backend(folder / "a/b/repo/");
    EXPECT_EQ(backend.location(), folder / "a/b/repo");
    backend.create();
    for (const char* name : {"keys", "locks", "snapshots", "index", "data", "data/00", "data/ff"})
        EXPECT_EQ(mode_of(folder / "a/b/repo/" + name), 0700u) << name;
    backend.store({FileType::config}, as_bytes("x"));
    FileName pack = test_name(FileType::pack, 1);
    backend.store(pack, as_bytes("y"));
    std::string hex = pack.id.hex();
    EXPECT_EQ(mode_of(folder / "a/b/repo/config"), 0400u);
    EXPECT_EQ(mode_of(folder / "a/b/repo/data/" + hex.substr(0, 2) + "/" + hex), 0400u);
}

TEST(LocalBackend, GroupBitsFollowConfig) {
    TestFolder folder;
    LocalBackend(folder / "repo").create();
    os::write_file_atomically(folder / "repo/config", as_bytes("x"), 0440);
    FileName pack = test_name(FileType::pack, 1);
    std::string dir = folder / "repo/data/" + pack.id.hex().substr(0, 2);
    fs::remove(dir);
    LocalBackend backend(folder / "repo");
    mode_t mask = ::umask(002);
    backend.store(pack, as_bytes("y"));
    ::umask(mask);
    EXPECT_EQ(mode_of(dir), 0770u);
    EXPECT_EQ(mode_of(backend.path_of(pack)), 0440u);
}

TEST(LocalBackend, MakesMissingFoldersButNeverTheRoot) {
    TestFolder folder;
    LocalBackend backend(folder / "repo");
    backend.create();
    fs::remove_all(folder / "repo/data");
    fs::remove_all(folder / "repo/index");
    EXPECT_TRUE(backend.list_all(FileType::pack).empty());
    EXPECT_TRUE(backend.list_all(FileType::index).empty());
    backend.store(test_name(FileType::pack, 1), as_bytes("y"));
    backend.store(test_name(FileType::index, 1), as_bytes("y"));
    EXPECT_EQ(backend.list_all(FileType::pack).size(), 1u);
    fs::remove_all(folder / "repo");
    Error error = expect_error(ErrorKind::not_found,
                               [&] { backend.store(test_name(FileType::pack, 1), as_bytes("y")); });
    EXPECT_THAT(error.hint(), testing::HasSubstr("mounted"));
    expect_error(ErrorKind::not_found, [&] { backend.list_all(FileType::pack); });
    expect_error(ErrorKind::not_found, [&] { backend.list_all(FileType::snapshot); });
    EXPECT_FALSE(fs::exists(folder / "repo"));
}

TEST(LocalBackend, ListingSkipsStrangers) {
    TestFolder folder;
    LocalBackend backend(folder / "repo");
    backend.create();
    FileName name = test_name(FileType::snapshot, 1);
    backend.store(name, as_bytes("y"));
    std::string hex = name.id.hex();
    std::string upper = hex;
    for (char& c : upper) c = static_cast<char>(std::toupper(c));
    for (const std::string& stranger :
         {hex + "-tmp-123", std::string("README"), hex.substr(1), upper, "." + hex})
        std::ofstream(folder / "repo/snapshots/" + stranger) << "z";
    fs::create_directory(folder / "repo/snapshots/" + test_name(FileType::snapshot, 2).id.hex());
    std::ofstream(folder / "repo/data/README") << "z";
    // Where load() would not look for them.
    fs::create_directory(folder / "repo/data/AB");
    std::ofstream(folder / "repo/data/AB/ab" + hex.substr(2)) << "z";
    std::ofstream(folder / "repo/data/cd/ab" + hex.substr(2)) << "z";
    auto listed = backend.list_all(FileType::snapshot);
    ASSERT_EQ(listed.size(), 1u);
    EXPECT_EQ(listed[0].id, name.id);
    EXPECT_TRUE(backend.list_all(FileType::pack).empty());
}

void make_older(const std::string& path, std::chrono::hours age) {
    fs::last_write_time(path, fs::file_time_type::clock::now() - age);
}

// As in a repository in use: the leftovers of killed runs go at the first store into their folder.
TEST(LocalBackend, StoreRemovesOldLeftoversOnly) {
    TestFolder folder;
    FileName pack = test_name(FileType::pack, 1), index = test_name(FileType::index, 1);
    {
        LocalBackend backend(folder / "repo");
        backend.create();
        for (const FileName& name : {FileName{FileType::config}, pack, index})
            backend.store(name, as_bytes("x"));
    }
    LocalBackend backend(folder / "repo");
    auto beside = [&](const FileName& name, const std::string& suffix) {
        std::string path = backend.path_of(name) + suffix;
        std::ofstream(path) << "z";
        make_older(path, std::chrono::hours(25));
        return path;
    };
    std::string ours = beside(pack, "-tmp-0123456789abcdef"), restics = beside(index, "-tmp-1234"),
                young = beside(index, "-tmp-5678"), foreign = beside(index, "-tmp-mine"),
                of_config = beside({FileType::config}, "-tmp-99");
    make_older(young, std::chrono::hours(23));
    make_older(backend.path_of(index), std::chrono::hours(1000));
    fs::create_directory(backend.path_of(index) + "-tmp-1");
    make_older(backend.path_of(index) + "-tmp-1", std::chrono::hours(1000));
    backend.store(pack, as_bytes("x"));
    EXPECT_FALSE(fs::exists(ours));
    EXPECT_TRUE(fs::exists(restics)) << "nothing was stored beside it yet";
    backend.store(test_name(FileType::index, 2), as_bytes("x"));
    EXPECT_FALSE(fs::exists(restics));
    for (const std::string& kept : {young, foreign, of_config, backend.path_of(index)})
        EXPECT_TRUE(fs::exists(kept)) << kept;
    EXPECT_TRUE(fs::exists(backend.path_of(index) + "-tmp-1"));
    backend.store({FileType::config}, as_bytes("x"));
    EXPECT_FALSE(fs::exists(of_config));
}

// A file-size limit stops a write in the middle, as a full disk does.
TEST(LocalBackend, FailedWriteLeavesNothing) {
    TestFolder folder;
    LocalBackend backend(folder / "repo");
    backend.create();
    rlimit former{}, small{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &former), 0);
    small = former;
    small.rlim_cur = 100'000;
    auto handler = ::signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    Error error = expect_error(ErrorKind::no_space, [&] {
        backend.store(test_name(FileType::pack, 1), test_body(300'000, 1));
    });
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &former), 0);
    ::signal(SIGXFSZ, handler);
    EXPECT_FALSE(error.hint().empty());
    EXPECT_TRUE(files_below(folder / "repo").empty());
}

TEST(LocalBackend, FullDiskLeavesNothing) {
    if (::geteuid() != 0) GTEST_SKIP() << "mounting a small disk needs root";
    TestFolder folder;
    fs::create_directory(folder / "disk");
    ASSERT_EQ(::mount("tmpfs", (folder / "disk").c_str(), "tmpfs", 0, "size=1m"), 0);
    struct Unmount {
        std::string path;
        ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
    } unmount{folder / "disk"};
    LocalBackend backend(folder / "disk/repo");
    backend.create();
    Bytes body = test_body(300'000, 1);
    uint64_t stored = 0;
    Error error = expect_error(ErrorKind::no_space, [&] {
        for (; stored < 10; ++stored) backend.store(test_name(FileType::pack, stored), body);
    });
    EXPECT_THAT(error.hint(), testing::HasSubstr("Free space"));
    EXPECT_EQ(files_below(folder / "disk").size(), stored);
    for (const FileInfo& info : backend.list_all(FileType::pack)) EXPECT_EQ(info.size, 300'000u);
    EXPECT_LT(*backend.free_space(), 300'000u);
    backend.remove(test_name(FileType::pack, 0));
    backend.store(test_name(FileType::pack, 99), body);
    EXPECT_EQ(backend.load_all(test_name(FileType::pack, 99)), body);
}

TEST(LocalBackend, TellsFreeSpace) {
    TestFolder folder;
    LocalBackend backend(folder / "repo");
    backend.create();
    EXPECT_GT(backend.free_space().value(), 0u);
}

}  // namespace
}  // namespace sevenfold::storage
