// Stores the blobs of one run into one repository or several at once: one read, many places.
//
// A blob is hashed and compressed once, then sealed under each place's own key into that place's
// open pack. Full packs go through a bounded queue to the place's uploaders. A place that fails is
// dropped and remembered; a place that holds the others up for longer than `patience` is set aside
// as lagging, so that it delays only itself. Index files are saved at checkpoints, so that an
// interrupted run loses little.
//
// Memory, for each place: workers × 2 open packs and connections + 2 finished ones, each of
// pack_target plus at most one blob.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/progress.h"
#include "repository/lock.h"
#include "repository/pack.h"
#include "repository/repository.h"

namespace sevenfold::repository {

enum class Compression { automatic, off, fastest, better, max };

struct WriterOptions {
    size_t pack_target = kPackTarget;
    Compression compression = Compression::automatic;
    std::chrono::nanoseconds checkpoint_every = std::chrono::minutes(1);
    std::chrono::nanoseconds patience = std::chrono::seconds(30);
    Progress* progress = nullptr;
    bool discard = false;  // a dry run: everything is done but storing
};

struct WriterPlace {
    std::string name;
    Repository* repository = nullptr;  // with its index loaded
    const Lock* lock = nullptr;        // may be null
    size_t pack_target = 0;            // bytes; 0: as the options say
};

struct WriterStats {
    uint64_t data_blobs = 0, tree_blobs = 0;  // new ones
    uint64_t bytes_added = 0;                 // plaintext of new blobs
    uint64_t bytes_packed = 0;                // what they take in packs
};

class BlobWriter {
  public:
    BlobWriter(std::vector<WriterPlace> places, const WriterOptions& options);
    // Abandons what is not finished; packs already stored but not indexed are left as waste.
    ~BlobWriter();

    enum class State { active, lagging, failed };
    size_t place_count() const;
    State state(size_t place) const;
    std::optional<Error> failure(size_t place) const;
    WriterStats stats(size_t place) const;
    bool any_active() const;

    // True when every active place has the blob already, or it is on its way there.
    bool has(const BlobHandle& blob) const;

    // One per thread; all end before finish().
    class Worker {
      public:
        explicit Worker(BlobWriter& writer);
        ~Worker();
        // Hashes the plaintext and stores it where it is missing. Returns its id; durable only
        // after finish(). Never throws for a place's failure: see state().
        Id add(BlobType type, ByteView plaintext);

      private:
        friend class BlobWriter;
        struct Impl;
        std::unique_ptr<Impl> impl_;
    };

    // Stores what is still open, waits for all uploads and saves the index files. Afterwards all
    // blobs added are durable and indexed at every place that is still active. `on_place` is called
    // for each place as soon as that is so there (or it has failed, or lags), from a thread of its
    // own: no place waits for another.
    void finish(const std::function<void(size_t place)>& on_place = {});

  private:
    struct Place;
    struct Shared;
    std::unique_ptr<Shared> shared_;
};

}  // namespace sevenfold::repository
