// Tries failed operations again, with growing pauses, until they succeed or the time is up.
//
// Only temporary errors (is_temporary) are tried again; `io` a few times only, as a broken disk
// stays broken. Every try of a store sends the whole body. What a lost reply leaves unknown is
// settled by looking: a store that is then refused counts as done when a file of exactly its size
// is there, a remove that then finds nothing is done.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <stop_token>

#include "core/error.h"
#include "core/random.h"
#include "core/time.h"
#include "storage/forwarding_backend.h"
#include "storage/versions.h"
#include "storage/waiting.h"

namespace sevenfold::storage {

struct RetryOptions {
    // From an operation's first failure to giving up.
    std::chrono::nanoseconds total = std::chrono::minutes(15);
    // Likewise, but as long as nothing has succeeded yet: whoever has never answered may be down
    // for days, and others wait.
    std::chrono::nanoseconds reach_within = std::chrono::seconds(20);
    std::chrono::nanoseconds first_pause = std::chrono::milliseconds(500);  // doubles, ±50 % jitter
    std::chrono::nanoseconds longest_pause = std::chrono::seconds(60);
    unsigned io_attempts = 4;  // tries of an operation that fails with `io`
    uint64_t seed = 0;         // of the jitter
    const Clock* clock = &Clock::system();
    Sleeper sleep = sleep_unless_stopped;
    std::stop_token stop;  // ends a pause with Error{interrupted}
};

class RetryBackend : public ForwardingBackend {
  public:
    RetryBackend(std::unique_ptr<Backend> inner, RetryOptions options);
    ~RetryBackend() override;

    void create() override;
    void store(const FileName& name, ByteView body) override;
    Bytes load(const FileName& name, uint64_t offset, size_t length) override;
    Bytes load_all(const FileName& name, uint64_t limit = UINT64_MAX) override;
    uint64_t size(const FileName& name) override;
    // Calls `each` only once a listing is complete.
    void list(FileType type, const std::function<void(const FileInfo&)>& each) override;
    void remove(const FileName& name) override;
    std::optional<uint64_t> free_space() override;
    Versions* versions() override;

  private:
    class RetriedVersions;
    template <class Operation>
    auto attempt(Operation operation);
    std::chrono::nanoseconds pause(unsigned failures);

    const RetryOptions options_;
    std::atomic<bool> reached_{false};  // it has answered
    std::mutex mutex_;
    SplitMix64 random_;
    std::unique_ptr<Versions> versions_;  // null: `inner` has none
};

}  // namespace sevenfold::storage
