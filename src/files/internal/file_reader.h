// Reads one file into blobs.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "files/internal/run.h"

namespace sevenfold::files::internal {

// Where a file is read from: `name` in dirfd; `path` is what messages and patterns call it.
struct SourceFile {
    int dirfd;
    const std::string& name;
    const std::string& path;
};
// Called with the number of the thread that completed the content.
using ContentDone = std::function<void(unsigned worker)>;

// Reads a regular file into `node` (its metadata filled in): sets content and size as read and
// refreshes the metadata from the opened file. Chunks may be handed to idle threads; `done` is
// called exactly once, from any of them, when the content is complete. Throws when the file cannot
// be read; then `done` is not called. The node must stay where it is until then.
//
// A file that changes while it is read is read a second time; if it changes again it is stored as
// read and reported through Run::issue.
void read_file_content(Run& run, unsigned worker, const SourceFile& source, repository::Node& node,
                       ContentDone done);

// The same for content that comes from elsewhere: read() gives the bytes from an offset, fewer than
// asked for only at the end.
using ReadContent = std::function<size_t(MutableByteView to, uint64_t offset)>;
void store_content(Run& run, unsigned worker, const ReadContent& read, repository::Node& node,
                   ContentDone done);

}  // namespace sevenfold::files::internal
