// Makes a backend fail, for tests: by chance from a seed, or exactly where a script says.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "core/error.h"
#include "core/random.h"
#include "storage/forwarding_backend.h"

namespace sevenfold::storage {

enum class Operation { create, store, load, size, list, remove };

struct FaultOptions {
    uint64_t seed = 0;
    // Probabilities per operation, 0 to 1.
    double error_before = 0;    // nothing done, Error{network}
    double error_after = 0;     // done, but the reply is lost: Error{network}
    double torn_store = 0;      // a part lies under the final name, Error{network}
    double stale_list = 0;      // files stored lately are missing from a listing
    double wrong_bytes = 0;     // one bit of what load returns is flipped
    bool spare_remove = false;  // no chance faults on remove, whose lost replies leave doubt
    size_t lately = 3;          // how many of the last stores a stale listing may miss
};

class FaultBackend : public ForwardingBackend {
  public:
    explicit FaultBackend(std::unique_ptr<Backend> inner, FaultOptions options = {});

    // The n-th operation of a kind from now on (1 is the next) fails with `error`; `done` tells
    // whether it takes effect all the same.
    void fail_nth(Operation operation, uint64_t n, Error error, bool done = false);
    // Every operation of a kind fails from now on.
    void fail_always(Operation operation, Error error);
    // No more faults of any sort.
    void calm();
    // Operations of a kind so far, failed ones counted.
    uint64_t count(Operation operation) const;

    Capabilities capabilities() const override;
    void create() override;
    void store(const FileName& name, ByteView body) override;
    Bytes load(const FileName& name, uint64_t offset, size_t length) override;
    Bytes load_all(const FileName& name, uint64_t limit = UINT64_MAX) override;
    uint64_t size(const FileName& name) override;
    void list(FileType type, const std::function<void(const FileInfo&)>& each) override;
    void remove(const FileName& name) override;

  private:
    struct Planned {
        Operation operation;
        uint64_t at;  // the count of that operation; 0: always
        Error error;
        bool done;
    };
    struct Fault {
        std::optional<Error> before, after;
    };
    Fault next(Operation operation, std::string_view what);
    bool chance(double probability);
    template <class Call>
    auto run(Operation operation, std::string_view what, Call call);
    Bytes maybe_damaged(Bytes bytes);

    mutable std::mutex mutex_;
    FaultOptions options_;
    SplitMix64 random_;
    uint64_t counts_[6] = {};
    std::vector<Planned> planned_;
    std::deque<FileName> recent_;
};

}  // namespace sevenfold::storage
