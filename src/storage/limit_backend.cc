#include "storage/limit_backend.h"

#include <algorithm>

#include "core/check.h"

namespace sevenfold::storage {

using std::chrono::nanoseconds;

TokenBucket::TokenBucket(uint64_t bytes_per_second, std::stop_token stop, const Clock& clock,
                         Sleeper sleep)
    : rate_(static_cast<double>(bytes_per_second)),
      stop_(std::move(stop)),
      clock_(clock),
      sleep_(std::move(sleep)) {
    CHECK(bytes_per_second > 0);
}

void TokenBucket::take(size_t bytes) {
    constexpr nanoseconds kBurst = std::chrono::milliseconds(250);
    nanoseconds wait{};
    {
        std::lock_guard lock(mutex_);
        auto now = clock_.steady();
        wait = free_at_ - now - kBurst;
        auto cost = nanoseconds(static_cast<int64_t>(static_cast<double>(bytes) / rate_ * 1e9));
        free_at_ = std::max(free_at_, now) + cost;
    }
    if (wait.count() > 0) sleep_(wait, stop_);
}

// Holds one of the connections.
class LimitBackend::Turn {
  public:
    explicit Turn(LimitBackend& owner) : owner_(owner) {
        std::unique_lock lock(owner_.mutex_);
        unsigned most = owner_.limits_.connections;
        owner_.turn_free_.wait(lock, [&] { return most == 0 || owner_.running_ < most; });
        ++owner_.running_;
    }
    ~Turn() {
        {
            std::lock_guard lock(owner_.mutex_);
            --owner_.running_;
        }
        owner_.turn_free_.notify_one();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

  private:
    LimitBackend& owner_;
};

LimitBackend::LimitBackend(std::unique_ptr<Backend> inner, Limits limits)
    : ForwardingBackend(std::move(inner)), limits_(std::move(limits)) {}

Capabilities LimitBackend::capabilities() const {
    Capabilities out = inner().capabilities();
    if (limits_.connections != 0) out.connections = limits_.connections;
    return out;
}

Bytes LimitBackend::received(Bytes bytes) {
    if (limits_.download) limits_.download->take(bytes.size());
    return bytes;
}

void LimitBackend::create() {
    Turn turn(*this);
    inner().create();
}

void LimitBackend::store(const FileName& name, ByteView body) {
    Turn turn(*this);
    if (limits_.upload) limits_.upload->take(body.size());
    inner().store(name, body);
}

Bytes LimitBackend::load(const FileName& name, uint64_t offset, size_t length) {
    Turn turn(*this);
    return received(inner().load(name, offset, length));
}

Bytes LimitBackend::load_all(const FileName& name, uint64_t limit) {
    Turn turn(*this);
    return received(inner().load_all(name, limit));
}

uint64_t LimitBackend::size(const FileName& name) {
    Turn turn(*this);
    return inner().size(name);
}

void LimitBackend::list(FileType type, const std::function<void(const FileInfo&)>& each) {
    std::vector<FileInfo> found;
    {
        Turn turn(*this);
        found = inner().list_all(type);
    }
    for (const FileInfo& info : found) each(info);
}

void LimitBackend::remove(const FileName& name) {
    Turn turn(*this);
    inner().remove(name);
}

}  // namespace sevenfold::storage
