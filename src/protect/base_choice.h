// Which base a restore begins with, and the files of a physical one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protect/backup.h"
#include "protect/database.h"

namespace sevenfold::protect {

// A base, and where it lies.
struct BaseChoice {
    std::string place;
    std::shared_ptr<repository::Repository> repository;
    StoredBase base;
    std::optional<StoredBase> whole;  // what the base builds on, when it has only what changed
    std::vector<repository::Snapshot> logs;

    uint64_t bytes() const;  // of its files, and of the whole one's
};

// The newest base that serves over all places; of equal ones one that is prepared, then that of the
// first place. A base with only what changed serves where its whole one is. Nothing: no base serves
// at any place; throws when a place could not be asked, and no other has one.
std::optional<BaseChoice> choose_base(const std::string& database,
                                      const std::vector<JobPlace>& places, const std::string& place,
                                      const std::function<bool(const StoredBase&)>& serves);

// Copies a physical base's files to a new folder, and what a base with only changes adds to folders
// beside it, whose names are returned. `progress` may be null.
std::vector<std::string> copy_base_files(const BaseChoice& choice, const std::string& folder,
                                         Progress* progress, std::stop_token stop);

}  // namespace sevenfold::protect
