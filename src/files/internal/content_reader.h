// The content of files in the order they are asked for: neighbouring blobs of a pack are read from
// the place by one request.
//
// For one thread. Holds one range of a pack (at most 4 MiB, or one blob) and one blob.
#pragma once

#include <vector>

#include "core/bytes.h"
#include "repository/repository.h"

namespace sevenfold::files::internal {

class ContentReader {
  public:
    // Of the files with these blobs, one file after the other. Throws Error{corrupt} from size()
    // and read() for what the index does not know or cannot be.
    ContentReader(const repository::Repository& repository,
                  const std::vector<const std::vector<Id>*>& files);

    // Bytes of file `file` by its blobs.
    uint64_t size(size_t file) const;
    // Exactly `length` bytes. Fastest when offsets ascend.
    Bytes read(size_t file, uint64_t offset, size_t length);

  private:
    struct Piece {
        Id blob;
        bool known = false;
        Id pack;
        repository::PackedBlob packed;
        uint64_t offset = 0;  // in its file
    };
    const Bytes& blob(size_t piece);
    void load_window(size_t piece);

    const repository::Repository& repository_;
    std::vector<Piece> pieces_;
    std::vector<size_t> first_;  // of each file in pieces_; one more at the end
    Bytes window_, blob_;
    Id window_pack_;
    uint64_t window_start_ = 0;
    size_t loaded_ = SIZE_MAX;  // the piece in blob_
};

}  // namespace sevenfold::files::internal
