#include "repository/tree_writer.h"

#include <gtest/gtest.h>

#include "repository/repository.h"
#include "repository/testing/memory_repo.h"
#include "repository/walk.h"

namespace sevenfold::repository {
namespace {

TEST(TreeWriterTest, FinishedFilesCanBeRenamedAndRemoved) {
    testing::MemoryRepo repo;
    auto repository = repo.open();
    BlobWriter writer({{"memory", repository.get()}}, {});
    TreeWriter tree(writer, repository->chunker(), {});
    tree.add("a/one", as_bytes("1"), {});
    tree.add("a/two", as_bytes("22"), {});
    tree.add("three", as_bytes("333"), {});
    EXPECT_TRUE(tree.rename("a/one", "b/moved"));
    EXPECT_TRUE(tree.rename("three", "a/two"));  // takes its place
    EXPECT_FALSE(tree.rename("three", "again"));
    tree.add("gone", as_bytes("4444"), {});
    EXPECT_TRUE(tree.remove("gone"));
    EXPECT_FALSE(tree.remove("gone"));
    EXPECT_FALSE(tree.remove("no/such"));
    tree.add("a/one", as_bytes("new"), {});  // the name is free again
    EXPECT_EQ(tree.file_count(), 3u);
    EXPECT_EQ(tree.byte_count(), 7u);
    Id root = tree.finish();
    writer.finish();
    std::map<std::string, uint64_t> found;
    PathVisitor visitor;
    visitor.visit = [&](const std::string& path, const Node& node) {
        if (node.is_file()) found[path] = node.size;
        return Step::into;
    };
    walk_paths(*repo.open(), root, "", visitor);
    EXPECT_EQ(found,
              (std::map<std::string, uint64_t>{{"/a/one", 3}, {"/a/two", 3}, {"/b/moved", 1}}));
}

}  // namespace
}  // namespace sevenfold::repository
