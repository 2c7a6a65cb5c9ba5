#include "repository/testing/restic_repo.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "storage/local/local_backend.h"

namespace sevenfold::repository::testing {

ResticRepo::ResticRepo(int version) : path_(folder_ / "repo") {
    CreateOptions options;
    options.version = version;
    options.key.kdf_time = std::chrono::milliseconds(0);
    Repository::create(std::make_unique<storage::LocalBackend>(path_), Secret(kPassword), options);
}

void ResticRepo::become_copy_of(const ResticRepo& other) {
    std::filesystem::remove_all(path_);
    std::filesystem::copy(other.path_, path_, std::filesystem::copy_options::recursive);
}

std::unique_ptr<Repository> ResticRepo::open() const {
    return Repository::open(std::make_unique<storage::LocalBackend>(path_), Secret(kPassword), {});
}

os::CommandOutput ResticRepo::restic(
    std::vector<std::string> arguments,
    std::vector<std::pair<std::string, std::string>> environment) const {
    os::ChildOptions options;
    options.argv = {"restic", "--no-cache", "-r", path_};
    options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
    options.environment = std::move(environment);
    options.environment.emplace_back("RESTIC_PASSWORD", kPassword);
    return os::run_command(std::move(options));
}

std::string ResticRepo::restic_ok(std::vector<std::string> arguments) const {
    os::CommandOutput out = restic(std::move(arguments));
    EXPECT_TRUE(out.status.ok()) << out.errors;
    return std::string(as_text(out.output));
}

}  // namespace sevenfold::repository::testing
