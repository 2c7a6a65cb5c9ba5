#include "files/internal/targets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/error.h"
#include "storage/testing/contract.h"

namespace sevenfold::files::internal {
namespace {

using ::testing::ElementsAre;

// "name=source" for what is taken whole, "name{…}" for folders on the way.
std::string text(const TargetNode& node) {
    std::string out;
    for (const auto& [name, child] : node.children)
        out += (out.empty() ? "" : " ") + name +
               (child.whole ? "=" + child.source : "{" + text(child) + "}");
    return out;
}
std::string resolve(const std::vector<std::string>& targets) {
    return text(resolve_targets(targets));
}

TEST(Targets, AbsoluteOnesKeepTheirPath) {
    EXPECT_EQ(resolve({"/a/b"}), "a{b=/a/b}");
    EXPECT_EQ(resolve({"/a//b/./c/../"}), "a{b=/a/b}");
    EXPECT_EQ(resolve({"/a/b", "/a/c", "/d"}), "a{b=/a/b c=/a/c} d=/d");
}

TEST(Targets, RelativeOnesLoseOnlyLeadingDots) {
    EXPECT_EQ(resolve({"a/b"}), "a{b=a/b}");
    EXPECT_EQ(resolve({"./a"}), "a=a");
    EXPECT_EQ(resolve({"../a/b"}), "a{b=../a/b}");
    EXPECT_EQ(resolve({"../../a"}), "a=../../a");
    EXPECT_EQ(resolve({"x/../a"}), "a=a");
}

TEST(Targets, OneInsideAnotherAddsNothing) {
    EXPECT_EQ(resolve({"/a", "/a/b/c"}), "a=/a");
    EXPECT_EQ(resolve({"/a/b/c", "/a"}), "a=/a");
    EXPECT_EQ(resolve({"/a", "/a/", "/a/."}), "a=/a");
}

TEST(Targets, NamesThatClashGetANumber) {
    EXPECT_EQ(resolve({"a", "../a", "../../a"}), "a=a a-1=../a a-2=../../a");
    EXPECT_EQ(resolve({"a", "../a", "a"}), "a=a a-1=../a");
    EXPECT_EQ(resolve({"/x/a", "../x/a"}), "x{a=/x/a a-1=../x/a}");
}

TEST(Targets, ATargetWithoutNameStandsForItsEntries) {
    storage::TestFolder folder;
    std::filesystem::create_directories(folder / "here/one");
    std::filesystem::create_directories(folder / "here/two");
    auto before = std::filesystem::current_path();
    std::filesystem::current_path(folder / "here");
    EXPECT_EQ(resolve({"."}), "one=one two=two");
    EXPECT_EQ(resolve({".", "one"}), "one=one two=two");
    EXPECT_EQ(resolve({".."}), "here=../here");
    std::filesystem::current_path(before);
}

TEST(Targets, MakesPathsAbsolute) {
    std::string here = std::filesystem::current_path();
    EXPECT_EQ(absolute_path("a"), here + "/a");
    EXPECT_EQ(absolute_path("."), here);
    EXPECT_EQ(absolute_path("a/../b/"), here + "/b");
    EXPECT_EQ(absolute_path("/"), "/");
    EXPECT_EQ(absolute_path("//x//y/./"), "/x/y");
    EXPECT_EQ(absolute_path("/.."), "/");
}

}  // namespace
}  // namespace sevenfold::files::internal
