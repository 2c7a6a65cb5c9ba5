// The order in which LocalBackend makes things durable, seen at the calls to the system.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>

#include "storage/local/local_backend.h"
#include "storage/testing/contract.h"

namespace {

namespace fs = std::filesystem;

// What this thread asks of the system; null while nobody wants to know.
thread_local std::vector<std::string>* calls = nullptr;

void note_sync(int fd) {
    if (calls == nullptr) return;
    struct stat st {};
    ::fstat(fd, &st);
    // A file's size tells whether everything was written before.
    calls->push_back(S_ISDIR(st.st_mode)
                         ? "sync folder " +
                               fs::read_symlink("/proc/self/fd/" + std::to_string(fd)).string()
                         : "sync file of " + std::to_string(st.st_size));
}

void note_rename(const char* to) {
    if (calls != nullptr) calls->push_back(std::string("rename to ") + to);
}

}  // namespace

// These stand in for libc's in this test binary.
extern "C" int fsync(int fd) {
    note_sync(fd);
    return static_cast<int>(::syscall(SYS_fsync, fd));
}
extern "C" int fdatasync(int fd) {
    note_sync(fd);
    return static_cast<int>(::syscall(SYS_fdatasync, fd));
}
extern "C" int rename(const char* from, const char* to) noexcept {
    note_rename(to);
    return static_cast<int>(::syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to));
}
extern "C" int renameat(int from_dir, const char* from, int to_dir, const char* to) noexcept {
    note_rename(to);
    return static_cast<int>(::syscall(SYS_renameat, from_dir, from, to_dir, to));
}

namespace sevenfold::storage {
namespace {

using testing::Contains;
using testing::ElementsAre;

std::vector<std::string> calls_during(const std::function<void()>& action) {
    std::vector<std::string> out;
    calls = &out;
    action();
    calls = nullptr;
    return out;
}

class DurabilityTest : public testing::Test {
  protected:
    TestFolder folder_;
    std::string root_ = folder_ / "a/b/repo";
    LocalBackend backend_{root_};
};

TEST_F(DurabilityTest, CreateSyncsEveryNewName) {
    auto done = calls_during([&] { backend_.create(); });
    for (const std::string& dir :
         {folder_.path(), folder_ / "a", folder_ / "a/b", root_, root_ + "/data"})
        EXPECT_THAT(done, Contains("sync folder " + dir));
}

TEST_F(DurabilityTest, StoreSyncsTheFileRenamesItAndSyncsTheFolder) {
    backend_.create();
    for (FileType type : {FileType::config, FileType::key, FileType::lock, FileType::snapshot,
                          FileType::index, FileType::pack}) {
        std::string path = backend_.path_of(test_name(type, 1));
        auto done = calls_during([&] { backend_.store(test_name(type, 1), test_body(70'000, 1)); });
        EXPECT_THAT(done, ElementsAre("sync file of 70000", "rename to " + path,
                                      "sync folder " + fs::path(path).parent_path().string()));
    }
}

TEST_F(DurabilityTest, StoreSyncsTheNamesOfFoldersItMakes) {
    backend_.create();
    fs::remove_all(root_ + "/data");
    auto done = calls_during([&] { backend_.store(test_name(FileType::pack, 1), as_bytes("x")); });
    EXPECT_THAT(done, Contains("sync folder " + root_));
    EXPECT_THAT(done, Contains("sync folder " + root_ + "/data"));
}

TEST_F(DurabilityTest, RemovedNamesThatCouldDoHarmStayRemoved) {
    backend_.create();
    for (FileType type : {FileType::key, FileType::snapshot, FileType::index}) {
        backend_.store(test_name(type, 1), as_bytes("x"));
        EXPECT_THAT(calls_during([&] { backend_.remove(test_name(type, 1)); }),
                    ElementsAre("sync folder " + root_ + "/" + std::string(folder(type))));
    }
}

}  // namespace
}  // namespace sevenfold::storage
