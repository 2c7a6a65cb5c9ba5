#include "database/mariadb/source/internal/segment_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <thread>

#include "core/queue.h"

namespace sevenfold::database::source {
namespace {

constexpr std::array<uint8_t, 4> kMagic = {0xfe, 'b', 'i', 'n'};
constexpr size_t kBlock = 1 << 20;
constexpr size_t kBlocksAhead = 8;  // 8 MiB
// The server's largest packet is 1 GiB; what claims to be longer is no event.
constexpr uint32_t kMaxEvent = (1u << 30) + (1u << 20);

}  // namespace

class ReadAhead {
  public:
    ReadAhead(const LogArchive& archive, size_t number)
        : queue_(kBlocksAhead), thread_([this, &archive, number] { run(archive, number); }) {}
    ~ReadAhead() { queue_.close(); }

    // Empty at the end.
    Bytes next() {
        std::optional<Item> item = queue_.pop();
        if (!item) return {};
        if (item->failure) std::rethrow_exception(item->failure);
        return std::move(item->bytes);
    }

  private:
    struct Item {
        Bytes bytes;
        std::exception_ptr failure;
    };

    void run(const LogArchive& archive, size_t number) {
        try {
            uint64_t size = archive.segments()[number].size;
            for (uint64_t offset = 0; offset < size;) {
                Bytes block(std::min<uint64_t>(kBlock, size - offset));
                size_t got = archive.read(number, offset, block);
                if (got == 0) break;
                block.resize(got);
                offset += got;
                if (!queue_.push({std::move(block), nullptr})) return;
            }
        } catch (...) {
            queue_.push({{}, std::current_exception()});
        }
        queue_.close();
    }

    BoundedQueue<Item> queue_;
    std::jthread thread_;  // last: it uses the queue
};

SegmentReader::SegmentReader(const LogArchive& archive, size_t number, bool read_ahead)
    : archive_(archive), number_(number) {
    const LogSegment& segment = archive.segments()[number];
    name_ = segment.incarnation + "/" + segment.name;
    if (read_ahead) ahead_ = std::make_unique<ReadAhead>(archive, number);
}

SegmentReader::~SegmentReader() = default;

void SegmentReader::damaged(std::string_view what) const {
    throw Error(ErrorKind::corrupt, fmt::format("log {} at offset {}: {}", name_, offset_, what),
                "What lies before this place can be replayed: stop at a transaction before it.");
}

bool SegmentReader::have(size_t size) {
    if (buffer_.size() - begin_ >= size) return true;
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<ptrdiff_t>(begin_));
    begin_ = 0;
    while (buffer_.size() < size) {
        if (ahead_) {
            Bytes block = ahead_->next();
            if (block.empty()) return false;
            append(buffer_, block);
        } else {
            size_t had = buffer_.size(), wanted = std::max<size_t>(size - had, 16 << 10);
            buffer_.resize(had + wanted);
            size_t got =
                archive_.read(number_, fetched_, MutableByteView(buffer_).subspan(had, wanted));
            buffer_.resize(had + got);
            fetched_ += got;
            if (got == 0) return false;
        }
    }
    return true;
}

std::optional<Event> SegmentReader::next() {
    begin_ += std::exchange(last_, 0);
    if (offset_ == 0) {
        if (!have(kMagic.size())) return {};
        if (!std::equal(kMagic.begin(), kMagic.end(), buffer_.begin())) {
            if (buffer_[0] == 0xfd)
                throw Error(ErrorKind::unsupported, fmt::format("log {}: encrypted", name_),
                            "Switch encrypt_binlog off; the archive encrypts by itself.");
            damaged("not a binlog");
        }
        begin_ = offset_ = kMagic.size();
    }
    if (!have(kEventHeaderSize)) return {};
    Event event;
    event.header = parse_header(ByteView(buffer_).subspan(begin_));
    uint32_t size = event.header.size;
    if (size < kEventHeaderSize || size > kMaxEvent)
        damaged(fmt::format("an event of {} bytes", size));
    if (!have(size)) return {};
    event.bytes = ByteView(buffer_).subspan(begin_, size);
    event.offset = offset_;
    uint8_t type = event.header.type;
    if (type == kFormatDescriptionEvent) {
        format_ = parse_format_description(event.bytes);
        described_ = true;
    } else if (!described_) {
        damaged("no format description");
    }
    event.checksum = format_.checksum;
    if (format_.checksum && !checksum_matches(event.bytes))
        damaged(fmt::format("checksum of an event of type {} does not match", type));
    if (type == kStartEncryptionEvent)
        throw Error(ErrorKind::unsupported, fmt::format("log {}: encrypted", name_),
                    "Switch encrypt_binlog off; the archive encrypts by itself.");
    size_t tail = format_.checksum || type == kFormatDescriptionEvent ? kChecksumSize : 0;
    if (size < kEventHeaderSize + tail) damaged("an event without a body");
    event.body = event.bytes.subspan(kEventHeaderSize, size - kEventHeaderSize - tail);
    last_ = size;
    offset_ += size;
    return event;
}

}  // namespace sevenfold::database::source
