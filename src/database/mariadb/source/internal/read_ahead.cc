#include "database/mariadb/source/internal/read_ahead.h"

#include <algorithm>
#include <thread>

#include "core/queue.h"

namespace sevenfold::database::mariadb::source {
namespace {

constexpr size_t kBlock = 1 << 20;
constexpr size_t kBlocksAhead = 7;  // and one that is used: 8 MiB

}  // namespace

class ReadAhead::Fetcher {
  public:
    Fetcher(const LogArchive& archive, size_t segment)
        : queue_(kBlocksAhead), thread_([this, &archive, segment] { run(archive, segment); }) {}
    ~Fetcher() { queue_.close(); }

    // From the block that begins at or before `offset`; 0 when the file ends before it.
    size_t read(uint64_t offset, MutableByteView out) {
        while (offset >= start_ + block_.size()) {
            std::optional<Item> item = queue_.pop();
            if (!item) return 0;
            if (item->failure) std::rethrow_exception(item->failure);
            start_ += block_.size();
            block_ = std::move(item->bytes);
        }
        ByteView there = ByteView(block_).subspan(offset - start_);
        size_t n = std::min(there.size(), out.size());
        std::copy_n(there.begin(), n, out.begin());
        return n;
    }
    uint64_t start() const { return start_; }

  private:
    struct Item {
        Bytes bytes;
        std::exception_ptr failure;
    };

    void run(const LogArchive& archive, size_t segment) {
        try {
            uint64_t size = archive.segments()[segment].size;
            for (uint64_t offset = 0; offset < size;) {
                Bytes block(std::min<uint64_t>(kBlock, size - offset));
                block.resize(archive.read(segment, offset, block));
                if (block.empty()) break;
                offset += block.size();
                if (!queue_.push({std::move(block), nullptr})) return;
            }
        } catch (...) {
            queue_.push({{}, std::current_exception()});
        }
        queue_.close();
    }

    BoundedQueue<Item> queue_;
    Bytes block_;
    uint64_t start_ = 0;
    std::jthread thread_;  // last: it uses the queue
};

ReadAhead::ReadAhead(const LogArchive& archive, size_t segment)
    : archive_(archive), segment_(segment), fetcher_(std::make_unique<Fetcher>(archive, segment)) {}
ReadAhead::~ReadAhead() = default;

const std::vector<LogSegment>& ReadAhead::segments() const { return archive_.segments(); }

size_t ReadAhead::read(size_t segment, uint64_t offset, MutableByteView out) const {
    // What was used is gone: who goes back reads the archive itself.
    if (segment != segment_ || offset < fetcher_->start())
        return archive_.read(segment, offset, out);
    size_t done = 0;
    while (done < out.size()) {
        size_t n = fetcher_->read(offset + done, out.subspan(done));
        if (n == 0) break;
        done += n;
    }
    return done;
}

}  // namespace sevenfold::database::mariadb::source
