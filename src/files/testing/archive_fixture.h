// What the tests of the archive share: a source, two places in memory, and looks at what came out.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "files/archive.h"
#include "repository/testing/memory_repo.h"
#include "storage/testing/contract.h"

namespace sevenfold::files::testing {

// Path to all that must come back of it, in one comparable line.
using Listing = std::map<std::string, std::string>;
Listing on_disk(const std::string& root);
// What a snapshot holds below one of its folders.
Listing in_snapshot(const repository::Repository& repository, const Id& tree,
                    const std::string& folder);
repository::Node find_node(const repository::Repository& repository, const Id& tree,
                           const std::string& path);
Bytes content_of(const repository::Repository& repository, const repository::Node& node);

// With one connection a place, storage that can hold only little before the reader must wait for
// it: a hook in it runs while a large file is still being read.
ArchiveOptions in_step();

class ArchiveTest : public ::testing::Test {
  protected:
    ArchiveTest();

    void write(const std::string& name, ByteView content);
    void write(const std::string& name, size_t size, uint64_t seed);  // content from the seed
    // Backs the source up to both places, compared with the run before.
    ArchiveResult run(ArchiveOptions options = {}, bool compare = true);
    // Both places give back what is on disk, and a full check finds nothing wrong.
    void expect_saved(const ArchiveResult& result);

    storage::TestFolder folder_;
    std::string source_ = folder_ / "source";
    repository::testing::MemoryRepo repo_a_, repo_b_;
    std::unique_ptr<repository::Repository> a_, b_;
    std::vector<ItemIssue> issues_;  // of the last run
    std::optional<Id> last_;         // the last run's tree
};

}  // namespace sevenfold::files::testing
