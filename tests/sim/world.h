// What the simulations share: small sources that change, backups of them, and the look at what a
// repository still gives back.
//
// A failure prints its seed. SEVENFOLD_SIM_SEED=n runs that seed alone; SEVENFOLD_SIM_RUNS=n runs
// that many seeds instead of the usual number.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/id.h"
#include "core/random.h"
#include "files/archive.h"
#include "repository/check.h"
#include "repository/repository.h"
#include "storage/testing/contract.h"

namespace sevenfold::sim {

// The seeds to run: first, first + 1, ….
std::vector<uint64_t> seeds(uint64_t usual_runs);

Secret password();
// Quick to open; a polynomial that all share, so that one read can feed several places.
repository::CreateOptions create_options();

// Path to hash of the content; folders have the hash zero.
using Content = std::map<std::string, Id>;

// A folder of small files that lives on.
class Source {
  public:
    explicit Source(uint64_t seed);
    void change();  // some files are added, rewritten and removed
    const std::string& path() const { return path_; }
    Content content() const;

  private:
    storage::TestFolder folder_;
    std::string path_;
    SplitMix64 random_;
};

// What a snapshot gives back below the source's folder. Throws when anything of it is damaged.
Content restored(const repository::Repository& repository, const Id& tree,
                 const std::string& folder);

// What somebody was told to be saved.
struct Promise {
    Id snapshot;
    std::string folder;
    Content content;
};
// Expects that the snapshot is there and gives back what was promised.
void expect_kept(const repository::Repository& repository, const Promise& promise);
// Expects that a full check finds no error.
void expect_sound(repository::Repository& repository);

// Options of a backup in small packs; `index_often` saves an index file after each.
files::ArchiveOptions backup_options(const Source& source, bool index_often);
// The newest snapshot's tree, to compare with.
std::optional<Id> newest_tree(const repository::Repository& repository);

}  // namespace sevenfold::sim
