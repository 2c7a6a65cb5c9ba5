#include "files/internal/content_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "files/internal/packed_content.h"

namespace sevenfold::files::internal {
namespace {

constexpr uint64_t kWindow = 4 << 20, kGap = 256 << 10;

}  // namespace

ContentReader::ContentReader(const repository::Repository& repository,
                             const std::vector<const std::vector<Id>*>& files)
    : repository_(repository) {
    for (const std::vector<Id>* content : files) {
        first_.push_back(pieces_.size());
        uint64_t offset = 0;
        for (const Id& id : *content) {
            Piece piece{.blob = id, .offset = offset};
            auto found = repository.index().find({repository::BlobType::data, id});
            if (found && is_plausible(found->blob)) {
                piece.known = true;
                piece.pack = found->pack;
                piece.packed = found->blob;
                offset += piece.packed.plaintext_length();
            }
            pieces_.push_back(piece);
        }
    }
    first_.push_back(pieces_.size());
}

uint64_t ContentReader::size(size_t file) const {
    uint64_t size = 0;
    for (size_t i = first_[file]; i < first_[file + 1]; ++i) {
        if (!pieces_[i].known)
            throw Error(ErrorKind::corrupt,
                        fmt::format("chunk {} is not in the index", pieces_[i].blob.hex()),
                        "Run check on the repository; another place may hold a good copy.");
        size += pieces_[i].packed.plaintext_length();
    }
    return size;
}

Bytes ContentReader::read(size_t file, uint64_t offset, size_t length) {
    Bytes out;
    out.reserve(length);
    auto begin = pieces_.begin() + static_cast<ptrdiff_t>(first_[file]),
         end = pieces_.begin() + static_cast<ptrdiff_t>(first_[file + 1]);
    auto at = std::upper_bound(begin, end, offset,
                               [](uint64_t o, const Piece& piece) { return o < piece.offset; });
    if (at != begin) --at;
    for (; out.size() < length && at != end; ++at) {
        const Bytes& data = blob(static_cast<size_t>(at - pieces_.begin()));
        uint64_t skip = offset + out.size() - at->offset;
        if (skip >= data.size()) continue;
        append(out,
               ByteView(data).subspan(skip, std::min(data.size() - skip, length - out.size())));
    }
    if (out.size() != length)
        throw Error(ErrorKind::corrupt, "its chunks hold less than the index says");
    return out;
}

const Bytes& ContentReader::blob(size_t number) {
    if (loaded_ == number) return blob_;
    loaded_ = SIZE_MAX;
    const Piece& piece = pieces_[number];
    bool inside =
        piece.pack == window_pack_ && piece.packed.offset >= window_start_ &&
        uint64_t{piece.packed.offset} + piece.packed.length <= window_start_ + window_.size();
    if (!inside) load_window(number);
    blob_ = plaintext_of(repository_, piece.blob, piece.packed, window_, window_start_);
    if (blob_.size() != piece.packed.plaintext_length())
        throw Error(ErrorKind::corrupt,
                    fmt::format("chunk {}: not of the length the index says", piece.blob.hex()));
    loaded_ = number;
    return blob_;
}

void ContentReader::load_window(size_t number) {
    const Piece& piece = pieces_[number];
    window_.clear();
    window_pack_ = piece.pack;
    window_start_ = piece.packed.offset;
    uint64_t end = window_start_ + piece.packed.length;
    for (size_t i = number + 1; i < pieces_.size(); ++i) {
        const Piece& next = pieces_[i];
        uint64_t next_end = uint64_t{next.packed.offset} + next.packed.length;
        if (!next.known || next.pack != piece.pack || next.packed.offset < window_start_ ||
            next.packed.offset > end + kGap || next_end > window_start_ + kWindow)
            break;
        end = std::max(end, next_end);
    }
    window_ = load_range(repository_, piece.pack, window_start_, end);
}

}  // namespace sevenfold::files::internal
