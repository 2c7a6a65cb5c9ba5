// Files and folders of a snapshot as a stream of bytes.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "repository/node.h"
#include "repository/repository.h"

namespace sevenfold::repository {

using Sink = std::function<void(ByteView)>;  // takes all of it or throws

// The content of a file node, in order. Memory: 8 blobs, fetched at once.
void dump_file(const Repository& repository, const Node& file, const Sink& sink,
               std::stop_token stop = {});

// Everything below `tree` as a tar archive (POSIX.1-2001 pax: any name, size, owner and mtime;
// extended attributes as SCHILY.xattr). Names are `prefix` and the path, without leading slash.
// Sockets are left out, hard links are stored as separate files. The index is loaded.
void dump_tar(const Repository& repository, const Id& tree, const std::string& prefix,
              const Sink& sink, std::stop_token stop = {});

// Writes the headers of a tar archive.
class TarWriter {
  public:
    explicit TarWriter(Sink sink) : sink_(std::move(sink)) {}
    // Header of one entry; after a file its node.size bytes must follow through content() and then
    // end_content(). False, and nothing is written, for nodes that tar cannot hold.
    bool header(const std::string& path, const Node& node);
    void content(ByteView bytes);
    void end_content();
    void finish();

  private:
    void block(const std::string& name, char type, const Node* node, uint64_t size);
    void pad(uint64_t size);

    Sink sink_;
    uint64_t expected_ = 0, written_ = 0;
};

}  // namespace sevenfold::repository
