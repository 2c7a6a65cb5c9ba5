#include "files/internal/file_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <deque>

#include "core/check.h"
#include "os/file.h"

namespace sevenfold::files::internal {
namespace {

using repository::BlobType;
using repository::kChunkMax;
using repository::kChunkMin;
using repository::Node;

constexpr size_t kStep = 256 << 10;     // read and scanned at a time: fits the second-level cache
constexpr uint64_t kReread = 64 << 20;  // files up to this size are read again when they changed

// Content that is still being stored, perhaps by other threads. Kept alive by the chunks on their
// way.
struct Content {
    Content(Node& n, ContentDone d) : node(n), done(std::move(d)) {}
    Node& node;
    ContentDone done;
    std::deque<Id> ids;  // stable places for the threads to write to
    std::atomic<size_t> pending{1};

    void finish_one(unsigned worker) {
        if (--pending != 0) return;
        node.content.assign(ids.begin(), ids.end());
        done(worker);
    }
};

struct ChunkTask : TaskPool::Task {
    ChunkTask(Run& r, std::shared_ptr<Content> c, Id& i, Bytes b)
        : run_state(r), content(std::move(c)), id(i), bytes(std::move(b)) {}
    void run(unsigned worker) override {
        id = run_state.workers[worker]->store.add(BlobType::data, bytes);
        if (run_state.options.progress) run_state.options.progress->bytes_done += bytes.size();
        bytes = {};
        content->finish_one(worker);
    }
    Run& run_state;
    std::shared_ptr<Content> content;
    Id& id;
    Bytes bytes;
};

class Reader {
  public:
    // Without a descriptor (-1) there are no holes to look for.
    Reader(Run& run, unsigned worker, int fd, ReadContent read, std::shared_ptr<Content> content)
        : run_(run),
          state_(*run.workers[worker]),
          fd_(fd),
          read_(std::move(read)),
          content_(std::move(content)),
          chunker_(std::in_place, run.chunker) {}

    // The whole file; returns its length.
    uint64_t read(bool sparse) {
        state_.buffer.clear();
        uint64_t offset = 0, data_end = sparse ? 0 : UINT64_MAX;
        for (;;) {
            if (run_.pool.stopping()) throw Error(ErrorKind::interrupted, "interrupted");
            run_.check_going_on();
            if (sparse && offset >= data_end) {
                offset = skip_hole(offset, data_end);
                if (data_end == 0) break;
            }
            size_t want = std::min<uint64_t>(kStep, data_end - offset);
            size_t got = append_from_file(offset, want);
            offset += got;
            cut();
            if (got < want) break;
        }
        if (!state_.buffer.empty()) emit(state_.buffer.size());
        return offset;
    }

  private:
    size_t append_from_file(uint64_t offset, size_t want) {
        Bytes& buffer = state_.buffer;
        size_t old = buffer.size();
        buffer.reserve(kChunkMax + kStep);  // address space only: pages cost when touched
        buffer.resize(old + want);
        size_t got = read_({buffer.data() + old, want}, offset);
        buffer.resize(old + got);
        return got;
    }

    // Finds the next data at or after `offset`, feeds the hole before it as zeros without reading
    // it, and sets data_end to the end of that data; 0 at the end of the file. Returns the new
    // offset.
    uint64_t skip_hole(uint64_t offset, uint64_t& data_end) {
        off_t end = lseek(fd_, 0, SEEK_END);
        off_t data = lseek(fd_, static_cast<off_t>(offset), SEEK_DATA);
        if (data < 0 && errno != ENXIO) {
            data_end = UINT64_MAX;  // the file system cannot tell: read all
            return offset;
        }
        uint64_t until =
            data < 0 ? static_cast<uint64_t>(std::max<off_t>(end, 0)) : static_cast<uint64_t>(data);
        if (until > offset) feed_zeros(until - offset);
        if (data < 0) {
            data_end = 0;
            return std::max(offset, until);
        }
        off_t hole = lseek(fd_, data, SEEK_HOLE);
        data_end = hole < 0 ? UINT64_MAX : static_cast<uint64_t>(hole);
        return until;
    }

