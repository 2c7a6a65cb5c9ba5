// How much lies below a folder, and how much may.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace sevenfold::storage {

// Thread-safe. Counts the bytes of files; what others put there by other ways is seen at the next
// start only.
class Quotas {
  public:
    struct Quota {
        std::string folder;  // "" (everything) or "/shop"
        uint64_t limit, used = 0;
    };

    // `root`: where the folders lie on disk. Looks at every file below those that have a limit.
    void add(const std::string& root, const std::string& folder, uint64_t limit);
    // Bytes of a repository that are about to be written; false, and nothing is taken, when some
    // quota has not as many left.
    bool take(std::string_view repository, uint64_t bytes);
    // They were removed again, or not written after all.
    void give_back(std::string_view repository, uint64_t bytes);
    std::vector<Quota> state() const;

  private:
    mutable std::mutex mutex_;
    std::vector<Quota> quotas_;
};

}  // namespace sevenfold::storage
