#include "os/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "core/error.h"

namespace sevenfold::os {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
  protected:
    FileTest() {
        std::string pattern = testing::TempDir() + "/sevenfold-file-XXXXXX";
        dir_ = ::mkdtemp(pattern.data());
    }
    ~FileTest() override { fs::remove_all(dir_); }
    std::string path(const std::string& name) const { return dir_ + "/" + name; }
    std::string dir_;
};

ErrorKind kind_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        return error.kind();
    }
    return ErrorKind::internal;
}

TEST_F(FileTest, UniqueFdClosesOnce) {
    UniqueFd fd = open_file("/dev/null", O_RDONLY);
    int number = fd.get();
    EXPECT_NE(::fcntl(number, F_GETFD) & FD_CLOEXEC, 0);
    UniqueFd moved = std::move(fd);
    EXPECT_FALSE(fd.valid());
    EXPECT_EQ(moved.get(), number);
    moved.reset();
    EXPECT_EQ(::fcntl(number, F_GETFD), -1);
}

TEST_F(FileTest, WritesAtomicallyAndReadsBack) {
    write_file_atomically(path("a"), as_bytes("one"));
    EXPECT_EQ(as_text(read_file(path("a"))), "one");
    write_file_atomically(path("a"), as_bytes("two, longer"), 0644);
    EXPECT_EQ(as_text(read_file(path("a"))), "two, longer");
    struct stat st {};
    ASSERT_EQ(::stat(path("a").c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0644u);
    write_file_atomically(path("empty"), {});
    EXPECT_TRUE(read_file(path("empty")).empty());
}

TEST_F(FileTest, AbandonedAtomicFileLeavesTheOldOne) {
    write_file_atomically(path("a"), as_bytes("old"));
    {
        AtomicFile file(path("a"));
        file.write(as_bytes("new"));
    }
    EXPECT_EQ(as_text(read_file(path("a"))), "old");
    EXPECT_EQ(std::distance(fs::directory_iterator(dir_), fs::directory_iterator()), 1);
}

TEST_F(FileTest, ReadFileHonoursItsLimitAndReadsFilesWithoutSize) {
    write_file_atomically(path("a"), as_bytes("12345"));
    EXPECT_EQ(read_file(path("a"), 5).size(), 5u);
    EXPECT_EQ(kind_of([&] { read_file(path("a"), 4); }), ErrorKind::corrupt);
    EXPECT_GT(read_file("/proc/self/status").size(), 100u);
    EXPECT_EQ(kind_of([&] { read_file("/dev/zero", 1 << 20); }), ErrorKind::corrupt);
    EXPECT_EQ(kind_of([&] { read_file(path("none")); }), ErrorKind::not_found);
    EXPECT_EQ(kind_of([&] { read_file(dir_); }), ErrorKind::io);
}

TEST_F(FileTest, PositionedReadsAndWrites) {
    UniqueFd fd = open_file(path("a"), O_RDWR | O_CREAT, 0600);
    pwrite_all(fd.get(), as_bytes("hello"), 3, "a");
    Bytes out(10);
    EXPECT_EQ(pread_all(fd.get(), out, 0, "a"), 8u);
    EXPECT_EQ(as_text(ByteView(out).subspan(3, 5)), "hello");
    EXPECT_EQ(kind_of([&] { write_all(-1, as_bytes("x"), "nothing"); }), ErrorKind::io);
    UniqueFd full = open_file("/dev/full", O_WRONLY);
    EXPECT_EQ(kind_of([&] { write_all(full.get(), as_bytes("x"), "full"); }), ErrorKind::no_space);
}

TEST_F(FileTest, MakesFoldersWithParents) {
    fs::create_directory(path("x"));
    EXPECT_EQ(make_dirs(path("x/y/z"), 0750), (std::vector{path("x/y"), path("x/y/z")}));
    EXPECT_TRUE(make_dirs(path("x/y/z")).empty());
    EXPECT_TRUE(fs::is_directory(path("x/y/z")));
    write_file_atomically(path("file"), {});
    EXPECT_EQ(kind_of([&] { make_dirs(path("file")); }), ErrorKind::exists);
    EXPECT_TRUE(path_exists(path("file")));
    EXPECT_FALSE(path_exists(path("none")));
}

TEST(ParentDir, IsTheFolderOfAPath) {
    EXPECT_EQ(parent_dir("/a/b"), "/a");
    EXPECT_EQ(parent_dir("/a//b/"), "/a");
    EXPECT_EQ(parent_dir("/b"), "/");
    EXPECT_EQ(parent_dir("/"), "/");
    EXPECT_EQ(parent_dir("b"), ".");
    EXPECT_EQ(parent_dir("a/b"), "a");
    EXPECT_EQ(parent_dir(""), ".");
}

}  // namespace
}  // namespace sevenfold::os
