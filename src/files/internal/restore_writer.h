// Makes a batch true: compares what is there, fetches what is missing in the order of packs, writes
// it, then sets metadata, makes further names and finishes folders.
#pragma once

#include "core/queue.h"
#include "files/internal/open_files.h"
#include "files/internal/restore_batch.h"
#include "files/internal/restore_report.h"
#include "files/internal/restore_target.h"

namespace sevenfold::files::internal {

class RestoreWriter {
  public:
    RestoreWriter(const repository::Repository& repository, const RestoreOptions& options,
                  Target& target, RestoreReport& report);
    // Throws what stops the whole restore.
    void run(Batch& batch);

  private:
    // Neighbouring chunks of one pack that are read at once.
    struct Range {
        Id pack;
        uint64_t begin = 0, end = 0;
        size_t first = 0, last = 0;  // in order_
    };
    struct Loaded {
        size_t range = 0;
        Bytes bytes;  // empty: the range could not be read
    };
    // Chunks of one file that are compared in one go.
    struct Span {
        uint32_t file = 0, first = 0, last = 0;
    };

    void compare(Batch& batch);
    void decide(FileEntry& file, Batch& batch);
    void count_pieces(Batch& batch);
    std::vector<Range> plan_ranges(Batch& batch);
    void fetch(Batch& batch);
    void load_ranges(const std::vector<Range>& ranges, std::atomic<size_t>& next,
                     BoundedQueue<Loaded>& queue, std::stop_token stop);
    void write_range(Batch& batch, const Range& range, ByteView bytes, std::stop_token stop);
    void write_chunk(FileEntry& file, const Placement& p, const Bytes* plaintext);
    void write_piece(int fd, const FileEntry& file, ByteView data, uint64_t offset);
    void finish_rest(Batch& batch);
    void finish_file(FileEntry& file, int fd);
    void make_links(Batch& batch);
    void verify(Batch& batch);
    std::vector<Span> spans(const Batch& batch, bool (*wanted)(const FileEntry&));
    // Reads the span's chunks and calls differs(placement) for each that is not as it must be.
    void compare_span(const Batch& batch, const Span& span, int fd,
                      const std::function<void(const Placement&)>& differs);
    void fail(FileEntry& file, const Error& error);

    const repository::Repository& repository_;
    const RestoreOptions& options_;
    Target& target_;
    RestoreReport& report_;
    OpenFiles open_files_;
    unsigned workers_, fetchers_;
    uint64_t gap_;
    std::vector<uint32_t> order_;  // needed placements of the batch by pack and offset
};

}  // namespace sevenfold::files::internal
