// A repository on disk that the real restic and this library use in turn. Its keys are quick to
// open. A missing restic fails the test: what it would have shown is not shown by skipping.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "os/child_process.h"
#include "repository/repository.h"
#include "storage/testing/contract.h"

namespace sevenfold::repository::testing {

class ResticRepo {
  public:
    static constexpr const char* kPassword = "only for tests";

    explicit ResticRepo(int version = 2);

    // Folder of the repository; beside it is room for sources and targets.
    const std::string& path() const { return path_; }
    std::string beside(const std::string& name) const { return folder_ / name; }
    // Makes it a copy of the repository in `other`.
    void become_copy_of(const ResticRepo& other);

    // Throws what Repository::open throws.
    std::unique_ptr<Repository> open() const;

    // `restic ARGUMENTS` on this repository, without cache.
    os::CommandOutput restic(
        std::vector<std::string> arguments,
        std::vector<std::pair<std::string, std::string>> environment = {}) const;
    // The same, expected to succeed; its standard output.
    std::string restic_ok(std::vector<std::string> arguments) const;

  private:
    storage::TestFolder folder_;
    std::string path_;
};

}  // namespace sevenfold::repository::testing
