#include "catalog/catalog.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"

namespace sevenfold::catalog {
namespace {

class CatalogTest : public testing::Test {
  protected:
    std::string dir = testing::TempDir() + "catalog-" + std::to_string(getpid());
    void TearDown() override { std::filesystem::remove_all(dir); }
};

TEST_F(CatalogTest, TheNewestRunOfThatSourceAndPlaceIsFoundAgain) {
    RunRecord run{.job = "backup",
                  .source = "uploads",
                  .place = "main",
                  .started = parse_rfc3339("2026-11-22T10:00:00.5+01:00"),
                  .ended = parse_rfc3339("2026-11-22T10:01:00+01:00"),
                  .succeeded = true,
                  .snapshot = "abc",
                  .files = 3,
                  .bytes = 1ULL << 40};
    {
        Catalog catalog(dir);
        EXPECT_FALSE(catalog.last_run("backup", "uploads", "main"));
        catalog.add_run(run);
        run.place = "offsite";
        run.succeeded = false;
        run.error = "it's \"full\"; DROP TABLE run";
        catalog.add_run(run);
    }
    Catalog again(dir);
    auto first = again.last_run("backup", "uploads", "main");
    ASSERT_TRUE(first);
    EXPECT_TRUE(first->succeeded);
    EXPECT_EQ(first->bytes, 1ULL << 40);
    EXPECT_EQ(to_rfc3339(first->started), "2026-11-22T10:00:00.5+01:00");
    auto second = again.last_run("backup", "uploads", "offsite");
    ASSERT_TRUE(second);
    EXPECT_FALSE(second->succeeded);
    EXPECT_EQ(second->error, run.error);
    EXPECT_FALSE(again.last_run("backup", "other", "main"));
}

TEST_F(CatalogTest, IsForItsOwnerOnly) {
    Catalog catalog(dir);
    struct stat st {};
    ASSERT_EQ(stat((dir + "/catalog.sqlite").c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600u);
}

TEST_F(CatalogTest, AFileThatIsNoCatalogIsRefusedByName) {
    std::filesystem::create_directories(dir);
    std::ofstream(dir + "/catalog.sqlite") << std::string(5000, 'x');
    try {
        Catalog catalog(dir);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::corrupt);
        EXPECT_NE(error.message().find(dir), std::string::npos);
        EXPECT_FALSE(error.hint().empty());
    }
}

}  // namespace
}  // namespace sevenfold::catalog
