// Keeps to a number of operations at once and to bandwidths.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>

#include "core/time.h"
#include "storage/forwarding_backend.h"
#include "storage/waiting.h"

namespace sevenfold::storage {

// Bytes a second, with a quarter of a second's worth as burst. Thread-safe; several users share the
// rate, first come first served.
class TokenBucket {
  public:
    TokenBucket(uint64_t bytes_per_second, std::stop_token stop = {},
                const Clock& clock = Clock::system(), Sleeper sleep = sleep_unless_stopped);
    // Returns when these bytes may go; bytes larger than the burst are owed by whoever comes next.
    void take(size_t bytes);

  private:
    const double rate_;
    const std::stop_token stop_;
    const Clock& clock_;
    const Sleeper sleep_;
    std::mutex mutex_;
    std::chrono::steady_clock::time_point free_at_;  // when everything taken so far has gone
};

struct Limits {
    unsigned connections = 0;  // 0: none
    // Shared with the driver where that shapes its traffic itself, else null. Bodies count as a
    // whole here.
    std::shared_ptr<TokenBucket> upload, download;
};

class LimitBackend : public ForwardingBackend {
  public:
    LimitBackend(std::unique_ptr<Backend> inner, Limits limits);

    Capabilities capabilities() const override;
    void create() override;
    void store(const FileName& name, ByteView body) override;
    Bytes load(const FileName& name, uint64_t offset, size_t length) override;
    Bytes load_all(const FileName& name, uint64_t limit = UINT64_MAX) override;
    uint64_t size(const FileName& name) override;
    // The connection is free again before `each` is called.
    void list(FileType type, const std::function<void(const FileInfo&)>& each) override;
    void remove(const FileName& name) override;

  private:
    class Turn;
    Bytes received(Bytes bytes);

    const Limits limits_;
    std::mutex mutex_;
    std::condition_variable turn_free_;
    unsigned running_ = 0;
};

}  // namespace sevenfold::storage