    void feed_zeros(uint64_t count) {
        while (count > 0) {
            if (state_.buffer.empty() && count >= kChunkMin) {
                // All-zero data has the fingerprint 0: it is cut at exactly the minimum.
                if (!zero_chunk_)
                    zero_chunk_ = state_.store.add(BlobType::data, Bytes(kChunkMin, 0));
                content_->ids.push_back(*zero_chunk_);
                count -= kChunkMin;
                continue;
            }
            auto step = static_cast<size_t>(std::min<uint64_t>(count, kStep));
            state_.buffer.insert(state_.buffer.end(), step, 0);
            count -= step;
            if (!cut()) continue;
            // The cut fell among these zeros, so nothing but zeros is left: they start a chunk
            // anew.
            count += state_.buffer.size();
            state_.buffer.clear();
            chunker_.emplace(run_.chunker);
        }
    }

    // Stores the chunks that are complete; false when there was none.
    bool cut() {
        bool any = false;
        while (auto length = chunker_->next(state_.buffer)) {
            emit(*length);
            any = true;
        }
        return any;
    }

    // Stores the first `length` bytes of the buffer as a chunk and drops them from it.
    void emit(size_t length) {
        Bytes& buffer = state_.buffer;
        size_t rest = buffer.size() - length;
        content_->ids.emplace_back();
        if (run_.pool.has_idle() && length >= kChunkMin) {
            Bytes next;
            next.reserve(kChunkMax + kStep);
            append(next, ByteView(buffer).subspan(length));
            buffer.resize(length);
            ++content_->pending;
            run_.pool.push_urgent(std::make_unique<ChunkTask>(
                run_, content_, content_->ids.back(), std::exchange(buffer, std::move(next))));
            return;
        }
        content_->ids.back() = state_.store.add(BlobType::data, ByteView(buffer).first(length));
        if (run_.options.progress) run_.options.progress->bytes_done += length;
        std::memmove(buffer.data(), buffer.data() + length, rest);
        buffer.resize(rest);
    }

    Run& run_;
    WorkerState& state_;
    int fd_;
    const ReadContent read_;
    std::shared_ptr<Content> content_;
    std::optional<repository::Chunker> chunker_;
    std::optional<Id> zero_chunk_;
};

bool same_version(const struct stat& a, const struct stat& b) {
    return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
           a.st_mtim.tv_nsec == b.st_mtim.tv_nsec && a.st_ctim.tv_sec == b.st_ctim.tv_sec &&
           a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

struct stat stat_of(int fd) {
    struct stat st {};
    if (fstat(fd, &st) != 0) throw errno_error("stat");
    if (!S_ISREG(st.st_mode)) throw Error(ErrorKind::io, "is no longer a regular file");
    return st;
}

os::UniqueFd open_source(int dirfd, const std::string& name) {
    constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    // O_NOATIME spares the source a write, but only its owner may ask for it.
    os::UniqueFd fd(openat(dirfd, name.c_str(), kFlags | O_NOATIME));
    if (!fd.valid() && errno == EPERM) fd.reset(openat(dirfd, name.c_str(), kFlags));
    if (!fd.valid()) throw errno_error("open");
    return fd;
}

}  // namespace

void read_file_content(Run& run, unsigned worker, const SourceFile& source, Node& node,
                       ContentDone done) {
    os::UniqueFd fd = open_source(source.dirfd, source.name);
    struct stat before = stat_of(fd.get());
    if (before.st_size > static_cast<off_t>(kChunkMin))
        posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    auto content = std::make_shared<Content>(node, std::move(done));
    for (int attempt = 0;; ++attempt) {
        fill_from_stat(node, before, run.options.with_atime);
        bool sparse = before.st_blocks * 512 < before.st_size;
        Reader reader(
            run, worker, fd.get(),
            [&](MutableByteView to, uint64_t offset) {
                return os::pread_all(fd.get(), to, offset, source.path);
            },
            content);
        node.size = reader.read(sparse);
        struct stat after = stat_of(fd.get());
        if (same_version(before, after) && node.size == static_cast<uint64_t>(after.st_size)) break;
        bool again = attempt == 0 && after.st_size < static_cast<off_t>(kReread);
        if (!again) {
            run.issue(source.path,
                      Error(ErrorKind::partial, "changed while it was read; saved as it was read"),
                      true);
            break;
        }
        // Other threads may still write to the first attempt's ids. Its reader's share of `pending`
        // stays, so that it never completes.
        content = std::make_shared<Content>(node, content->done);
        before = after;
    }
    ++run.counters.files_read;
    content->finish_one(worker);
}

void store_content(Run& run, unsigned worker, const ReadContent& read, Node& node,
                   ContentDone done) {
    auto content = std::make_shared<Content>(node, std::move(done));
    node.size = Reader(run, worker, -1, read, content).read(false);
    ++run.counters.files_read;
    content->finish_one(worker);
}

}  // namespace sevenfold::files::internal
