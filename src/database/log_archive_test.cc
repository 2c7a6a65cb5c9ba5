#include "database/log_archive.h"

#include <gtest/gtest.h>

#include "database/testing/mariadb_server.h"
#include "os/file.h"

namespace sevenfold::database {
namespace {

TEST(LogArchiveTest, JoinedArchivesTakeTheLongestCopyOfEachFile) {
    storage::TestFolder folder;
    auto put = [&](const std::string& path, std::string_view text) {
        os::make_dirs(os::parent_dir(folder / path));
        os::write_file_atomically(folder / path, as_bytes(text));
    };
    put("one/0001-a/bin.000001", "first");
    put("one/0001-a/bin.000002", "sec");
    put("two/0001-a/bin.000002", "second");
    put("two/0002-b/bin.000001", "other");
    std::vector<std::unique_ptr<LogArchive>> archives;
    archives.push_back(open_log_folder(folder / "one"));
    archives.push_back(open_log_folder(folder / "two"));
    archives.push_back(open_log_folder(folder / "none"));
    auto joined = join_log_archives(std::move(archives));
    std::vector<LogSegment> expected = {
        {"0001-a", "bin.000001", 5}, {"0001-a", "bin.000002", 6}, {"0002-b", "bin.000001", 5}};
    EXPECT_EQ(joined->segments(), expected);
    Bytes out(10);
    EXPECT_EQ(joined->read(1, 2, out), 4u);
    EXPECT_EQ(as_text(ByteView(out).first(4)), "cond");
}

TEST(TestServerTest, StartsStopsAndStartsAgain) {
    TestServer server({.tcp = true});
    server.run("CREATE DATABASE shop");
    server.kill();
    server.start();
    EXPECT_EQ(server.connect("shop")->value("SELECT @@log_bin"), "1");
}

}  // namespace
}  // namespace sevenfold::database
