#include "files/internal/packed_content.h"

#include "core/error.h"

namespace sevenfold::files::internal {

bool is_plausible(const repository::PackedBlob& blob) {
    constexpr uint32_t kLargest = 256 << 20;
    return blob.length >= crypto::kEnvelopeOverhead && blob.length <= kLargest &&
           blob.plaintext_length() <= kLargest;
}

Bytes load_range(const repository::Repository& repository, const Id& pack, uint64_t begin,
                 uint64_t end) {
    try {
        return repository.backend().load({storage::FileType::pack, pack}, begin, end - begin);
    } catch (const Error& error) {
        bool no_way = error.kind() == ErrorKind::network || error.kind() == ErrorKind::timeout ||
                      error.kind() == ErrorKind::interrupted;
        if (no_way) throw;
        return {};
    }
}

Bytes plaintext_of(const repository::Repository& repository, const Id& id,
                   const repository::PackedBlob& blob, ByteView range, uint64_t begin) {
    if (!range.empty()) try {
            return repository.decode_blob(blob, range.subspan(blob.offset - begin, blob.length));
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::corrupt) throw;
        }
    return repository.load_blob({repository::BlobType::data, id});
}

}  // namespace sevenfold::files::internal
