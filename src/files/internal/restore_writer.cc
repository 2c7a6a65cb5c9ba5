#include "files/internal/restore_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/check.h"
#include "core/parallel.h"
#include "files/internal/packed_content.h"
#include "os/sparse.h"

namespace sevenfold::files::internal {
namespace {

// One read from the place. Also what a chunk between two needed ones may cost.
constexpr uint64_t kRangeSize = 4 << 20;
constexpr uint64_t kGapRemote = 1 << 20, kGapLocal = 128 << 10;
constexpr size_t kQueuedRanges = 2;
constexpr unsigned kMaxThreads = 8;
constexpr size_t kHoleSize = 64 << 10;

// 512 KiB of zeros: what the chunker makes of every hole (format A.8).
const Id kZeroChunk =
    *Id::parse("07854d2fef297a06ba81685e660c332de36d5d18d546927d30daad6d7fda1541");
bool is_zero_chunk(const Placement& p) { return p.blob == kZeroChunk; }

}  // namespace

RestoreWriter::RestoreWriter(const repository::Repository& repository,
                             const RestoreOptions& options, Target& target, RestoreReport& report)
    : repository_(repository),
      options_(options),
      target_(target),
      report_(report),
      open_files_(target) {
    storage::Capabilities place = repository.backend().capabilities();
    workers_ = std::clamp(options.workers ? options.workers : cpu_count(), 1U, kMaxThreads);
    fetchers_ = place.remote ? std::clamp(place.connections, 1U, kMaxThreads) : 1;
    gap_ = place.remote ? kGapRemote : kGapLocal;
}

void RestoreWriter::run(Batch& batch) {
    compare(batch);
    count_pieces(batch);
    if (!options_.dry_run) fetch(batch);
    finish_rest(batch);
    make_links(batch);
    for (auto& folder : batch.finished) {
        target_.finish(*folder);
        report_.item_done();
    }
    if (options_.verify && !options_.dry_run) verify(batch);
}

void RestoreWriter::fail(FileEntry& file, const Error& error) {
    if (!file.failed.exchange(true)) report_.problem(file.path(), error);
}

// After comparing: how many chunks each file waits for. Zeros in a new file are there already.
void RestoreWriter::count_pieces(Batch& batch) {
    order_.clear();
    for (uint32_t i = 0; i < batch.placements.size(); ++i) {
        Placement& p = batch.placements[i];
        FileEntry& file = batch.files[p.file];
        bool hole = options_.sparse && file.action == FileAction::create && is_zero_chunk(p) &&
                    file.placement_count > 1;
        if (hole || file.failed || file.action == FileAction::trust) p.needed = false;
        if (hole && !file.failed) {
            report_.bytes += p.size;
            report_.bytes_done(p.size);
        }
        if (!p.needed) continue;
        ++file.open_pieces;
        order_.push_back(i);
    }
}

std::vector<RestoreWriter::Range> RestoreWriter::plan_ranges(Batch& batch) {
    std::ranges::sort(order_, {}, [&](uint32_t i) {
        const Placement& p = batch.placements[i];
        return std::tuple(p.pack, p.offset, i);
    });
    std::vector<Range> ranges;
    uint32_t pack = 0;
    for (size_t i = 0; i < order_.size(); ++i) {
        const Placement& p = batch.placements[order_[i]];
        uint64_t end = uint64_t{p.offset} + p.length;
        bool missing = p.pack == Placement::kNoPack;
        if (!ranges.empty() && pack == p.pack) {
            Range& r = ranges.back();
            bool near = p.offset <= r.end + gap_ && end - r.begin <= kRangeSize;
            if (missing || near || end <= r.end) {
                r.end = std::max(r.end, end);
                r.last = i + 1;
                continue;
            }
        }
        ranges.push_back({.pack = missing ? Id{} : batch.packs[p.pack],
                          .begin = p.offset,
                          .end = end,
                          .first = i,
                          .last = i + 1});
        pack = p.pack;
    }
    return ranges;
}

void RestoreWriter::fetch(Batch& batch) {
    std::vector<Range> ranges = plan_ranges(batch);
    if (ranges.empty()) return;
    // Memory: (fetchers + workers + kQueuedRanges) × kRangeSize, or one blob where that is larger.
    BoundedQueue<Loaded> queue(kQueuedRanges);
    std::atomic<size_t> next{0};
    std::atomic<unsigned> fetching{fetchers_};
    ThreadGroup group;
    group.on_failure([&] { queue.abandon(); });
    for (unsigned i = 0; i < fetchers_; ++i)
        group.start([&](std::stop_token stop) {
            load_ranges(ranges, next, queue, stop);
            if (--fetching == 0) queue.close();
        });
    for (unsigned i = 0; i < workers_; ++i)
        group.start([&](std::stop_token stop) {
            while (auto loaded = queue.pop())
                write_range(batch, ranges[loaded->range], loaded->bytes, stop);
        });
    group.wait();
}

void RestoreWriter::load_ranges(const std::vector<Range>& ranges, std::atomic<size_t>& next,
                                BoundedQueue<Loaded>& queue, std::stop_token stop) {
    for (size_t i; !stop.stop_requested() && (i = next.fetch_add(1)) < ranges.size();) {
        report_.check_stop();
        const Range& range = ranges[i];
        Loaded loaded{.range = i};
        if (!range.pack.is_zero())
            loaded.bytes = load_range(repository_, range.pack, range.begin, range.end);
        if (!queue.push(std::move(loaded))) return;
    }
}

void RestoreWriter::write_range(Batch& batch, const Range& range, ByteView bytes,
                                std::stop_token stop) {
    std::optional<Bytes> data;
    const Placement* decoded = nullptr;
    for (size_t i = range.first; i < range.last && !stop.stop_requested(); ++i) {
        const Placement& p = batch.placements[order_[i]];
        FileEntry& file = batch.files[p.file];
        if (file.failed) continue;
        // The same chunk in several places is decoded once: its placements are neighbours.
        if (!decoded || decoded->blob != p.blob) {
            decoded = &p;
            data.reset();
            try {
                data = plaintext_of(repository_, p.blob, p.packed(), bytes, range.begin);
                if (data->size() != p.size)
                    throw Error(
                        ErrorKind::corrupt,
                        fmt::format("chunk {}: not of the length the index says", p.blob.hex()));
            } catch (const Error& error) {
                data.reset();
                report_.problem(file.path(), error.with_context(fmt::format(
                                                 "bytes {} to {} are lost", p.file_offset,
                                                 p.file_offset + p.size)));
            }
        } else if (!data) {
            report_.problem(file.path(),
                            Error(ErrorKind::corrupt,
                                  fmt::format("bytes {} to {} are lost: chunk {}", p.file_offset,
                                              p.file_offset + p.size, p.blob.hex())));
        }
        try {
            write_chunk(file, p, data ? &*data : nullptr);
        } catch (const Error& error) {
            fail(file, error);
        }
    }
}

void RestoreWriter::write_chunk(FileEntry& file, const Placement& p, const Bytes* data) {
    bool alone = file.placement_count == 1;
    OpenFiles::Handle fd = alone ? open_files_.open_once(file) : open_files_.open(file);
    if (data) {
        write_piece(fd->get(), file, *data, p.file_offset);
        report_.bytes += p.size;
    } else {
        ++file.damaged_pieces;
        // The file keeps its length, so that what follows stands where it belongs.
        if (alone && ::ftruncate(fd->get(), static_cast<off_t>(file.size)) != 0)
            throw errno_error("set size of " + target_.display(file.path()));
    }
    report_.bytes_done(p.size);
    if (--file.open_pieces == 0) finish_file(file, fd->get());
}

// Writes data, leaving out zeros that can be holes.
void RestoreWriter::write_piece(int fd, const FileEntry& file, ByteView data, uint64_t offset) {
    std::string_view what = file.node.name;
    if (!options_.sparse || data.size() < kHoleSize) return os::pwrite_all(fd, data, offset, what);
    // Runs of blocks that begin at multiples of kHoleSize in the file; the first may be shorter.
    auto block_end = [&](size_t at) {
        return std::min<uint64_t>(data.size(), at + kHoleSize - (offset + at) % kHoleSize);
    };
    bool is_new = file.action == FileAction::create;
    bool whole = os::is_zero(data);
    for (size_t at = 0; at < data.size();) {
        size_t end = block_end(at);
        bool zero = whole || (end - at == kHoleSize && os::is_zero(data.subspan(at, end - at)));
        while (end < data.size()) {
            size_t next = block_end(end);
            bool next_zero =
                whole || (next - end == kHoleSize && os::is_zero(data.subspan(end, next - end)));
            if (next_zero != zero) break;
            end = next;
        }
        bool hole = zero && (is_new || os::punch_hole(fd, offset + at, end - at));
        if (!hole) os::pwrite_all(fd, data.subspan(at, end - at), offset + at, what);
        at = end;
        // A hole at the end of a file that is written in one go.
        if (hole && at == data.size() && file.placement_count == 1 &&
            ::ftruncate(fd, static_cast<off_t>(file.size)) != 0)
            throw errno_error(fmt::format("set size of {}", what));
    }
}

void RestoreWriter::finish_file(FileEntry& file, int fd) {
    target_.apply(*file.folder, file.node, fd, file.damaged_pieces == 0);
    open_files_.close(file);
    ++report_.files;
    report_.item_done();
}

// Files that nothing had to be fetched for: empty ones, holes, and those that are right already.
void RestoreWriter::finish_rest(Batch& batch) {
    std::vector<FileEntry*> rest;
    for (FileEntry& file : batch.files)
        if (!file.failed && !file.opened) rest.push_back(&file);
    parallel_for(rest.size(), workers_, [&](size_t i) {
        FileEntry& file = *rest[i];
        report_.check_stop();
        try {
            bool kept = file.action != FileAction::create && file.open_pieces == 0;
            if (!kept && !options_.dry_run) return finish_file(file, open_files_.open(file)->get());
            if (kept && !options_.dry_run) target_.apply(*file.folder, file.node, -1, true);
            if (!kept) report_.bytes += file.size;
            if (kept && !file.resized) report_.bytes_kept += file.size;
            if (!file.resized) report_.bytes_done(file.size);
            ++(kept && !file.resized ? report_.unchanged : report_.files);
            report_.item_done();
        } catch (const Error& error) {
            fail(file, error);
        }
    });
}

void RestoreWriter::make_links(Batch& batch) {
    for (const PendingLink& link : batch.links) {
        report_.check_stop();
        try {
            if (!options_.dry_run) target_.make_hard_link(link);
            ++report_.hard_links;
            report_.item_done();
        } catch (const Error& error) {
            report_.problem(join(link.folder->path, link.name), error);
        }
    }
}

}  // namespace sevenfold::files::internal
